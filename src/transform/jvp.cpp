#include "transform/jvp.h"

#include <algorithm>

#include "ir/pointwise_grad.h"
#include "transform/backward.h"
#include "transform/grad_level.h"
#include "transform/saving.h"
#include "transform/tape.h"
#include "transform/write.h"

namespace thixo {
namespace {

Tensor conj_if_complex(const Tensor& t) { return is_complex(t.dtype()) ? t.conj() : t; }

/// The gradient of one call as a function of the cotangents alone.
class CotangentGrad final : public GradCtx {
 public:
  CotangentGrad(const Call& call, const Values& out, const Values& g, std::span<const Tensor> tangents)
      : call_(call), out_(out), g_(g), tangents_(tangents) {}
  const Call& call() const override { return call_; }
  Tensor in(int k) override { return call_.in[static_cast<size_t>(k)]; }
  Tensor out(int k) override { return out_[static_cast<size_t>(k)]; }
  Tensor g(int k) override { return g_[static_cast<size_t>(k)]; }
  bool needs(int k) const override { return tangents_[static_cast<size_t>(k)].defined(); }

 private:
  const Call& call_;
  const Values& out_;
  const Values& g_;
  std::span<const Tensor> tangents_;
};

/// Whether f(x + t) = f(x) + f(t) in the operands that have gradients: the gradient asks for no value, and no number
/// among the attributes could be a constant that is added.
bool is_linear(const Call& call, const Values& out, SaveMask* mask) {
  if (!call.op->grad) return false;
  for (const Attr& a : call.attrs) {
    if (std::holds_alternative<Scalar>(a) || std::holds_alternative<double>(a)) return false;
  }
  SmallVec<bool, 8> wanted;
  for (const Tensor& t : call.in) wanted.push_back(t.defined() && is_differentiable(t.dtype()));
  *mask = values_to_save(call, {out.data(), out.size()}, {wanted.data(), wanted.size()});
  return mask->linear;
}

}  // namespace

Tensor JvpLevel::tangent(const Tensor& t) const {
  if (!t.defined() || !owns(t)) return {};
  const TensorRecord& r = *t.record();
  if (wrapped(r).tangent.defined() || !r.view) return wrapped(r).tangent;
  // A view made before its base got a tangent by a write.
  const Tensor base = tangent(r.view->base);
  return base.defined() ? replay_chain(base, *r.view->chain) : Tensor();
}

/// f'(x) t is the derived gradient, g * conj(f'(x)), taken at g = conj(t) and conjugated again; for a real f of complex
/// x (abs) it is Re(t * conj(gradient at g = 1)).
Tensor JvpLevel::pointwise(const Call& call, const Tensor& out, const In& t) {
  Tensor sum;
  for (size_t k = 0; k < t.size(); ++k) {
    if (!t[k].defined()) continue;
    Tensor part;
    if (is_derived(*call.op)) {
      part = derived_op_jvp(call, k, t[k]);
      if (!part.defined()) continue;
    } else {
      const PointwiseGrad& d = derived_grad(*call.op, static_cast<int>(k), call.attrs);
      if (d.zero) continue;
      part = t[k];
      if (d.op != nullptr) {
        const bool to_real = is_complex(t[k].dtype()) && !is_complex(out.dtype());
        In in;
        in.push_back(to_real ? ones_like(out) : conj_if_complex(t[k]));
        for (int s : d.saved) in.push_back(s == kSavedOut ? out : call.in[static_cast<size_t>(s)]);
        part = conj_if_complex(dispatch1(Call{d.op, {in.data(), in.size()}, call.attrs, call.at}));
        if (to_real) part = real(part * t[k]);
      }
    }
    sum = sum.defined() ? sum + part : part;
  }
  if (!sum.defined()) return sum;
  if (sum.dtype() != out.dtype()) sum = sum.to(out.dtype());
  return sum.shape() == out.shape() ? sum : sum.expand(out.shape());
}

/// The gradient is linear in its cotangent, and its own gradient is the tangent map: f(x) = a x has the gradient
/// conj(a) g, whose gradient by g is a t.
Values JvpLevel::by_double_vjp(const Call& call, const Values& out, const In& t) {
  if (!call.op->grad) {
    throw NotImplementedError("jvp: " + call.op->name() + " has no gradient to derive a tangent from").at(call.at);
  }
  GradMode on(true);
  GradLevel level(on.before());
  Values g;
  TensorList inputs;
  SmallVec<size_t, 2> which;
  for (size_t k = 0; k < out.size(); ++k) {
    const bool flows = is_differentiable(out[k].dtype());
    g.push_back(flows ? level.enter(zeros_like(out[k]), true) : Tensor());
    if (!flows) continue;
    inputs.push_back(g.back());
    which.push_back(k);
  }
  CotangentGrad ctx(call, out, g, {t.data(), t.size()});
  const Values v = call.op->grad(ctx);
  TensorList outputs, cotangents;
  for (size_t k = 0; k < v.size(); ++k) {
    if (!t[k].defined() || !v[k].defined()) continue;
    Tensor fitted =
        v[k].shape() == call.shape(static_cast<int>(k)) ? v[k] : v[k].sum_to_size(call.shape(static_cast<int>(k)));
    outputs.push_back(std::move(fitted));
    cotangents.push_back(t[k]);
  }
  Values result(out.size());
  if (outputs.empty()) return result;
  const TensorList tangents = Pullback(level, outputs, inputs)(cotangents, false);
  for (size_t i = 0; i < which.size(); ++i) result[which[i]] = tangents[i];
  return result;
}

Values JvpLevel::tangents(const Call& call, const Values& out, const In& t) {
  const OpDef& op = *call.op;
  Values result(out.size());
  if (!op.differentiable || std::none_of(t.begin(), t.end(), [](const Tensor& x) { return x.defined(); }))
    return result;
  if (op.tier == Tier::Pointwise && !op.grad) {
    if (is_differentiable(out[0].dtype())) result[0] = pointwise(call, out[0], t);
    return result;
  }
  SaveMask mask;
  const bool view = op.tier == Tier::View;
  if (!view && !is_linear(call, out, &mask)) return by_double_vjp(call, out, t);
  if (!view && mask.reaches == 0) return result;
  In in;
  for (size_t k = 0; k < call.in.size(); ++k) {
    const Tensor& x = call.in[k];
    const bool flows = view || (x.defined() && is_differentiable(x.dtype()) &&
                                (mask.reaches >> op.schema.operand_at(k, call.in.size()) & 1) != 0);
    in.push_back(!flows ? x : t[k].defined() ? t[k] : zeros_like(x));
  }
  return dispatch(Call{call.op, {in.data(), in.size()}, call.attrs, call.at});
}

Values JvpLevel::apply(const Call& call) {
  if (call.op->tier == Tier::Composite && !call.op->grad)
    return call.op->compose(Call{call.op, bounded_operands(call), call.attrs, call.at});
  In in, t;
  for (const Tensor& x : call.in) {
    in.push_back(x.defined() ? primal(x) : x);
    t.push_back(tangent(x));
    if (t.back().defined() && !is_differentiable(x.dtype())) t.back() = Tensor();
  }
  const Call below{call.op, {in.data(), in.size()}, call.attrs, call.at};
  const BelowLevel random(level());
  Values out = dispatch(below);
  const Values d = tangents(below, out, t);
  for (size_t k = 0; k < out.size(); ++k) out[k] = wrap(out[k], out[k].shape(), d[k]);
  link_view(call, out);
  return out;
}

void JvpLevel::write(const Tensor& self, const Tensor& v) {
  Tensor from = tangent(v);
  if (!from.defined() && tangent(self).defined()) from = zeros_like(primal(self));
  LevelInterpreter::write(self, v);
  if (!from.defined()) return;
  const TensorRecord& r = *self.record();
  Wrapped& w = wrapped(r);
  if (!r.view) {
    w.tangent = from;
    return;
  }
  // The tangents of a base and its views share memory as the values do.
  Wrapped& base = wrapped(*r.view->base.record());
  if (!base.tangent.defined()) base.tangent = zeros_like(base.value);
  write_value(replay_chain(base.tangent, *r.view->chain), from);
  w.tangent = Tensor();
}

}  // namespace thixo
