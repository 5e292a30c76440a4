// Views that keep all elements: the same values in the same storage under another shape.
#include "core/storage.h"
#include "ops/batching.h"
#include "ops/shape/shape.h"
#include "thixo/tensor.h"

namespace thixo::ops {

Shape resolve_shape(const Call& c, const Shape& size, Dim numel) {
  Shape out = size;
  Dim known = 1;
  int open = -1;
  for (size_t d = 0; d < out.size(); ++d) {
    if (!out[d].is_symbolic() && out[d].value() == -1) {
      if (open >= 0) throw c.error(ErrorKind::Shape, "only one size can be -1 in " + shape_str(size));
      open = static_cast<int>(d);
      continue;
    }
    if (!out[d].is_symbolic() && out[d].value() < 0)
      throw c.error(ErrorKind::Shape, "negative size in " + shape_str(size));
    known *= out[d];
  }
  bool fits = open < 0 ? known == numel : !(known == 0) && numel % known == 0;
  if (!fits) {
    throw c.error(ErrorKind::Shape, "shape " + shape_str(size) + " does not fit " + numel.str() + " elements");
  }
  if (open >= 0) out[static_cast<size_t>(open)] = numel / known;
  return out;
}

std::optional<Strides> view_strides(const Shape& from, const Strides& strides, const Shape& to) {
  if (numel_of(from) == 0) return from == to ? strides : contiguous_strides(to);
  Strides out(to.size(), Dim(1));
  if (from.empty()) return out;  // one element: any sizes of 1 will do
  auto next = static_cast<int>(to.size()) - 1;  // dims of `to` behind it are done
  // Walks over blocks of input dims that lie in memory as one, from the last; each takes its share of `to`.
  Dim block = 1, base = strides.back();
  for (int d = static_cast<int>(from.size()) - 1; d >= 0; --d) {
    block *= from[static_cast<size_t>(d)];
    bool ends =
        d == 0 || (!(from[static_cast<size_t>(d - 1)] == 1) && !(strides[static_cast<size_t>(d - 1)] == block * base));
    if (!ends) continue;
    Dim taken = 1;
    while (next >= 0 && (!(taken == block) || to[static_cast<size_t>(next)] == 1)) {
      out[static_cast<size_t>(next)] = taken * base;
      taken *= to[static_cast<size_t>(next)];
      --next;
    }
    if (!(taken == block)) return std::nullopt;
    if (d > 0) {
      block = 1;
      base = strides[static_cast<size_t>(d - 1)];
    }
  }
  return next < 0 ? std::optional(out) : std::nullopt;
}

int insert_dim(const Call& c, std::string_view name, int rank) {
  int64_t d = c.integer(name), n = rank + 1;
  if (d < -n || d >= n) {
    throw c
        .error(ErrorKind::Index, std::string(name) + " " + std::to_string(d) +
                                     " is out of range for a new dim of a tensor of rank " + std::to_string(rank))
        .need(std::to_string(-n) + " <= " + std::string(name) + " <= " + std::to_string(n - 1));
  }
  return static_cast<int>(d < 0 ? d + n : d);
}

ViewSpec same_place(const Call& c, Shape shape, Strides strides) {
  return {std::move(shape), std::move(strides), c.in[0].storage_offset()};
}

namespace {

/// Batch in front, and in front of the sizes in attribute "size" too.
BatchResult batch_sizes(const BatchArgs& a) {
  Tensor x = batch_first(a, 0);
  SmallVec<Attr, 4> attrs(a.call.attrs);
  Shape size = a.call.list("size");
  auto rank = static_cast<size_t>(x.dim()) - 1;
  if (a.call.op->name() == "expand") {
    Shape padded = x.shape();  // expand may add leading dims: they stand behind the batch
    for (size_t d = rank; d < size.size(); ++d) padded.insert(1, 1);
    x = x.reshape(padded);
  }
  size.insert(0, a.batch_size);
  attrs[attr_index(a.call, "size")] = size;
  return call_batched(a, std::span<const Tensor>(&x, 1), attrs);
}

}  // namespace

void def_view(Op& op) {
  op.schema("view(input: Tensor, size: size) -> Tensor")
      .doc(
          "The same elements under another shape, sharing memory; one size may be -1. ShapeError when only a copy "
          "could do it.")
      .example(">>> thixo.arange(4).view(2, -1)\ntensor([[0, 1],\n        [2, 3]])")
      .view([](const Call& c) {
        Shape to = resolve_shape(c, c.list("size"), numel_of(c.shape(0)));
        std::optional<Strides> s = view_strides(c.shape(0), c.in[0].strides(), to);
        if (!s) {
          throw c
              .error(ErrorKind::Shape, "the elements of this tensor do not lie in memory in the order that shape " +
                                           shape_str(to) + " needs")
              .fix("use reshape, which copies where it must");
        }
        return same_place(c, to, *s);
      })
      .grad([](GradCtx& c) { return Values{c.g().reshape(c.call().shape(0))}; })
      .batch([](const BatchArgs& a) {
        // The batch dim in front may break the order in memory: then this call is a copy.
        Tensor x = batch_first(a, 0);
        Shape size = a.call.list("size");
        size.insert(0, a.batch_size);
        return BatchResult{{x.reshape(size)}, {0}};
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{2, 6}}}, .attrs = {{"size", Shape{3, -1}}}},
            {.in = {{{}}}, .attrs = {{"size", Shape{1, 1}}}},
            {.in = {{{0, 3}}}, .attrs = {{"size", Shape{3, 0, 2}}}},
            {.in = {{{4}}}, .attrs = {{"size", Shape{3, -1}}}, .bad = "shape [3, -1] does not fit 4 elements"},
            {.in = {{{4}}}, .attrs = {{"size", Shape{-1, -1}}}, .bad = "only one size can be -1"}};
      });
}

