// Moving values: copies in another layout or dtype. Eager runs all three with the backend's "copy" (strided,
// casting, broadcasting); their nest says the same for the compiler and the reference.
#include "core/values.h"
#include "ir/op.h"
#include "ops/batching.h"
#include "thixo/tensor.h"

namespace thixo::ops {
namespace {

/// The value of operand k at the result's axes, broadcast from the right.
Expr load_broadcast(NestCtx& c, int k) {
  int rank = static_cast<int>(c.out[0].shape.size()), r = c.rank(k);
  std::vector<Expr> index;
  for (int d = 0; d < r; ++d) index.push_back(c.shape(k)[d] == 1 ? constant_int(0) : c.out_axis(d + rank - r));
  return cast(c.load(k, index), compute_type(c.out[0].dtype));
}

BatchResult batch_clone(const BatchArgs& a) {
  return a.call.text("memory_format") == "channels_last" ? BatchResult{} : batch_leading(a);  // rank 4 only
}

/// The source is broadcast from the right: behind its batch dim come dims of size 1.
BatchResult batch_assign(const BatchArgs& a) {
  Tensor in[] = {batch_expanded(a, 0), batch_first(a, 1)};
  while (a.batch_dim[1] >= 0 && in[1].dim() < in[0].dim()) in[1] = in[1].unsqueeze(1);
  return call_batched(a, in, a.call.attrs);
}

}  // namespace

void def_clone(Op& op) {
  op.schema("clone(input: Tensor, *, memory_format: preserve|contiguous|channels_last = preserve) -> Tensor")
      .doc("A copy with memory of its own; `preserve` keeps the order of the dims in memory.")
      .example(">>> thixo.tensor([1, 2]).clone()\ntensor([1, 2])")
      .infer([](Infer& c) { c.result(c.dtype(0), c.shape(0)); })
      .nest([](NestCtx& c) { c.values = {load_broadcast(c, 0)}; })
      .kernel("copy")
      .batch(batch_clone)
      .grad([](GradCtx& c) { return Values{c.g()}; })
      .samples([] {
        auto as = [](const char* format) {
          return std::vector<std::pair<std::string, Attr>>{{"memory_format", std::string(format)}};
        };
        return std::vector<Sample>{{.in = {{{2, 3}}}, .attrs = as("preserve")},
                                   {.in = {{{}}}, .attrs = as("contiguous")},
                                   {.in = {{{0, 2}}}, .attrs = as("preserve")},
                                   {.in = {{{2, 3, 4, 5}}}, .attrs = as("channels_last")}};
      });
}

void def_to_dtype(Op& op) {
  op.schema("to_dtype(input: Tensor, dtype: dtype) -> Tensor @private")
      .doc("The values converted to `dtype`: floats to integers truncate, complex to real drops the imaginary part.")
      .infer([](Infer& c) { c.result(c.type("dtype"), c.shape(0)); })
      .nest([](NestCtx& c) { c.values = {load_broadcast(c, 0)}; })
      .kernel("copy")
      .batch(batch_leading)
      .grad([](GradCtx& c) {
        bool flows = is_differentiable(c.call().dtype(0)) && is_differentiable(c.call().type("dtype"));
        return Values{flows ? c.g().to(c.call().dtype(0)) : Tensor()};
      })
      .samples([] {
        std::vector<Sample> all;
        for (int t = 0; t < kDTypeCount; ++t) {
          all.push_back({.in = {{{3, 5}}}, .attrs = {{"dtype", static_cast<DType>(t)}}});
        }
        all.push_back({.in = {{{}}}, .attrs = {{"dtype", DType::I32}}});
        all.push_back({.in = {{{0}}}, .attrs = {{"dtype", DType::F64}}});
        return all;
      });
}

void def_assign(Op& op) {
  op.schema("assign(input: Tensor, src: Tensor) -> Tensor @private @inplace")
      .doc("src broadcast to the shape and converted to the dtype of input: what copy_ and fill_ write.")
      .infer([](Infer& c) {
        Shape both = broadcast_shapes(c.shape(0), c.shape(1), "copy_");
        c.require(both == c.shape(0), ErrorKind::Shape,
                  "source of shape " + shape_str(c.shape(1)) + " does not fit " + shape_str(c.shape(0)),
                  "the source broadcasts to the target's shape");
        const TensorRecord& src = *c.in[1].record();
        if (src.wrapped_number && src.storage && is_int(c.dtype(0)))
          c.require_fits(load_scalar(src.data(), src.dtype), c.dtype(0));
        c.result(c.dtype(0), c.shape(0));
      })
      .nest([](NestCtx& c) { c.values = {load_broadcast(c, 1)}; })
      .kernel("copy")
      .batch(batch_assign)
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        Tensor g = is_differentiable(k.dtype(1)) ? c.g().sum_to_size(k.shape(1)).to(k.dtype(1)) : Tensor();
        return Values{Tensor(), g};
      })
      .samples([] {
        return std::vector<Sample>{{.in = {{{2, 3}}, {{3}}}},
                                   {.in = {{{2, 3}}, {.shape = {}, .dtype = DType::F64}}},
                                   {.in = {{{0}}, {{0}}}},
                                   {.in = {{{3}}, {{2, 3}}}, .bad = "source of shape [2, 3] does not fit [3]"}};
      });
}

void def_sum_to_size(Op& op) {
  op.schema("sum_to_size(input: Tensor, size: size) -> Tensor")
      .doc("The sum over the dims along which `size` was broadcast to the input's shape: the gradient of expand.")
      .example(">>> thixo.ones([2, 3]).sum_to_size([1, 3])\ntensor([[2., 2., 2.]])")
      .compose([](const Call& c) {
        const Shape &from = c.shape(0), &to = c.list("size");
        if (from == to) return Values{c.in[0]};
        int lead = static_cast<int>(from.size()) - static_cast<int>(to.size());
        if (lead < 0) throw c.error(ErrorKind::Shape, "size " + shape_str(to) + " has more dims than the input");
        IntList dims;
        for (int d = 0; d < static_cast<int>(from.size()); ++d) {
          bool keep = d >= lead && to[static_cast<size_t>(d - lead)] == from[static_cast<size_t>(d)];
          if (keep) continue;
          if (d >= lead && !(to[static_cast<size_t>(d - lead)] == 1)) {
            throw c.error(ErrorKind::Shape, "size " + shape_str(to) + " does not broadcast to " + shape_str(from));
          }
          dims.push_back(d);
        }
        return Values{c.in[0].sum(dims, true).reshape(to)};
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{2, 3, 4}}}, .attrs = {{"size", Shape{3, 1}}}},
            {.in = {{{2, 3}}}, .attrs = {{"size", Shape{}}}},
            {.in = {{{2, 3}}}, .attrs = {{"size", Shape{2, 3}}}},
            {.in = {{{3}}}, .attrs = {{"size", Shape{1, 3}}}, .bad = "size [1, 3] has more dims than the input"},
            {.in = {{{2, 3}}}, .attrs = {{"size", Shape{2}}}, .bad = "size [2] does not broadcast to [2, 3]"}};
      });
}

}  // namespace thixo::ops
