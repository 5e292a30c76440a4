// Tensors put together, enlarged, repeated and turned.
#include "ir/dispatch.h"
#include "ops/batching.h"
#include "ops/shape/shape.h"
#include "private_ops.h"

namespace thixo::ops {
namespace {

/// An old habit that PyTorch keeps: a tensor of shape [0] joins anything.
bool joins_nothing(const Tensor& t) { return t.dim() == 1 && t.numel() == 0; }

int first_joined(const Call& c) {
  for (size_t k = 0; k < c.in.size(); ++k) {
    if (!joins_nothing(c.in[k])) return static_cast<int>(k);
  }
  return 0;
}

}  // namespace

void def_cat(Op& op) {
  op.schema("cat(tensors: Tensor[], dim: dim = 0) -> Tensor")
      .doc("The tensors one after another along `dim`; all other sizes are equal.")
      .example(">>> thixo.cat([thixo.tensor([1, 2]), thixo.tensor([3])])\ntensor([1, 2, 3])")
      .infer([](Infer& c) {
        c.require(!c.in.empty(), ErrorKind::Value, "needs at least one tensor");
        int first = first_joined(c), rank = c.rank(first);
        c.require(rank > 0, ErrorKind::Shape, "tensors without dims cannot be joined", {}, "use stack");
        auto d = static_cast<size_t>(c.dim("dim", rank));
        Shape shape = c.shape(first);
        DType t = c.dtype(0);
        shape[d] = 0;
        for (size_t k = 0; k < c.in.size(); ++k) {
          t = promote_types(t, c.in[k].dtype());
          if (joins_nothing(c.in[k])) continue;
          Shape other = c.in[k].shape();
          c.require(other.size() == shape.size(), ErrorKind::Shape,
                    "tensors[" + std::to_string(k) + "] has rank " + std::to_string(other.size()) + ", not " +
                        std::to_string(rank));
          shape[d] += other[d];
          for (size_t e = 0; e < shape.size(); ++e) {
            if (e == d) continue;
            c.require(other[e] == shape[e], ErrorKind::Shape,
                      "tensors[" + std::to_string(k) + "] has size " + other[e].str() + " in dim " + std::to_string(e) +
                          ", not " + shape[e].str(),
                      "equal sizes but in dim " + std::to_string(d));
          }
        }
        c.result(t, shape);
      })
      .nest([](NestCtx& c) {
        auto rank = static_cast<int>(c.out[0].shape.size());
        int d = c.dim("dim", rank);
        DType t = compute_type(c.out[0].dtype);
        std::vector<Expr> index;
        for (int k = 0; k < rank; ++k) index.push_back(c.out_axis(k));
        std::vector<std::pair<int, Dim>> parts;  // operand and where it starts
        Dim start = 0;
        for (size_t k = 0; k < c.in.size(); ++k) {
          if (joins_nothing(c.in[k])) continue;
          parts.emplace_back(static_cast<int>(k), start);
          start += c.in[k].shape()[static_cast<size_t>(d)];
        }
        Expr value = constant(0, t);
        for (auto it = parts.rbegin(); it != parts.rend(); ++it) {
          Expr off = c.out_axis(d) - size(it->second);
          index[static_cast<size_t>(d)] = off;
          Expr inside = ~(off < 0.0) & (off < c.dim_size(it->first, d));
          Expr zero = constant(0, compute_type(c.dtype(it->first)));
          value = select(inside, cast(c.load_if(inside, it->first, index, zero), t), value);
        }
        c.values = {value};
      })
      .kernel("cat")
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        int d = k.dim("dim", k.rank(first_joined(k)));
        Values out;
        Dim start = 0;
        for (size_t i = 0; i < k.in.size(); ++i) {
          Tensor g;
          if (joins_nothing(k.in[i])) {
            if (c.needs(static_cast<int>(i))) g = zeros_like(k.in[i]);
          } else {
            Dim n = k.in[i].shape()[static_cast<size_t>(d)];
            if (c.needs(static_cast<int>(i))) g = c.g().narrow(d, start, n).to(k.in[i].dtype());
            start += n;
          }
          out.push_back(g);
        }
        return out;
      })
      .batch(along("dim"))
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{2, 3}}, {{1, 3}}}, .attrs = {{"dim", Dim(0)}}},
            {.in = {{{2, 1}}, {{2, 0}}, {{2, 3}}}, .attrs = {{"dim", Dim(-1)}}},
            {.in = {{{4}}}, .attrs = {{"dim", Dim(0)}}},
            {.in = {{{2, 3}}, {{1, 2}}}, .attrs = {{"dim", Dim(0)}}, .bad = "tensors[1] has size 2 in dim 1, not 3"},
            {.in = {{{2, 3}}, {{2}}}, .attrs = {{"dim", Dim(0)}}, .bad = "tensors[1] has rank 1, not 2"},
            {.in = {}, .attrs = {{"dim", Dim(0)}}, .bad = "needs at least one tensor"},
            {.in = {{{}}, {{}}}, .attrs = {{"dim", Dim(0)}}, .bad = "tensors without dims cannot be joined"}};
      });
}