void def_reshape(Op& op) {
  op.schema("reshape(input: Tensor, shape: size) -> Tensor")
      .doc("The same elements under another shape; one size may be -1. A view where the memory allows it, else a copy.")
      .example(">>> thixo.arange(4).reshape(2, 2)\ntensor([[0, 1],\n        [2, 3]])")
      .compose([](const Call& c) {
        Shape to = resolve_shape(c, c.list("shape"), numel_of(c.shape(0)));
        bool direct = view_strides(c.shape(0), c.in[0].strides(), to).has_value();
        return Values{(direct ? c.in[0] : c.in[0].clone(MemoryFormat::Contiguous)).view(to)};
      })
      .batch([](const BatchArgs& a) {
        Shape shape = a.call.list("shape");
        shape.insert(0, a.batch_size);
        return BatchResult{{batch_first(a, 0).reshape(shape)}, {0}};
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{2, 6}}}, .attrs = {{"shape", Shape{3, -1}}}},
            {.in = {{{1}}}, .attrs = {{"shape", Shape{}}}},
            {.in = {{{0, 3}}}, .attrs = {{"shape", Shape{0}}}},
            {.in = {{{5}}}, .attrs = {{"shape", Shape{2, 3}}}, .bad = "shape [2, 3] does not fit 5 elements"}};
      });
}

namespace {

/// ValueError when the last element lies behind the storage; nothing is known of tensors without memory.
void check_storage(const Call& c, const Shape& size, const Shape& stride, Dim offset) {
  const TensorRecord& r = *c.in[0].record();
  if (!r.storage || numel_of(size) == 0) return;
  // By division, so that no product of hostile numbers wraps.
  const auto room = static_cast<int64_t>(r.storage->bytes / item_size(r.dtype));
  int64_t left = room - 1 - offset.value();
  bool fits = left >= 0;
  for (size_t d = 0; fits && d < size.size(); ++d) {
    const int64_t steps = size[d].value() - 1, step = stride[d].value();
    fits = steps == 0 || step <= left / steps;
    left -= fits ? steps * step : 0;
  }
  if (fits) return;
  throw c.error(ErrorKind::Value, "size " + shape_str(size) + ", stride " + shape_str(stride) + " and storage_offset " +
                                      offset.str() + " lead out of the storage of " + std::to_string(room) +
                                      " elements");
}

}  // namespace

