// Views of a part of the elements, and the way back.
#include "ops/batching.h"
#include "private_ops.h"

namespace thixo::ops {
namespace {

int existing_dim(const Call& c) {
  if (c.rank(0) == 0) throw c.error(ErrorKind::Index, "a tensor without dims has none to index");
  return c.dim("dim", c.rank(0));
}

Dim wrap_index(const Call& c, Dim i, int d) {
  Dim n = c.shape(0)[static_cast<size_t>(d)];
  if (i < -n.value() || i >= n.value()) {
    throw c.error(ErrorKind::Index,
                  "index " + i.str() + " is out of range for dim " + std::to_string(d) + " of size " + n.str());
  }
  return i < 0 ? i + n : i;
}

struct Range {
  Dim start, length;
};

/// Python's reading of start:stop:step over n elements.
Range slice_range(const Call& c, Dim n) {
  Dim step = c.integer("step");
  if (step <= 0)
    throw c.error(ErrorKind::Value, "step must be above zero, got " + step.str()).fix("use flip to reverse a dim");
  auto bound = [&](std::string_view name, Dim none) {
    if (c.none(name)) return none;
    Dim v = c.integer(name);
    if (v < 0) v = v + n;
    return v < 0 ? Dim(0) : v > n.value() ? n : v;
  };
  Dim start = bound("start", 0), stop = bound("stop", n);
  Dim length = c.none("start") && c.none("stop") && step == 1 ? n
               : stop > start.value()                         ? (stop - start - 1) / step + 1
                                                              : Dim(0);
  return {start, length};
}

}  // namespace

void def_select(Op& op) {
  op.schema("select(input: Tensor, dim: dim, index: int) -> Tensor")
      .doc("The slice at `index` along `dim`, without that dim: a view.")
      .example(">>> thixo.select(thixo.tensor([[1, 2], [3, 4]]), 0, 1)\ntensor([3, 4])")
      .view([](const Call& c) {
        int d = existing_dim(c);
        Dim i = wrap_index(c, c.integer("index"), d);
        ViewSpec v{c.shape(0), c.in[0].strides(), c.in[0].storage_offset()};
        v.offset += v.strides[static_cast<size_t>(d)] * i;
        v.shape.erase(static_cast<size_t>(d));
        v.strides.erase(static_cast<size_t>(d));
        return v;
      })
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        int d = existing_dim(k);
        Dim n = k.shape(0)[static_cast<size_t>(d)];
        return Values{slice_backward(c.g().unsqueeze(d), n, d, wrap_index(k, k.integer("index"), d), 1)};
      })
      .batch(along("dim"))
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{3, 4}}}, .attrs = {{"dim", Dim(0)}, {"index", Dim(1)}}},
            {.in = {{{3, 4}}}, .attrs = {{"dim", Dim(-1)}, {"index", Dim(-4)}}},
            {.in = {{{1}}}, .attrs = {{"dim", Dim(0)}, {"index", Dim(0)}}},
            {.in = {{{2, 0}}}, .attrs = {{"dim", Dim(0)}, {"index", Dim(1)}}},
            {.in = {{{3}}},
             .attrs = {{"dim", Dim(0)}, {"index", Dim(3)}},
             .bad = "index 3 is out of range for dim 0 of size 3"},
            {.in = {{{3}}}, .attrs = {{"dim", Dim(1)}, {"index", Dim(0)}}, .bad = "dim 1 is out of range"},
            {.in = {{{}}}, .attrs = {{"dim", Dim(0)}, {"index", Dim(0)}}, .bad = "a tensor without dims"}};
      });
}

