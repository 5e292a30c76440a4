// Sums, means and products over dims, and the truth of any or all.
#include "ops/batching.h"
#include "ops/reduce/reduce.h"
#include "private_ops.h"

namespace thixo::ops {
namespace {

DType sum_type(const Call& c) {
  if (!c.none("dtype")) return c.type("dtype");
  return is_differentiable(c.dtype(0)) ? c.dtype(0) : DType::I64;
}

Expr truth(Expr v) { return v.dtype() == DType::Bool ? v : ne(v, 0.0); }

/// In the result's type; of truths by `logic`.
void accumulate(NestCtx& c, Combine numbers, Combine logic) {
  const DType t = compute_type(c.out[0].dtype);
  if (t == DType::Bool) {
    reduce_nest(c, logic, truth);
  } else {
    reduce_nest(c, numbers, [t](Expr v) { return cast(v, t); });
  }
}

}  // namespace

void def_sum(Op& op) {
  op.schema("sum(input: Tensor, dim: dims? = None, keepdim: bool = false, *, dtype: dtype? = None) -> Tensor")
      .doc("The sum over `dim` (all dims when None); integers and bool are added in int64.")
      .example(">>> thixo.sum(thixo.tensor([[1., 2.], [3., 4.]]), 0)\ntensor([4., 6.])")
      .infer([](Infer& c) { c.result(sum_type(c), reduced_shape(c)); })
      .nest([](NestCtx& c) { accumulate(c, Combine::Sum, Combine::Or); })
      .grad([](GradCtx& c) { return Values{expand_reduced(c.call(), c.g()).to(c.call().dtype(0))}; })
      .batch(along("dim"))
      .samples([] {
        std::vector<Sample> s = reduce_samples();
        s.push_back({.in = {{{2, 0}}}, .attrs = {{"dim", Shape{1}}}});
        s.push_back({.in = {{{4}}}, .attrs = {{"dtype", DType::F64}}});
        s.push_back({.in = {{{4}}}, .attrs = {{"dtype", DType::Bool}}});
        s.push_back({.in = {{.shape = {4}, .dtype = DType::I64}}, .attrs = {{"dtype", DType::I32}}});
        return s;
      });
}

void def_mean(Op& op) {
  op.schema("mean(input: Tensor, dim: dims? = None, keepdim: bool = false, *, dtype: dtype? = None) -> FloatC")
      .doc("The mean over `dim` (all dims when None); nan of nothing.")
      .example(">>> thixo.mean(thixo.tensor([[1., 2.], [3., 4.]]), 0)\ntensor([2., 3.])")
      .infer([](Infer& c) {
        DType t = c.none("dtype") ? c.dtype(0) : c.type("dtype");
        c.require(is_differentiable(t), ErrorKind::DType,
                  "the mean of " + std::string(dtype_name(t)) + " is no " + std::string(dtype_name(t)), {},
                  "pass dtype=float32, or convert the input");
        c.result(t, reduced_shape(c));
      })
      .nest([](NestCtx& c) {
        DType t = compute_type(c.out[0].dtype);
        Dim n = reduced_count(c);
        reduce_nest(c, Combine::Sum, [t](Expr v) { return cast(v, t); });
        c.finish = [t, n](Expr total) { return total / cast(size(n), t); };
      })
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        Dim n = reduced_count(k);
        return Values{(expand_reduced(k, c.g()) / static_cast<double>(n.value())).to(k.dtype(0))};
      })
      .batch(along("dim"))
      .samples([] {
        std::vector<Sample> s = reduce_samples();
        s.push_back({.in = {{.shape = {4}, .dtype = DType::I32}}, .attrs = {{"dtype", DType::F64}}});
        s.push_back({.in = {{.shape = {4}, .dtype = DType::I64}}, .bad = "the mean of int64 is no int64"});
        return s;
      });
}

void def_prod(Op& op) {
  op.schema("prod(input: Tensor, dim: dims? = None, keepdim: bool = false, *, dtype: dtype? = None) -> Tensor")
      .doc("The product over `dim` (all dims when None); integers and bool are multiplied in int64.")
      .example(">>> thixo.prod(thixo.tensor([2., 3.]))\ntensor(6.)")
      .infer([](Infer& c) { c.result(sum_type(c), reduced_shape(c)); })
      .nest([](NestCtx& c) { accumulate(c, Combine::Prod, Combine::And); })
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        Tensor x = c.in(0).to(c.g().dtype()), g = keep_dims(k, c.g());
        IntList dims, last;
        for (int d : k.dims("dim", k.rank(0))) dims.push_back(d);
        if (dims.empty()) return Values{c.g().reshape(k.shape(0)).to(k.dtype(0))};
        if (dims.size() == 1) return Values{prod_backward(g, x, dims[0]).to(k.dtype(0))};
        // Several dims as one.
        for (size_t i = 0; i < dims.size(); ++i) last.push_back(k.rank(0) - static_cast<int>(dims.size() - i));
        Tensor rows = x.movedim(dims, last);
        const auto lead = rows.shape().size() - dims.size();
        Shape flat;
        for (size_t d = 0; d < lead; ++d) flat.push_back(rows.shape()[d]);
        flat.push_back(1);
        g = g.reshape(flat);
        flat[lead] = reduced_count(k);
        Tensor r = prod_backward(g, rows.reshape(flat), -1).reshape(rows.shape());
        return Values{r.movedim(last, dims).to(k.dtype(0))};
      })
      .batch(along("dim"))
      .samples([] {
        std::vector<Sample> s = reduce_samples();
        s.push_back(
            {.in = {{.shape = {3, 4}, .values = {2, 0, 3, -1, 1, 2, 3, 4, 0, 5, 0, 2}}}, .attrs = {{"dim", Shape{1}}}});
        return s;
      });
}

