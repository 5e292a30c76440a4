// Variance, deviation and norms, composed of sums.
#include <cmath>

#include "ops/reduce/reduce.h"
#include "private_ops.h"

namespace thixo::ops {
namespace {

/// The dims of attribute `dim`, of operand k.
IntList dim_list_of(const Call& c, int k) {
  IntList dims;
  for (int d : c.dims("dim", c.rank(k))) dims.push_back(d);
  return dims;
}
IntList dim_list(const Call& c) { return dim_list_of(c, 0); }

/// The sum over the call's dims, which may be none at all (a tensor without dims).
Tensor total(const Call& c, const Tensor& x, bool keep) { return c.rank(0) == 0 ? x : x.sum(dim_list(c), keep); }

Tensor squared_size(const Tensor& x) { return is_complex(x.dtype()) ? square(real(x)) + square(imag(x)) : square(x); }

Tensor freedom(const Call& c, const Tensor& x, double correction, bool keep) {
  return degrees_of_freedom(x, dim_list(c), correction, keep);
}

Tensor variance(const Call& c, const Tensor& x, const Tensor& mean) {
  const bool keep = c.flag("keepdim");
  return total(c, squared_size(x - mean), keep) / freedom(c, x, c.scalar("correction").to_double(), keep);
}

Tensor mean_of(const Call& c, const Tensor& x) { return c.rank(0) == 0 ? x : x.mean(dim_list(c), true); }

Tensor variance_gradient(GradCtx& c, const Tensor& g, const Tensor& g_mean) {
  const Call& k = c.call();
  return spread_backward(keep_dims(k, g), g_mean.defined() ? keep_dims(k, g_mean) : g_mean, c.in(0), dim_list(k),
                         k.scalar("correction").to_double());
}

std::vector<Sample> spread_samples() {
  auto with = [](Attr dim, Scalar correction, bool keep) {
    return std::vector<std::pair<std::string, Attr>>{{"dim", dim}, {"correction", correction}, {"keepdim", keep}};
  };
  return {{.in = {{{3, 4}}}, .attrs = with(Attr(), 1, false)},
          {.in = {{{3, 4}}}, .attrs = with(Shape{0}, 0, true)},
          {.in = {{{2, 3, 4}}}, .attrs = with(Shape{0, -1}, 2, false)},
          {.in = {{{3, 4}}}, .attrs = with(Shape{-1}, 1, false)},
          {.in = {{{2, 3, 4}}}, .attrs = with(Shape{-1, -2}, 1, true)},
          {.in = {{{2, 1, 2, 2, 1, 3}}}, .attrs = with(Shape{-1}, 1, false)},
          {.in = {{{3, 4}}}, .attrs = with(Shape{2}, 1, false), .bad = "dim 2 is out of range"}};
}

}  // namespace

void def_var(Op& op) {
  op.schema("var(input: FloatC, dim: dims? = None, *, correction: scalar = 1, keepdim: bool = false) -> Float")
      .doc("The variance over `dim`: the mean squared distance to the mean, divided by n - correction.")
      .example(">>> thixo.var(thixo.tensor([1., 2., 3., 4.]))\ntensor(1.6667)")
      .fused_rows()
      .compose([](const Call& c) {
        Tensor x = widened(c.in[0]);
        return Values{variance(c, x, mean_of(c, x)).to(real_type(c.dtype(0)))};
      })
      .grad([](GradCtx& c) { return Values{variance_gradient(c, c.g(), {})}; })
      .samples(spread_samples);
}

void def_std(Op& op) {
  op.schema("std(input: FloatC, dim: dims? = None, *, correction: scalar = 1, keepdim: bool = false) -> Float")
      .doc("The standard deviation over `dim`: the root of the variance.")
      .example(">>> thixo.std(thixo.tensor([1., 2., 3., 4.]))\ntensor(1.2910)")
      .fused_rows()
      .compose([](const Call& c) {
        Tensor x = widened(c.in[0]);
        return Values{sqrt(variance(c, x, mean_of(c, x))).to(real_type(c.dtype(0)))};
      })
      .grad([](GradCtx& c) {
        const Tensor out = widened(c.out());  // 0 where that is 0
        return Values{variance_gradient(c, where(eq(out, 0), 0, widened(c.g()) / (out * 2)), {})};
      })
      .samples(spread_samples);
}

void def_var_mean(Op& op) {
  op.schema(
        "var_mean(input: FloatC, dim: dims? = None, *, correction: scalar = 1, keepdim: bool = false) -> (var: Float, "
        "mean: FloatC)")
      .doc("The variance and the mean over `dim`.")
      .example(">>> thixo.var_mean(thixo.tensor([1., 3.]))[1]\ntensor(2.)")
      .fused_rows()
      .compose([](const Call& c) {
        Tensor x = widened(c.in[0]), m = mean_of(c, x);
        Tensor v = variance(c, x, m);
        return Values{v.to(real_type(c.dtype(0))), m.to(c.dtype(0)).reshape(v.shape())};
      })
      .grad([](GradCtx& c) { return Values{variance_gradient(c, c.g(0), c.g(1))}; })
      .samples(spread_samples);
}

void def_degrees_of_freedom(Op& op) {
  op.schema(
        "degrees_of_freedom(input: FloatC, dim: dims? = None, correction: float = 0, keepdim: bool = false) -> Float "
        "@private")
      .doc("How many elements fall into each result of a reduction over `dim`, less correction; not below 0.")
      .infer([](Infer& c) { c.result(real_type(compute_type(c.dtype(0))), reduced_shape(c)); })
      .nest([](NestCtx& c) {
        Expr n = cast(size(reduced_count(c)), DType::F64) - c.param("correction", DType::F64);
        c.values = {cast(max(n, 0.0), c.out[0].dtype)};
      })
      .no_grad()
      .samples([] {
        auto with = [](Attr dim, double correction, bool keep) {
          return std::vector<std::pair<std::string, Attr>>{
              {"dim", std::move(dim)}, {"correction", correction}, {"keepdim", keep}};
        };
        return std::vector<Sample>{{.in = {{{3, 4}}}, .attrs = with(Attr(), 1, false)},
                                   {.in = {{{3, 4}}}, .attrs = with(Shape{-1}, 0.5, true)},
                                   {.in = {{{2, 3, 4}}}, .attrs = with(Shape{0, 2}, 99, false)},
                                   {.in = {{{}}}, .attrs = with(Attr(), 0, false)}};
      });
}

void def_spread_backward(Op& op) {
  op.schema(
        "spread_backward(grad: Float, grad_mean: FloatC?, input: FloatC, dim: dims?, correction: float) -> FloatC "
        "@private")
      .doc(
          "The gradient of var, and of mean where grad_mean is given, both with 1 at the reduced dims: (x - mean) * "
          "grad * 2 / (n - correction) + grad_mean / n.")
      .fused_rows()
      .compose([](const Call& c) {
        Tensor x = widened(c.in[2]);
        const double correction = c.number("correction");
        const IntList dims = dim_list_of(c, 2);
        Tensor mean = dims.empty() ? x : x.mean(dims, true);
        Tensor g = (x - mean) * (widened(c.in[0]) * 2 / degrees_of_freedom(x, dims, correction, true));
        if (c.has(1)) g = g + widened(c.in[1]) / degrees_of_freedom(x, dims, 0, true);
        return Values{g.to(c.dtype(2))};
      })
      .samples([] {
        auto with = [](Attr dim) {
          return std::vector<std::pair<std::string, Attr>>{{"dim", std::move(dim)}, {"correction", 1.0}};
        };
        SampleTensor none{.absent = true}, wide{.shape = {3, 1}, .wide = true};
        return std::vector<Sample>{{.in = {{{3, 1}}, none, {{3, 4}}}, .attrs = with(Shape{-1})},
                                   {.in = {wide, none, {{3, 4}}}, .attrs = with(Shape{-1})},
                                   {.in = {{{3, 1}}, {{3, 1}}, {{3, 4}}}, .attrs = with(Shape{-1})},
                                   {.in = {{{1, 4}}, {{1, 4}}, {{3, 4}}}, .attrs = with(Shape{0})},
                                   {.in = {{{1, 1}}, none, {{3, 4}}}, .attrs = with(Attr())},
                                   {.in = {{{}}, none, {{}}}, .attrs = {{"dim", Attr()}, {"correction", 0.0}}}};
      });
}

void def_norm(Op& op) {
  op.schema("norm(input: FloatC, p: scalar = 2, dim: dims? = None, keepdim: bool = false) -> Float")
      .doc(
          "The p-norm over `dim`: sum(|x|^p)^(1/p); for p of inf or -inf the extreme of |x|, for 0 how many are not "
          "zero.")
      .example(">>> thixo.norm(thixo.tensor([3., 4.]))\ntensor(5.)")
      .compose([](const Call& c) {
        Tensor x = widened(c.in[0]);
        double p = c.scalar("p").to_double();
        bool keep = c.flag("keepdim");
        c.dims("dim", c.rank(0));  // checked, also where nothing is reduced
        Tensor r;
        if (p == 2) {
          r = sqrt(total(c, squared_size(x), keep));
        } else if (p == 1) {
          r = total(c, abs(x), keep);
        } else if (std::isinf(p)) {
          r = c.rank(0) == 0 ? abs(x) : p > 0 ? abs(x).amax(dim_list(c), keep) : abs(x).amin(dim_list(c), keep);
        } else if (p == 0) {
          r = total(c, ne(x, 0).to(real_type(x.dtype())), keep);
        } else {
          r = pow(total(c, pow(abs(x), p), keep), 1 / p);
        }
        return Values{r.to(real_type(c.dtype(0)))};
      })
      .grad([](GradCtx& c) {
        // By hand, so that it is 0 where the norm is 0.
        const Call& k = c.call();
        double p = k.scalar("p").to_double();
        Tensor x = c.in(0), n = keep_dims(k, c.out()), g = keep_dims(k, c.g());
        if (p == 0) return Values{zeros_like(x)};
        if (p == 2) return Values{x * where(eq(n, 0), 0, g / n)};
        Tensor a = is_complex(x.dtype()) ? abs(x) : x;
        Tensor direction = is_complex(x.dtype()) ? where(eq(a, 0), 0, x / a) : sign(x);
        if (p == 1) return Values{g * direction};
        Tensor size = abs(x);
        if (std::isinf(p)) {
          Tensor here = eq(size, n), count = k.rank(0) == 0 ? here.to(DType::I64) : here.sum(dim_list(k), true);
          return Values{direction * here * (g / count)};
        }
        const Tensor none = p < 1 ? eq(size, 0) : eq(n, 0);  // below 1 the slope has no bound at an element of 0
        if (p < 1) size = where(none, 1, size);
        return Values{where(none, 0, direction * pow(size, p - 1) * (g / pow(n, p - 1)))};
      })
      .samples([] {
        auto with = [](Scalar p, Attr dim, bool keep) {
          return std::vector<std::pair<std::string, Attr>>{{"p", p}, {"dim", dim}, {"keepdim", keep}};
        };
        return std::vector<Sample>{{.in = {{{3, 4}}}, .attrs = with(2, Attr(), false)},
                                   {.in = {{{3, 4}}}, .attrs = with(1, Shape{0}, true)},
                                   {.in = {{{3, 4}}}, .attrs = with(INFINITY, Shape{1}, false)},
                                   {.in = {{{3, 4}}}, .attrs = with(0, Shape{1}, false)},
                                   {.in = {{.shape = {3, 4}, .low = 0.5}}, .attrs = with(3, Shape{-1}, false)},
                                   {.in = {{.shape = {3, 4}, .low = 0.5}}, .attrs = with(0.5, Shape{-1}, false)},
                                   {.in = {{{}}}, .attrs = with(2, Attr(), false)}};
      });
}

}  // namespace thixo::ops