void def_slice(Op& op) {
  op.schema("slice(input: Tensor, dim: dim = 0, start: int? = None, stop: int? = None, step: int = 1) -> Tensor")
      .doc("The view x[start:stop:step] along `dim`, read as Python reads it.")
      .example(">>> thixo.arange(6).slice(0, 1, None, 2)\ntensor([1, 3, 5])")
      .view([](const Call& c) {
        auto d = static_cast<size_t>(existing_dim(c));
        Range r = slice_range(c, c.shape(0)[d]);
        ViewSpec v{c.shape(0), c.in[0].strides(), c.in[0].storage_offset()};
        v.offset += v.strides[d] * r.start;
        v.shape[d] = r.length;
        // A step over the end reaches nothing, however large it is.
        Dim n = c.shape(0)[d], step = c.integer("step");
        v.strides[d] *= step.is_symbolic() || n.is_symbolic() || step <= n.value() ? step : std::max(n, Dim(1));
        return v;
      })
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        int d = existing_dim(k);
        Dim n = k.shape(0)[static_cast<size_t>(d)];
        return Values{slice_backward(c.g(), n, d, slice_range(k, n).start, k.integer("step"))};
      })
      .batch(along("dim"))
      .samples([] {
        auto bounds = [](int d, Attr start, Attr stop, int64_t step) {
          return std::vector<std::pair<std::string, Attr>>{
              {"dim", Dim(d)}, {"start", start}, {"stop", stop}, {"step", Dim(step)}};
        };
        return std::vector<Sample>{
            {.in = {{{6, 2}}}, .attrs = bounds(0, Dim(1), Dim(5), 2)},
            {.in = {{{2, 6}}}, .attrs = bounds(-1, Dim(-3), Attr(), 1)},
            {.in = {{{4}}}, .attrs = bounds(0, Dim(3), Dim(100), 3)},
            {.in = {{{4}}}, .attrs = bounds(0, Dim(3), Dim(1), 1)},
            {.in = {{{4, 2}}}, .attrs = bounds(0, Dim(INT64_MIN), Dim(INT64_MAX), INT64_MAX)},
            {.in = {{{4}}}, .attrs = bounds(0, Attr(), Attr(), -1), .bad = "step must be above zero"},
            {.in = {{{}}}, .attrs = bounds(0, Attr(), Attr(), 1), .bad = "a tensor without dims"}};
      });
}

void def_slice_backward(Op& op) {
  op.schema("slice_backward(grad: Tensor, size: int, dim: dim, start: int, step: int) -> Tensor @private")
      .doc("Zeros of `size` along `dim`, with grad at start, start + step, ...: the gradient of slice.")
      .infer([](Infer& c) {
        Shape s = c.shape(0);
        s[static_cast<size_t>(c.dim("dim", c.rank(0)))] = c.integer("size");
        c.result(c.dtype(0), s);
      })
      .nest([](NestCtx& c) {
        int d = c.dim("dim", c.rank(0));
        Dim start = c.integer("start"), step = c.integer("step");
        std::vector<Expr> index;
        for (int k = 0; k < c.rank(0); ++k) index.push_back(c.out_axis(k));
        Expr off = start == 0 ? c.out_axis(d) : c.out_axis(d) - size(start);
        Expr inside = ~(off < 0.0);
        if (!(step == 1)) {
          inside = inside & eq(mod(off, size(step)), 0.0);
          off = floor_div(off, size(step));
        }
        index[static_cast<size_t>(d)] = off;
        inside = inside & (off < c.dim_size(0, d));
        c.values = {c.load_if(inside, 0, index, constant(0, compute_type(c.dtype(0))))};
      })
      .kernel("slice_backward")
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        int d = k.dim("dim", k.rank(0));
        Dim start = k.integer("start"), step = k.integer("step"), n = k.shape(0)[static_cast<size_t>(d)];
        return Values{c.g().slice(d, start, n == 0 ? start : start + (n - 1) * step + 1, step)};
      })
      .batch(along("dim"))
      .samples([] {
        auto place = [](int n, int d, int start, int step) {
          return std::vector<std::pair<std::string, Attr>>{
              {"size", Dim(n)}, {"dim", Dim(d)}, {"start", Dim(start)}, {"step", Dim(step)}};
        };
        return std::vector<Sample>{{.in = {{{2, 3}}}, .attrs = place(7, 0, 1, 3)},
                                   {.in = {{{2, 3}}}, .attrs = place(5, 1, 2, 1)},
                                   {.in = {{{0}}}, .attrs = place(4, 0, 0, 1)}};
      });
}