void def_stack(Op& op) {
  op.schema("stack(tensors: Tensor[], dim: dim = 0) -> Tensor")
      .doc("The tensors, all of one shape, along a new dim.")
      .example(">>> thixo.stack([thixo.tensor([1, 2]), thixo.tensor([3, 4])], 1)\ntensor([[1, 3],\n        [2, 4]])")
      .compose([](const Call& c) {
        if (c.in.empty()) throw c.error(ErrorKind::Value, "needs at least one tensor");
        int d = insert_dim(c, "dim", c.rank(0));
        TensorList parts;
        for (size_t k = 0; k < c.in.size(); ++k) {
          if (!(c.in[k].shape() == c.shape(0))) {
            throw c.error(ErrorKind::Shape, "tensors[" + std::to_string(k) + "] has shape " +
                                                shape_str(c.in[k].shape()) + ", not " + shape_str(c.shape(0)));
          }
          parts.push_back(c.in[k].unsqueeze(d));
        }
        return Values{cat(parts, d)};
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{2, 3}}, {{2, 3}}}, .attrs = {{"dim", Dim(1)}}},
            {.in = {{{}}, {{}}}, .attrs = {{"dim", Dim(-1)}}},
            {.in = {}, .attrs = {{"dim", Dim(0)}}, .bad = "needs at least one tensor"},
            {.in = {{{2}}, {{3}}}, .attrs = {{"dim", Dim(0)}}, .bad = "tensors[1] has shape [3], not [2]"}};
      });
}

void def_constant_pad_nd(Op& op) {
  op.schema("constant_pad_nd(input: Tensor, pad: size, value: scalar = 0) -> Tensor")
      .doc(
          "The tensor framed by `value`: pad holds (before, after) for the last dim, then for the one before, ...; "
          "negative ones cut.")
      .example(">>> thixo.constant_pad_nd(thixo.tensor([1, 2]), (1, 0), 9)\ntensor([9, 1, 2])")
      .infer([](Infer& c) {
        const Shape& pad = c.list("pad");
        c.require(pad.size() % 2 == 0 && pad.size() / 2 <= c.shape(0).size(), ErrorKind::Shape,
                  "pad " + shape_str(pad) + " must hold two numbers for each of at most " + std::to_string(c.rank(0)) +
                      " dims");
        Shape s = c.shape(0);
        for (size_t p = 0; p < pad.size() / 2; ++p) {
          Dim& n = s[s.size() - 1 - p];
          n = n + pad[2 * p] + pad[2 * p + 1];
          c.require(n.is_symbolic() || n.value() >= 0, ErrorKind::Shape,
                    "pad " + shape_str(pad) + " cuts away more than dim " + std::to_string(s.size() - 1 - p) + " has");
        }
        c.require_fits(c.scalar("value"), c.dtype(0));
        c.result(c.dtype(0), s);
      })
      .nest([](NestCtx& c) {
        const Shape& pad = c.list("pad");
        DType t = compute_type(c.dtype(0));
        std::vector<Expr> index;
        Expr inside = constant_bool(true);
        for (int d = 0; d < c.rank(0); ++d) {
          size_t p = static_cast<size_t>(c.rank(0) - 1 - d) * 2;
          if (p >= pad.size() || (pad[p] == 0 && pad[p + 1] == 0)) {
            index.push_back(c.out_axis(d));
            continue;
          }
          Expr i = c.out_axis(d) - size(pad[p]);
          inside = inside & ~(i < 0.0) & (i < c.dim_size(0, d));
          index.push_back(i);
        }
        c.values = {c.load_if(inside, 0, index, c.param("value", t))};
      })
      .kernel("pad")
      .grad([](GradCtx& c) {
        Shape back;
        for (Dim p : c.call().list("pad")) back.push_back(Dim(0) - p);
        return Values{constant_pad_nd(c.g(), back)};
      })
      .batch(batch_leading)
      .samples([] {
        auto with = [](Shape pad, Scalar value) {
          return std::vector<std::pair<std::string, Attr>>{{"pad", pad}, {"value", value}};
        };
        return std::vector<Sample>{{.in = {{{2, 3}}}, .attrs = with({1, 2, 0, 1}, 0.5)},
                                   {.in = {{{2, 3}}}, .attrs = with({-1, 1}, 0)},
                                   {.in = {{{0}}}, .attrs = with({1, 1}, 2)},
                                   {.in = {{{}}}, .attrs = with({}, 0)},
                                   {.in = {{{3}}}, .attrs = with({1}, 0), .bad = "must hold two numbers"},
                                   {.in = {{{3}}}, .attrs = with({-2, -2}, 0), .bad = "cuts away more than dim 0 has"}};
      });
}