void def_as_strided(Op& op) {
  op.schema("as_strided(input: Tensor, size: size, stride: size, storage_offset: int? = None) -> Tensor")
      .doc("A view of the tensor's storage with any shape, strides and offset (in elements).")
      .example(">>> thixo.arange(4).as_strided((2, 2), (1, 1))\ntensor([[0, 1],\n        [1, 2]])")
      .view([](const Call& c) {
        const Shape &size = c.list("size"), &stride = c.list("stride");
        if (size.size() != stride.size()) {
          throw c.error(ErrorKind::Shape,
                        "size " + shape_str(size) + " and stride " + shape_str(stride) + " differ in length");
        }
        for (size_t d = 0; d < size.size(); ++d) {
          if (!size[d].is_symbolic() && size[d].value() < 0)
            throw c.error(ErrorKind::Shape, "negative size in " + shape_str(size));
          if (!stride[d].is_symbolic() && stride[d].value() < 0)
            throw c.error(ErrorKind::Value, "negative stride in " + shape_str(stride));
        }
        Dim offset = c.none("storage_offset") ? Dim(c.in[0].storage_offset()) : c.integer("storage_offset");
        if (!offset.is_symbolic() && offset.value() < 0)
          throw c.error(ErrorKind::Value, "storage_offset " + offset.str() + " is negative");
        check_storage(c, size, stride, offset);
        return ViewSpec{size, stride, offset};
      })
      .grad([](GradCtx& c) {
        // Both geometries lie in one flat range: scatter g into it by the view's, read it by the input's.
        const Call& k = c.call();
        const Tensor& x = k.in[0];
        Dim input_offset = x.storage_offset();
        Dim view_offset = k.none("storage_offset") ? input_offset : k.integer("storage_offset");
        auto extent = [](const Shape& size, const Shape& stride) {
          Dim last = 1;
          for (size_t d = 0; d < size.size(); ++d) last += (size[d] - 1) * stride[d];
          return last;
        };
        const Shape& stride = k.list("stride");
        Tensor g = c.g();
        if (g.numel() == 0 || x.numel() == 0) return Values{zeros_like(x)};
        Tensor place = full({}, (view_offset - input_offset).value(), {.dtype = DType::I64});
        for (size_t d = 0; d < stride.size(); ++d) {
          Shape along(stride.size(), Dim(1));
          along[d] = g.shape()[d];
          place = place + (arange(g.shape()[d].value()) * stride[d].value()).view(along);
        }
        for (size_t d = 0; d < x.shape().size(); ++d) {
          if (x.shape()[d] > 1 && x.strides()[d] == 0) {
            throw NotImplementedError("as_strided: the gradient for an expanded input")
                .fix("call contiguous() on the input first");
          }
        }
        Dim length = extent(x.shape(), x.strides());
        place = place.expand(g.shape()).reshape({-1});
        // What the view shows outside of the input's own range is not the input's.
        Tensor inside = logical_and(place >= 0, place < length.value());
        Tensor flat = zeros({length}, {.dtype = g.dtype()})
                          .index_add(0, where(inside, place, 0), where(inside, g.reshape({-1}), 0));
        return Values{flat.as_strided(x.shape(), x.strides(), 0)};
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{6}}}, .attrs = {{"size", Shape{2, 3}}, {"stride", Shape{1, 2}}, {"storage_offset", Dim(0)}}},
            {.in = {{{3, 4}}}, .attrs = {{"size", Shape{2, 2}}, {"stride", Shape{1, 1}}, {"storage_offset", Dim(1)}}},
            {.in = {{{4}}}, .attrs = {{"size", Shape{}}, {"stride", Shape{}}, {"storage_offset", Attr()}}},
            {.in = {{{4}}},
             .attrs = {{"size", Shape{2}}, {"stride", Shape{1, 1}}, {"storage_offset", Attr()}},
             .bad = "differ in length"},
            {.in = {{{4}}},
             .attrs = {{"size", Shape{2}}, {"stride", Shape{1}}, {"storage_offset", Dim(-1)}},
             .bad = "storage_offset -1 is negative"},
            {.in = {{{4}}},
             .attrs = {{"size", Shape{3}}, {"stride", Shape{2}}, {"storage_offset", Attr()}},
             .bad = "size [3], stride [2] and storage_offset 0 lead out of the storage of"},
            {.in = {{{4}}},
             .attrs = {{"size", Shape{2}}, {"stride", Shape{-1}}, {"storage_offset", Attr()}},
             .bad = "negative stride"}};
      });
}