void def_narrow(Op& op) {
  op.schema("narrow(input: Tensor, dim: dim, start: int, length: int) -> Tensor")
      .doc("The view of `length` elements from `start` along `dim`.")
      .example(">>> thixo.arange(5).narrow(0, 1, 3)\ntensor([1, 2, 3])")
      .compose([](const Call& c) {
        int d = existing_dim(c);
        Dim n = c.shape(0)[static_cast<size_t>(d)], start = c.integer("start"), length = c.integer("length");
        if (start < -n.value() || start > n.value()) {
          throw c.error(ErrorKind::Index, "start " + start.str() + " is out of range for dim " + std::to_string(d) +
                                              " of size " + n.str());
        }
        if (start < 0) start = start + n;
        if (length < 0 || length > (n - start).value()) {
          throw c.error(ErrorKind::Index, "start " + start.str() + " and length " + length.str() + " exceed dim " +
                                              std::to_string(d) + " of size " + n.str());
        }
        return Values{c.in[0].slice(d, start, start + length, 1)};
      })
      .samples([] {
        auto place = [](int d, int start, int64_t length) {
          return std::vector<std::pair<std::string, Attr>>{
              {"dim", Dim(d)}, {"start", Dim(start)}, {"length", Dim(length)}};
        };
        return std::vector<Sample>{
            {.in = {{{5, 2}}}, .attrs = place(0, 1, 3)},
            {.in = {{{2, 5}}}, .attrs = place(-1, -2, 2)},
            {.in = {{{3}}}, .attrs = place(0, 3, 0)},
            {.in = {{{3}}}, .attrs = place(0, 2, 2), .bad = "start 2 and length 2 exceed dim 0 of size 3"},
            {.in = {{{3}}},
             .attrs = place(0, 2, INT64_MAX),
             .bad = "start 2 and length 9223372036854775807 exceed dim 0 of size 3"},
            {.in = {{{3}}}, .attrs = place(0, 4, 0), .bad = "start 4 is out of range"}};
      });
}

void def_unbind(Op& op) {
  op.schema("unbind(input: Tensor, dim: dim = 0) -> Tensor[]")
      .doc("The slices along `dim`, one view for each index.")
      .example(">>> thixo.tensor([[1, 2], [3, 4]]).unbind()[1]\ntensor([3, 4])")
      .compose([](const Call& c) {
        int d = existing_dim(c);
        Values out;
        for (int64_t i = 0; i < c.shape(0)[static_cast<size_t>(d)]; ++i) out.push_back(c.in[0].select(d, i));
        return out;
      })
      .samples([] {
        return std::vector<Sample>{{.in = {{{2, 3}}}, .attrs = {{"dim", Dim(0)}}},
                                   {.in = {{{2, 3}}}, .attrs = {{"dim", Dim(-1)}}},
                                   {.in = {{{}}}, .attrs = {{"dim", Dim(0)}}, .bad = "a tensor without dims"}};
      });
}

