// Softmax and its logarithms: composed of other ops; eager runs each decomposition fused, one kernel a row.
#include "ops/reduce/reduce.h"
#include "private_ops.h"

namespace thixo::ops {
namespace {

Tensor converted(const Call& c) { return widened(c.none("dtype") ? c.in[0] : c.in[0].to(c.type("dtype"))); }
DType result_type(const Call& c) { return c.none("dtype") ? c.dtype(0) : c.type("dtype"); }

std::vector<Sample> row_samples() {
  auto with = [](int d) { return std::vector<std::pair<std::string, Attr>>{{"dim", Dim(d)}}; };
  return {{.in = {{{3, 5}}}, .attrs = with(1)},
          {.in = {{{3, 5}}}, .attrs = with(0)},
          {.in = {{{2, 3, 40}}}, .attrs = with(-1)},
          {.in = {{{5}}}, .attrs = with(0)},
          {.in = {{.shape = {2, 3}, .low = -400, .high = 400}}, .attrs = with(1)},
          {.in = {{{3, 1}}}, .attrs = with(1)},
          {.in = {{{2, 2, 2, 2, 2, 3}}}, .attrs = with(-1)},
          {.in = {{{}}}, .attrs = with(0)},
          {.in = {{{0, 3}}}, .attrs = with(1)},
          {.in = {{{2, 3}}}, .attrs = with(2), .bad = "dim 2 is out of range for a tensor of rank 2"},
          {.in = {{.shape = {2, 3}, .dtype = DType::I64}},
           .attrs = with(1),
           .bad = "input is int64 but the op takes a floating-point type"}};
}

std::vector<Sample> row_backward_samples() {
  auto with = [](int d) { return std::vector<std::pair<std::string, Attr>>{{"dim", Dim(d)}}; };
  return {{.in = {{{3, 5}}, {.shape = {3, 5}, .low = 0, .high = 1}}, .attrs = with(1)},
          {.in = {{{5}}, {.shape = {5}, .low = 0, .high = 1}}, .attrs = with(0)},
          {.in = {{{3, 5}}, {.shape = {3, 5}, .low = 0, .high = 1}}, .attrs = with(0)}};
}

}  // namespace

void def_softmax(Op& op) {
  op.schema("softmax(input: Tensor, dim: dim, *, dtype: dtype? = None) -> Float")
      .doc("exp(x - max) / sum(exp(x - max)) along `dim`.")
      .source("Bridle 1990, Probabilistic interpretation of feedforward classification network outputs")
      .example(">>> thixo.softmax(thixo.tensor([0., 0.]), 0)\ntensor([0.5000, 0.5000])")
      .fused_rows()
      .compose([](const Call& c) {
        Tensor x = converted(c);
        if (!is_float(x.dtype()))
          throw c.error(ErrorKind::DType,
                        "input is " + std::string(dtype_name(c.dtype(0))) + " but the op takes a floating-point type");
        int64_t dim = c.dim("dim", c.rank(0));
        if (x.numel() == 0) return Values{x.to(result_type(c)).clone()};
        Tensor e = exp(x - x.amax(dim, true));
        return Values{(e / e.sum(dim, true)).to(result_type(c))};
      })
      .grad([](GradCtx& c) {
        int64_t dim = c.call().dim("dim", c.call().rank(0));
        return Values{softmax_backward(c.g(), c.out(), dim).to(c.call().dtype(0))};
      })
      .samples(row_samples);
}

void def_softmax_backward(Op& op) {
  op.schema("softmax_backward(grad: Float, output: Float, dim: dim) -> Float @private")
      .doc("The gradient of softmax from its output y: y * (g - sum(g * y)).")
      .fused_rows()
      .compose([](const Call& c) {
        Tensor g = widened(c.in[0]), y = widened(c.in[1]);
        return Values{(y * (g - (g * y).sum(c.dim("dim", c.rank(0)), true))).to(c.dtype(0))};
      })
      .samples(row_backward_samples);
}

void def_log_softmax(Op& op) {
  op.schema("log_softmax(input: Tensor, dim: dim, *, dtype: dtype? = None) -> Float")
      .doc("x - max - log(sum(exp(x - max))) along `dim`.")
      .example(">>> thixo.log_softmax(thixo.tensor([0., 0.]), 0)\ntensor([-0.6931, -0.6931])")
      .fused_rows()
      .compose([](const Call& c) {
        Tensor x = converted(c);
        if (!is_float(x.dtype()))
          throw c.error(ErrorKind::DType,
                        "input is " + std::string(dtype_name(c.dtype(0))) + " but the op takes a floating-point type");
        int64_t dim = c.dim("dim", c.rank(0));
        if (x.numel() == 0) return Values{x.to(result_type(c)).clone()};
        Tensor away = x - x.amax(dim, true);
        return Values{(away - log(exp(away).sum(dim, true))).to(result_type(c))};
      })
      .grad([](GradCtx& c) {
        int64_t dim = c.call().dim("dim", c.call().rank(0));
        return Values{log_softmax_backward(c.g(), c.out(), dim).to(c.call().dtype(0))};
      })
      .samples(row_samples);
}

void def_log_softmax_backward(Op& op) {
  op.schema("log_softmax_backward(grad: Float, output: Float, dim: dim) -> Float @private")
      .doc("The gradient of log_softmax from its output y: g - exp(y) * sum(g).")
      .fused_rows()
      .compose([](const Call& c) {
        Tensor g = widened(c.in[0]), y = widened(c.in[1]);
        return Values{(g - exp(y) * g.sum(c.dim("dim", c.rank(0)), true)).to(c.dtype(0))};
      })
      .samples(row_backward_samples);
}

void def_logsumexp(Op& op) {
  op.schema("logsumexp(input: Float, dim: dims, keepdim: bool = false) -> Float")
      .doc("log(sum(exp(x))) over `dim`, without overflow; -inf of nothing.")
      .example(">>> thixo.logsumexp(thixo.tensor([0., 0.]), 0)\ntensor(0.6931)")
      .promotes()
      .fused_rows()
      .compose([](const Call& c) {
        Tensor x = widened(c.in[0]);
        IntList dims;
        for (int d : c.dims("dim", c.rank(0))) dims.push_back(d);
        if (dims.empty()) return Values{c.in[0].clone()};
        if (x.numel() == 0) return Values{log(exp(x).sum(dims, c.flag("keepdim"))).to(c.dtype(0))};
        Tensor m = x.amax(dims, true);
        m = where(isinf(m), 0, m);  // inf - inf would be nan
        Tensor r = log(exp(x - m).sum(dims, true)) + m;
        r = r.to(c.dtype(0));
        return Values{c.flag("keepdim") ? r : r.squeeze(dims)};
      })
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        return Values{logsumexp_backward(keep_dims(k, c.g()), c.in(0), keep_dims(k, c.out()))};
      })
      .samples([] {
        std::vector<Sample> s = reduce_samples();
        s.push_back({.in = {{.shape = {2, 3}, .low = -400, .high = 400}}, .attrs = {{"dim", Shape{1}}}});
        s.push_back({.in = {{.shape = {2}, .values = {-HUGE_VAL, -HUGE_VAL}}}, .attrs = {{"dim", Shape{0}}}});
        s.push_back({.in = {{{2, 2, 2, 2, 2, 3}}}, .attrs = {{"dim", Shape{-1}}}});
        for (Sample& one : s) {
          if (one.attrs[0].second.index() == 0) one.attrs[0].second = Shape{};
        }
        return s;
      });
}

void def_logsumexp_backward(Op& op) {
  op.schema("logsumexp_backward(grad: Float, input: Float, output: Float) -> Float @private")
      .doc("The gradient of logsumexp: g * exp(x - y), g and y with 1 at the reduced dims.")
      .fused_rows()
      .compose([](const Call& c) {
        Tensor x = widened(c.in[1]), y = widened(c.in[2]);
        return Values{(widened(c.in[0]) * exp(x - y)).to(c.dtype(1))};
      })
      .samples(
          [] { return std::vector<Sample>{{.in = {{{3, 1}}, {{3, 5}}, {.shape = {3, 1}, .low = 4, .high = 6}}}}; });
}

}  // namespace thixo::ops