void def_expand(Op& op) {
  op.schema("expand(input: Tensor, size: size) -> Tensor")
      .doc("A view with dims of size 1 repeated to `size`, which may have more leading dims; -1 keeps a size.")
      .example(">>> thixo.tensor([[1], [2]]).expand(2, 3)\ntensor([[1, 1, 1],\n        [2, 2, 2]])")
      .view([](const Call& c) {
        const Shape &size = c.list("size"), &from = c.shape(0);
        if (size.size() < from.size())
          throw c.error(ErrorKind::Shape, "size " + shape_str(size) + " has fewer dims than the tensor");
        size_t lead = size.size() - from.size();
        ViewSpec v{size, Strides(size.size(), Dim(0)), c.in[0].storage_offset()};
        for (size_t d = 0; d < size.size(); ++d) {
          bool keep = !size[d].is_symbolic() && size[d].value() == -1;
          if (d < lead) {
            if (keep)
              throw c.error(ErrorKind::Shape, "-1 stands for a size that the tensor does not have")
                  .need("-1 only for existing dims");
            continue;
          }
          Dim n = from[d - lead];
          if (keep) v.shape[d] = n;
          if (v.shape[d] == n) {
            v.strides[d] = c.in[0].strides()[d - lead];
          } else if (!(n == 1)) {
            throw c
                .error(ErrorKind::Shape,
                       "cannot expand dim " + std::to_string(d - lead) + " of size " + n.str() + " to " + size[d].str())
                .need("only dims of size 1 expand");
          }
        }
        return v;
      })
      .grad([](GradCtx& c) { return Values{c.g().sum_to_size(c.call().shape(0))}; })
      .batch(batch_sizes)
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{2, 1}}}, .attrs = {{"size", Shape{2, 3}}}},
            {.in = {{{}}}, .attrs = {{"size", Shape{2}}}},
            {.in = {{{1, 3}}}, .attrs = {{"size", Shape{2, 4, -1}}}},
            {.in = {{{1}}}, .attrs = {{"size", Shape{0}}}},
            {.in = {{{2}}}, .attrs = {{"size", Shape{3}}}, .bad = "cannot expand dim 0 of size 2 to 3"},
            {.in = {{{2}}},
             .attrs = {{"size", Shape{-1, 2}}},
             .bad = "-1 stands for a size that the tensor does not have"},
            {.in = {{{2, 2}}}, .attrs = {{"size", Shape{2}}}, .bad = "has fewer dims"}};
      });
}

void def_permute(Op& op) {
  op.schema("permute(input: Tensor, dims: size) -> Tensor")
      .doc("A view with the dims in another order: dim d of the result is dim dims[d] of the input.")
      .example(">>> thixo.zeros(2, 3, 4).permute(2, 0, 1).shape\nthixo.Size([4, 2, 3])")
      .view([](const Call& c) {
        const Shape& dims = c.list("dims");
        auto rank = static_cast<int64_t>(c.rank(0));
        if (static_cast<int64_t>(dims.size()) != rank) {
          throw c.error(ErrorKind::Shape,
                        "dims " + shape_str(dims) + " must name each of the " + std::to_string(rank) + " dims once");
        }
        ViewSpec v = same_place(c, {}, {});
        SmallVec<bool, kMaxRank> seen(dims.size(), false);
        for (Dim dim : dims) {
          int64_t d = dim.value() < 0 ? dim.value() + rank : dim.value();
          if (d < 0 || d >= rank || seen[static_cast<size_t>(d)]) {
            throw c.error(ErrorKind::Index,
                          "dims " + shape_str(dims) + " must name each of the " + std::to_string(rank) + " dims once");
          }
          seen[static_cast<size_t>(d)] = true;
          v.shape.push_back(c.shape(0)[static_cast<size_t>(d)]);
          v.strides.push_back(c.in[0].strides()[static_cast<size_t>(d)]);
        }
        return v;
      })
      .grad([](GradCtx& c) {
        const Shape& dims = c.call().list("dims");
        Shape back(dims.size());
        auto rank = static_cast<int64_t>(dims.size());
        for (size_t d = 0; d < dims.size(); ++d)
          back[static_cast<size_t>((dims[d].value() + rank) % rank)] = static_cast<int64_t>(d);
        return Values{c.g().permute(back)};
      })
      .batch([](const BatchArgs& a) {
        Shape dims{0};
        auto rank = static_cast<int64_t>(a.call.list("dims").size());
        for (Dim d : a.call.list("dims")) dims.push_back(d.value() < 0 ? d.value() + rank + 1 : d.value() + 1);
        return BatchResult{{batch_first(a, 0).permute(dims)}, {0}};
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{2, 3, 4}}}, .attrs = {{"dims", Shape{2, 0, -2}}}},
            {.in = {{{}}}, .attrs = {{"dims", Shape{}}}},
            {.in = {{{0, 2}}}, .attrs = {{"dims", Shape{1, 0}}}},
            {.in = {{{2, 3}}}, .attrs = {{"dims", Shape{0}}}, .bad = "must name each of the 2 dims once"},
            {.in = {{{2, 3}}}, .attrs = {{"dims", Shape{0, -2}}}, .bad = "must name each of the 2 dims once"}};
      });
}