void def_split(Op& op) {
  op.schema("split(tensor: Tensor, split_size: int, dim: dim = 0) -> Tensor[]")
      .doc("Views of split_size elements each along `dim`; the last may be smaller.")
      .example(">>> [t.tolist() for t in thixo.arange(5).split(2)]\n[[0, 1], [2, 3], [4]]")
      .compose([](const Call& c) {
        int d = existing_dim(c);
        Dim n = c.shape(0)[static_cast<size_t>(d)], size = c.integer("split_size");
        if (size < 0 || (size == 0 && n > 0))
          throw c.error(ErrorKind::Value, "split_size must be above zero, got " + size.str());
        Values out;
        for (Dim at = 0; at < n; at += size) out.push_back(c.in[0].slice(d, at, at + size, 1));
        if (n == 0) out.push_back(c.in[0].slice(d, 0, 0, 1));
        return out;
      })
      .samples([] {
        return std::vector<Sample>{{.in = {{{5, 2}}}, .attrs = {{"split_size", Dim(2)}, {"dim", Dim(0)}}},
                                   {.in = {{{2, 4}}}, .attrs = {{"split_size", Dim(9)}, {"dim", Dim(-1)}}},
                                   {.in = {{{0}}}, .attrs = {{"split_size", Dim(1)}, {"dim", Dim(0)}}},
                                   {.in = {{{5}}},
                                    .attrs = {{"split_size", Dim(0)}, {"dim", Dim(0)}},
                                    .bad = "split_size must be above zero"}};
      });
}

void def_split_sizes(Op& op) {
  op.schema("split.sizes(tensor: Tensor, split_size: size, dim: dim = 0) -> Tensor[]")
      .doc("Views of the given sizes along `dim`, which they add up to.")
      .example(">>> [t.tolist() for t in thixo.arange(5).split([1, 4])]\n[[0], [1, 2, 3, 4]]")
      .compose([](const Call& c) {
        int d = existing_dim(c);
        Dim total = 0;
        for (Dim n : c.list("split_size")) total += n;
        if (!(total == c.shape(0)[static_cast<size_t>(d)])) {
          throw c.error(ErrorKind::Shape, "sizes " + shape_str(c.list("split_size")) + " add up to " + total.str() +
                                              ", but dim " + std::to_string(d) + " has " +
                                              c.shape(0)[static_cast<size_t>(d)].str());
        }
        Values out;
        Dim at = 0;
        for (Dim n : c.list("split_size")) {
          out.push_back(c.in[0].narrow(d, at, n));
          at += n;
        }
        return out;
      })
      .samples([] {
        return std::vector<Sample>{{.in = {{{5, 2}}}, .attrs = {{"split_size", Shape{1, 4}}, {"dim", Dim(0)}}},
                                   {.in = {{{2, 4}}}, .attrs = {{"split_size", Shape{2, 0, 2}}, {"dim", Dim(-1)}}},
                                   {.in = {{{5}}},
                                    .attrs = {{"split_size", Shape{2, 2}}, {"dim", Dim(0)}},
                                    .bad = "add up to 4, but dim 0 has 5"}};
      });
}

void def_chunk(Op& op) {
  op.schema("chunk(input: Tensor, chunks: int, dim: dim = 0) -> Tensor[]")
      .doc("At most `chunks` views of equal size along `dim`; the last may be smaller.")
      .example(">>> [t.tolist() for t in thixo.arange(5).chunk(2)]\n[[0, 1, 2], [3, 4]]")
      .compose([](const Call& c) {
        int d = existing_dim(c);
        Dim n = c.shape(0)[static_cast<size_t>(d)], chunks = c.integer("chunks");
        if (chunks <= 0) throw c.error(ErrorKind::Value, "chunks must be above zero, got " + chunks.str());
        if (n == 0) return Values(static_cast<size_t>(chunks.value()), c.in[0]);
        TensorList parts = c.in[0].split((n - 1) / chunks + 1, d);
        return Values(std::span<const Tensor>(parts));
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{5, 2}}}, .attrs = {{"chunks", Dim(2)}, {"dim", Dim(0)}}},
            {.in = {{{2, 3}}}, .attrs = {{"chunks", Dim(5)}, {"dim", Dim(1)}}},
            {.in = {{{5}}}, .attrs = {{"chunks", Dim(0)}, {"dim", Dim(0)}}, .bad = "chunks must be above zero"}};
      });
}

}  // namespace thixo::ops