void def_pad(Op& op) {
  op.schema(
        "pad(input: Tensor, pad: size, mode: constant|reflect|replicate|circular = constant, value: scalar? = None) -> "
        "Tensor @nn")
      .doc(
          "The tensor framed by a constant, or by its own elements mirrored, repeated or wrapped around; pad is read "
          "from the last dim.")
      .example(">>> thixo.nn.functional.pad(thixo.tensor([1, 2, 3]), (2, 0), mode='reflect')\ntensor([3, 2, 1, 2, 3])")
      .compose([](const Call& c) {
        const Shape& pad = c.list("pad");
        const std::string& mode = c.text("mode");
        if (mode == "constant")
          return Values{constant_pad_nd(c.in[0], pad, c.none("value") ? Scalar(0) : c.scalar("value"))};
        if (pad.size() % 2 != 0 || pad.size() / 2 > c.shape(0).size()) {
          throw c.error(ErrorKind::Shape, "pad " + shape_str(pad) + " must hold two numbers for each of at most " +
                                              std::to_string(c.rank(0)) + " dims");
        }
        Tensor x = c.in[0];
        for (size_t p = 0; p < pad.size() / 2; ++p) {
          int64_t d = c.rank(0) - 1 - static_cast<int>(p), n = x.size(d), before = pad[2 * p], after = pad[2 * p + 1];
          if (before == 0 && after == 0) continue;
          int64_t most = mode == "reflect" ? n - 1 : mode == "circular" ? n : INT64_MAX;
          if (before > most || after > most || n == 0 || Dim(n) + before + after < 0) {
            throw c.error(ErrorKind::Shape, mode + " padding of " + std::to_string(before) + ", " +
                                                std::to_string(after) + " does not fit dim " + std::to_string(d) +
                                                " of size " + std::to_string(n));
          }
          Tensor i = arange(-before, n + after);
          if (mode == "reflect") i = (n - 1) - abs((n - 1) - abs(i));
          if (mode == "replicate") i = clamp(i, 0, n - 1);
          if (mode == "circular") i = remainder(i, n);
          x = x.index_select(d, i);
        }
        return Values{x};
      })
      .samples([] {
        auto with = [](Shape pad, const char* mode) {
          return std::vector<std::pair<std::string, Attr>>{
              {"pad", pad}, {"mode", std::string(mode)}, {"value", Attr()}};
        };
        return std::vector<Sample>{{.in = {{{2, 3}}}, .attrs = with({1, 2}, "constant")},
                                   {.in = {{{2, 4}}}, .attrs = with({2, 1, 1, 0}, "reflect")},
                                   {.in = {{{2, 3}}}, .attrs = with({2, 1}, "replicate")},
                                   {.in = {{{2, 3}}}, .attrs = with({1, 3}, "circular")},
                                   {.in = {{{3}}},
                                    .attrs = with({3, 0}, "reflect"),
                                    .bad = "reflect padding of 3, 0 does not fit dim 0 of size 3"}};
      });
}

namespace {

bool is_number(Dim d, int64_t n) { return !d.is_symbolic() && d.value() == n; }

/// x with dim d `times` as large: all of dims `at` and on `times` times in a row. By three dims, as x may have
/// kMaxRank.
Tensor repeat_dim(const Tensor& x, size_t d, size_t at, Dim times) {
  Dim before = 1, rest = 1;
  Shape whole = x.shape();
  for (size_t e = 0; e < whole.size(); ++e) (e < at ? before : rest) *= whole[e];
  whole[d] *= times;
  const Tensor wide = x.reshape({before, 1, rest}).expand({before, times, rest});
  return wide.clone(MemoryFormat::Contiguous).reshape(whole);
}

}  // namespace

