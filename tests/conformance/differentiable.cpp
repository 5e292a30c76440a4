#include "differentiable.h"

#include <algorithm>
#include <cmath>

#include "ir/dispatch.h"
#include "thixo/tensor.h"

namespace thixo::conformance {

TensorList Differentiable::operator()(const TensorList& x) const {
  TestCall c = call;
  for (size_t i = 0; i < places.size(); ++i) c.in[places[i]] = x[i];
  Values out = dispatch(c.call());
  TensorList shown;
  size_t visible =
      call.op->schema.results[0].list ? out.size() : static_cast<size_t>(call.op->schema.visible_results());
  for (size_t r = 0; r < visible; ++r) {
    // A result with an operand's name is its next state (running_mean): no gradient flows through it.
    const std::vector<OperandDecl>& operands = call.op->schema.operands;
    const std::string& name = call.op->schema.results[call.op->schema.results[0].list ? 0 : r].name;
    const bool state = !name.empty() && std::any_of(operands.begin(), operands.end(),
                                                    [&](const OperandDecl& o) { return o.name == name; });
    if (out[r].dtype() == DType::F64 && !state) shown.push_back(out[r]);
  }
  return shown;
}

Tensor Differentiable::sum(const TensorList& x) const {
  Tensor total;
  for (const Tensor& y : (*this)(x)) {
    Tensor weights = arange(y.numel().value(), {.dtype = DType::F64}).cos().reshape(y.shape());
    Tensor part = (y * weights).sum();
    total = total.defined() ? total + part : part;
  }
  return total;
}

Differentiable differentiable(const OpDef& op, const Sample& s) {
  Differentiable d{make_smooth_call(op, s, DType::F64), {}, {}};
  for (size_t k = 0; k < d.call.in.size(); ++k) {
    const Tensor& x = d.call.in[k];
    if (!x.defined() || x.dtype() != DType::F64 || x.numel() == 0) continue;
    const std::string& name = op.schema.operands[op.schema.operand_at(k, d.call.in.size())].name;
    const std::vector<ResultDecl>& results = op.schema.results;
    // State (running_mean) is a constant of the gradient.
    if (std::any_of(results.begin(), results.end(), [&](const ResultDecl& r) { return r.name == name; })) continue;
    d.places.push_back(k);
    Tensor leaf = copied(x);
    leaf.requires_grad_();
    d.inputs.push_back(leaf);
  }
  return d;
}

namespace {

/// A sample with extreme values is for other tests.
bool is_smooth(const Sample& s) {
  for (const auto& [name, value] : s.attrs) {
    if (name == "padding_idx" && value.index() != 0) return false;  // the row it names has no gradient by contract
  }
  for (const SampleTensor& t : s.in) {
    if (t.low < -50 || t.high > 50) return false;
    for (double v : t.values) {
      if (!std::isfinite(v) || std::fabs(v) > 50) return false;
    }
  }
  return true;
}

}  // namespace

std::vector<Sample> small_samples(const OpDef& op) {
  std::vector<Sample> out;
  for (Sample s : samples_of(op)) {
    if (!s.bad.empty() || !is_smooth(s)) continue;
    if (op.tier == Tier::Pointwise) {
      for (SampleTensor& t : s.in) {
        if (t.shape == Shape{3, 37}) t.shape = {2, 3};
        if (numel_of(t.shape).value() > 50) t.shape = {};
        t.low = 0.3;  // inside every domain; away from zero and the integers' kinks
        t.high = 0.9;
      }
    }
    int64_t size = 0;
    for (const SampleTensor& t : s.in) size += numel_of(t.shape).value();
    if (size < 300) out.push_back(s);
  }
  return out;
}

}  // namespace thixo::conformance
