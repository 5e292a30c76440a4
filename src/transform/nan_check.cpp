// DetectAnomaly: at the bottom of the stack, every result is looked at.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "core/values.h"
#include "ir/dispatch.h"
#include "thixo/autograd.h"
#include "transform/bottom.h"
#include "transform/node.h"

namespace thixo::autograd {
namespace {

template <class T> bool all_finite(const T* p, int64_t n) {
  // x - x is 0 for finite x only; sums of these vectorise.
  T s = 0;
  for (int64_t i = 0; i < n; ++i) s += p[i] - p[i];
  return s == 0;
}

bool all_finite_strided(const TensorRecord& r, size_t dim, const char* at) {
  if (dim == r.shape.size()) {
    const std::complex<double> v = load_scalar(at, r.dtype).to_complex();
    return std::isfinite(v.real()) && std::isfinite(v.imag());
  }
  const int64_t step = r.strides[dim].value() * static_cast<int64_t>(item_size(r.dtype));
  for (int64_t i = 0; i < r.shape[dim]; ++i) {
    if (!all_finite_strided(r, dim + 1, at + i * step)) return false;
  }
  return true;
}

bool is_finite(const Tensor& t) {
  if (!t.defined() || !is_differentiable(t.dtype()) || !t.record()->storage || t.numel() == 0) return true;
  const TensorRecord& r = *t.record();
  const int64_t n = t.numel();
  if (t.is_contiguous()) {
    if (r.dtype == DType::F32) return all_finite(static_cast<const float*>(r.data()), n);
    if (r.dtype == DType::F64) return all_finite(static_cast<const double*>(r.data()), n);
    if (r.dtype == DType::C64) return all_finite(static_cast<const float*>(r.data()), 2 * n);
    if (r.dtype == DType::C128) return all_finite(static_cast<const double*>(r.data()), 2 * n);
  }
  return all_finite_strided(r, 0, static_cast<const char*>(r.data()));
}

class NanCheck final : public BottomInterpreter {
 public:
  Values apply(const Call& call) override {
    Values out = below(call);
    if (call.op->tier == Tier::View || call.op->name().starts_with("empty")) return out;
    const bool good = std::all_of(out.begin(), out.end(), is_finite);
    if (!good && std::all_of(call.in.begin(), call.in.end(), is_finite)) throw found(call);
    return out;
  }
  void write(const Tensor& self, const Tensor& value) override { write_below(self, value); }

 private:
  static Error found(const Call& call) {
    Node* n = running_node();
    if (n == nullptr)
      return call.error(ErrorKind::Value, "the first nan or inf comes from here: its operands are finite");
    Error e = ValueError("backward of " + n->name() + ": the first nan or inf comes from here, in " + call.op->name());
    e.fix("look at the operands of the call that is named below");
    e.at(n->at);
    return e;
  }
};

}  // namespace

struct DetectAnomaly::Impl {
  NanCheck check;
};

DetectAnomaly::DetectAnomaly() : impl_(new Impl) {}
DetectAnomaly::~DetectAnomaly() { delete impl_; }

}  // namespace thixo::autograd