void def_repeat(Op& op) {
  op.schema("repeat(input: Tensor, repeats: size) -> Tensor")
      .doc("The tensor copied repeats[d] times along each dim; repeats may have more leading dims.")
      .example(">>> thixo.tensor([1, 2]).repeat(2, 2)\ntensor([[1, 2, 1, 2],\n        [1, 2, 1, 2]])")
      .compose([](const Call& c) {
        const Shape& times = c.list("repeats");
        if (times.size() < c.shape(0).size())
          throw c.error(ErrorKind::Shape,
                        "repeats " + shape_str(times) + " has fewer entries than the tensor has dims");
        size_t lead = times.size() - c.shape(0).size();
        Shape start, apart, wide, whole;  // [n]; [1, n], [times, n] and [times * n] for each dim
        for (size_t d = 0; d < times.size(); ++d) {
          Dim n = d < lead ? Dim(1) : c.shape(0)[d - lead];
          if (!times[d].is_symbolic() && times[d].value() < 0)
            throw c.error(ErrorKind::Value, "repeats " + shape_str(times) + " must not be negative");
          if (!is_number(times[d], 1)) apart.push_back(1), wide.push_back(times[d]);
          if (!is_number(n, 1) || is_number(times[d], 1)) apart.push_back(n), wide.push_back(n);
          start.push_back(n);
          whole.push_back(times[d] * n);
        }
        if (wide.size() + dispatch_state().levels.size() <= kMaxRank)  // each level may have a batch dim
          return Values{c.in[0].reshape(apart).expand(wide).clone(MemoryFormat::Contiguous).reshape(whole)};
        Tensor x = c.in[0].reshape(start);
        for (size_t d = times.size(); d-- > 0;) {  // the last first: least is copied twice
          if (!is_number(times[d], 1)) x = repeat_dim(x, d, d, times[d]);
        }
        return Values{x};
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{2, 3}}}, .attrs = {{"repeats", Shape{2, 1}}}},
            {.in = {{{2}}}, .attrs = {{"repeats", Shape{2, 3}}}},
            {.in = {{{}}}, .attrs = {{"repeats", Shape{3}}}},
            {.in = {{{2}}}, .attrs = {{"repeats", Shape{0}}}},
            {.in = {{{2, 1, 2, 1, 2}}}, .attrs = {{"repeats", Shape{2, 1, 1, 3, 2, 1}}}},
            {.in = {{{2, 2, 1, 2, 2}}}, .attrs = {{"repeats", Shape{2, 2, 2, 1, 3, 2}}}},
            {.in = {{{2, 3}}}, .attrs = {{"repeats", Shape{2}}}, .bad = "has fewer entries than the tensor has dims"}};
      });
}

void def_tile(Op& op) {
  op.schema("tile(input: Tensor, dims: size) -> Tensor")
      .doc("repeat that takes shorter lists: missing leading entries count as 1.")
      .example(">>> thixo.tensor([[1, 2]]).tile(2)\ntensor([[1, 2, 1, 2]])")
      .compose([](const Call& c) {
        Shape times = c.list("dims");
        while (times.size() < c.shape(0).size()) times.insert(0, 1);
        return Values{c.in[0].repeat(times)};
      })
      .samples([] {
        return std::vector<Sample>{{.in = {{{2, 3}}}, .attrs = {{"dims", Shape{2}}}},
                                   {.in = {{{2}}}, .attrs = {{"dims", Shape{-1}}}, .bad = "must not be negative"}};
      });
}

void def_repeat_interleave(Op& op) {
  op.schema("repeat_interleave(input: Tensor, repeats: int, dim: dim? = None) -> Tensor")
      .doc("Each element `repeats` times in a row along `dim`; of the flattened tensor when None.")
      .example(">>> thixo.tensor([1, 2]).repeat_interleave(2)\ntensor([1, 1, 2, 2])")
      .compose([](const Call& c) {
        Dim n = c.integer("repeats");
        if (n < 0) throw c.error(ErrorKind::Value, "repeats must not be negative, got " + n.str());
        const bool flat = c.none("dim") || c.rank(0) == 0;
        const auto d = static_cast<size_t>(flat ? 0 : c.dim("dim", c.rank(0)));
        return Values{repeat_dim(flat ? c.in[0].reshape({-1}) : c.in[0], d, d + 1, n)};
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{2, 3}}}, .attrs = {{"repeats", Dim(2)}, {"dim", Dim(0)}}},
            {.in = {{{2, 3}}}, .attrs = {{"repeats", Dim(3)}, {"dim", Attr()}}},
            {.in = {{{2, 1, 3, 1, 2, 1}}}, .attrs = {{"repeats", Dim(2)}, {"dim", Dim(2)}}},
            {.in = {{{2}}}, .attrs = {{"repeats", Dim(-1)}, {"dim", Attr()}}, .bad = "repeats must not be negative"}};
      });
}