void def_unsqueeze(Op& op) {
  op.schema("unsqueeze(input: Tensor, dim: dim) -> Tensor")
      .doc("A view with a dim of size 1 put in at `dim`.")
      .example(">>> thixo.tensor([1, 2]).unsqueeze(1).shape\nthixo.Size([2, 1])")
      .view([](const Call& c) {
        auto d = static_cast<size_t>(insert_dim(c, "dim", c.rank(0)));
        ViewSpec v = same_place(c, c.shape(0), c.in[0].strides());
        v.strides.insert(d, d < v.shape.size() ? v.shape[d] * v.strides[d] : Dim(1));
        v.shape.insert(d, 1);
        return v;
      })
      .grad([](GradCtx& c) { return Values{c.g().squeeze(insert_dim(c.call(), "dim", c.call().rank(0)))}; })
      .batch([](const BatchArgs& a) {
        int d = insert_dim(a.call, "dim", a.call.rank(0) - 1);
        return BatchResult{{batch_first(a, 0).unsqueeze(d + 1)}, {0}};
      })
      .samples([] {
        return std::vector<Sample>{{.in = {{{2, 3}}}, .attrs = {{"dim", Dim(1)}}},
                                   {.in = {{{2, 3}}}, .attrs = {{"dim", Dim(-1)}}},
                                   {.in = {{{}}}, .attrs = {{"dim", Dim(0)}}},
                                   {.in = {{{0}}}, .attrs = {{"dim", Dim(0)}}},
                                   {.in = {{{2}}}, .attrs = {{"dim", Dim(3)}}, .bad = "dim 3 is out of range"}};
      });
}

void def_squeeze(Op& op) {
  op.schema("squeeze(input: Tensor, dim: dims? = None) -> Tensor")
      .doc("A view without the dims of size 1: all, or those among `dim`.")
      .example(">>> thixo.zeros(1, 3, 1).squeeze().shape\nthixo.Size([3])")
      .view([](const Call& c) {
        ViewSpec v = same_place(c, {}, {});
        auto named = c.dims("dim", c.rank(0));
        for (int d = 0; d < c.rank(0); ++d) {
          Dim n = c.shape(0)[static_cast<size_t>(d)];
          if (std::find(named.begin(), named.end(), d) != named.end() && n == 1) continue;
          v.shape.push_back(n);
          v.strides.push_back(c.in[0].strides()[static_cast<size_t>(d)]);
        }
        return v;
      })
      .grad([](GradCtx& c) { return Values{c.g().reshape(c.call().shape(0))}; })
      .batch(along("dim"))
      .samples([] {
        return std::vector<Sample>{{.in = {{{1, 3, 1}}}, .attrs = {{"dim", Attr()}}},
                                   {.in = {{{1, 3, 1}}}, .attrs = {{"dim", Shape{-1}}}},
                                   {.in = {{{1, 3, 1}}}, .attrs = {{"dim", Shape{0, 1}}}},
                                   {.in = {{{}}}, .attrs = {{"dim", Shape{0}}}},
                                   {.in = {{{2}}}, .attrs = {{"dim", Shape{2}}}, .bad = "dim 2 is out of range"}};
      });
}

}  // namespace thixo::ops