void def_prod_backward(Op& op) {
  op.schema("prod_backward(grad: FloatC, input: FloatC, dim: dim) -> FloatC @private")
      .doc("The gradient of prod along one dim; grad has 1 there.")
      .fused_rows()
      .compose([](const Call& c) {
        // Exact to second order with any number of zeros: prod = p * e, where p is the product of what is not
        // zero and e is 1, s1 or (s1^2 - s2) / 2 of the zeroes' values when there are none, one or two of them.
        const int64_t dim = c.dim("dim", c.rank(1));
        Tensor x = widened(c.in[1]), g = widened(c.in[0]);
        Tensor zero = eq(x, 0), count = where(zero, 1.0, 0.0).sum(dim, true);
        Tensor rest = where(zero, 1, x), p = rest.prod(dim, true);
        Tensor small = where(zero, x, 0), s1 = small.sum(dim, true), s2 = square(small).sum(dim, true);
        Tensor e = where(eq(count, 0), 1, where(eq(count, 1), s1, where(eq(count, 2), (square(s1) - s2) * 0.5, 0)));
        Tensor de = where(eq(count, 1), 1, where(eq(count, 2), s1 - small, 0));
        Tensor slope = where(zero, p * de, p * e / rest);
        return Values{(g * (is_complex(x.dtype()) ? conj(slope) : slope)).to(c.dtype(1))};
      })
      .samples([] {
        auto with = [](int d) { return std::vector<std::pair<std::string, Attr>>{{"dim", Dim(d)}}; };
        // Zeros are in the samples of prod: here they would ask for its third derivative.
        return std::vector<Sample>{{.in = {{{3, 1}}, {.shape = {3, 4}, .low = 0.5}}, .attrs = with(1)},
                                   {.in = {{{1, 4}}, {.shape = {3, 4}, .low = 0.5}}, .attrs = with(0)},
                                   {.in = {{{1}}, {.shape = {5}, .high = -0.5}}, .attrs = with(0)}};
      });
}

void def_any(Op& op) {
  op.schema("any(input: Tensor, dim: dims? = None, keepdim: bool = false) -> Bool")
      .doc("Whether an element along `dim` is not zero.")
      .example(">>> thixo.any(thixo.tensor([0., 2.]))\ntensor(True)")
      .infer([](Infer& c) { c.result(DType::Bool, reduced_shape(c)); })
      .nest([](NestCtx& c) { reduce_nest(c, Combine::Or, truth); })
      .no_grad()
      .batch(along("dim"))
      .samples(reduce_samples);
}

void def_all(Op& op) {
  op.schema("all(input: Tensor, dim: dims? = None, keepdim: bool = false) -> Bool")
      .doc("Whether every element along `dim` is not zero.")
      .example(">>> thixo.all(thixo.tensor([0., 2.]))\ntensor(False)")
      .infer([](Infer& c) { c.result(DType::Bool, reduced_shape(c)); })
      .nest([](NestCtx& c) { reduce_nest(c, Combine::And, truth); })
      .no_grad()
      .batch(along("dim"))
      .samples(reduce_samples);
}

void def_count_nonzero(Op& op) {
  op.schema("count_nonzero(input: Tensor, dim: dims? = None) -> Int")
      .doc("How many elements along `dim` are not zero.")
      .example(">>> thixo.count_nonzero(thixo.tensor([0., 2., 3.]))\ntensor(2)")
      .compose([](const Call& c) {
        IntList dims;
        if (!c.none("dim")) {
          for (int d : c.dims("dim", c.rank(0))) dims.push_back(d);
        }
        return Values{ne(c.in[0], 0).sum(dims)};
      })
      .no_grad()
      .samples([] {
        return std::vector<Sample>{
            {.in = {{.shape = {2, 3}, .values = {0, 1, 2, 0, 0, 3}}}, .attrs = {{"dim", Shape{1}}}}, {.in = {{{4}}}}};
      });
}

}  // namespace thixo::ops