void def_flip(Op& op) {
  op.schema("flip(input: Tensor, dims: dims) -> Tensor")
      .doc("The order of the elements reversed along the dims; a copy.")
      .example(">>> thixo.tensor([1, 2, 3]).flip(0)\ntensor([3, 2, 1])")
      .infer([](Infer& c) {
        c.dims("dims", c.rank(0));
        c.result(c.dtype(0), c.shape(0));
      })
      .nest([](NestCtx& c) {
        auto dims = c.dims("dims", c.rank(0));
        if (c.list("dims").empty()) dims.clear();
        std::vector<Expr> index;
        for (int d = 0; d < c.rank(0); ++d) {
          bool turned = std::find(dims.begin(), dims.end(), d) != dims.end();
          index.push_back(turned ? size(c.shape(0)[static_cast<size_t>(d)] - 1) - c.out_axis(d) : c.out_axis(d));
        }
        c.values = {c.load(0, index)};
      })
      .kernel("flip")
      .grad([](GradCtx& c) {
        IntList dims;
        for (Dim d : c.call().list("dims")) dims.push_back(d);
        return Values{c.g().flip(dims)};
      })
      .batch([](const BatchArgs& a) { return a.call.list("dims").empty() ? batch_leading(a) : batch_along(a, "dims"); })
      .samples([] {
        return std::vector<Sample>{{.in = {{{2, 3}}}, .attrs = {{"dims", Shape{0, -1}}}},
                                   {.in = {{{2, 3}}}, .attrs = {{"dims", Shape{1}}}},
                                   {.in = {{{2, 3}}}, .attrs = {{"dims", Shape{}}}},
                                   {.in = {{{0}}}, .attrs = {{"dims", Shape{0}}}},
                                   {.in = {{{2}}}, .attrs = {{"dims", Shape{1}}}, .bad = "dims 1 is out of range"},
                                   {.in = {{{2, 2}}}, .attrs = {{"dims", Shape{0, 0}}}, .bad = "dims 0 appears twice"}};
      });
}

void def_roll(Op& op) {
  op.schema("roll(input: Tensor, shifts: dims, dims: dims? = None) -> Tensor")
      .doc(
          "The elements shifted along the dims, those that fall off put in at the other end; without dims, of the "
          "flattened tensor.")
      .example(">>> thixo.tensor([1, 2, 3]).roll(1)\ntensor([3, 1, 2])")
      .compose([](const Call& c) {
        const Shape& shifts = c.list("shifts");
        if (c.none("dims")) {
          if (shifts.size() != 1) throw c.error(ErrorKind::Value, "without dims, shifts must be one number");
          return Values{c.in[0].reshape({-1}).roll(shifts[0].value(), 0).reshape(c.shape(0))};
        }
        const Shape& dims = c.list("dims");
        if (shifts.size() != dims.size()) throw c.error(ErrorKind::Value, "shifts and dims differ in length");
        Tensor x = c.in[0];
        for (size_t k = 0; k < dims.size(); ++k) {
          Dim n = x.size(dims[k]);
          if (n == 0) continue;
          Dim cut = (n - shifts[k] % n) % n;
          if (!(cut == 0)) x = cat({x.narrow(dims[k], cut, n - cut), x.narrow(dims[k], 0, cut)}, dims[k]);
        }
        return Values{x};
      })
      .samples([] {
        auto with = [](Shape shifts, Attr dims) {
          return std::vector<std::pair<std::string, Attr>>{{"shifts", shifts}, {"dims", dims}};
        };
        return std::vector<Sample>{
            {.in = {{{2, 3}}}, .attrs = with({1}, Attr())},
            {.in = {{{2, 3}}}, .attrs = with({-1, 5}, Shape{0, -1})},
            {.in = {{{0}}}, .attrs = with({1}, Shape{0})},
            {.in = {{{2, 3}}}, .attrs = with({1, 2}, Shape{0}), .bad = "shifts and dims differ in length"},
            {.in = {{{2, 3}}}, .attrs = with({1, 2}, Attr()), .bad = "without dims, shifts must be one number"}};
      });
}

}  // namespace thixo::ops
