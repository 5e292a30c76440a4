#include "differentiable.h"

#include <algorithm>
#include <cmath>

#include "ir/dispatch.h"
#include "thixo/tensor.h"

namespace thixo::conformance {
namespace {

bool is_wide(DType t) { return t == DType::F64 || t == DType::C128; }

}  // namespace

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
    if (is_wide(out[r].dtype()) && !state) shown.push_back(out[r]);
  }
  return shown;
}

Tensor Differentiable::sum(const TensorList& x) const {
  Tensor total;
  for (const Tensor& y : (*this)(x)) {
    Tensor weights = arange(y.numel().value(), {.dtype = DType::F64}).cos().reshape(y.shape());
    Tensor part = (is_complex(y.dtype()) ? real(y) * weights + imag(y) * weights.cos() : y * weights).sum();
    total = total.defined() ? total + part : part;
  }
  return total;
}

Differentiable differentiable(const OpDef& op, const Sample& s, DType t) {
  Differentiable d{make_smooth_call(op, s, t), {}, {}};
  for (size_t k = 0; k < d.call.in.size(); ++k) {
    const Tensor& x = d.call.in[k];
    if (!x.defined() || !is_wide(x.dtype()) || x.numel() == 0) continue;
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

bool takes_complex(const OpDef& op, const Sample& s) {
  const std::vector<DType> types = dtypes_of(op);
  return std::find(types.begin(), types.end(), DType::C128) != types.end() && takes(op, s, DType::C128);
}

std::span<double> numbers_of(const Tensor& t) {
  return {static_cast<double*>(t.raw_data()),
          static_cast<size_t>(t.numel().value()) * (is_complex(t.dtype()) ? size_t{2} : size_t{1})};
}

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
