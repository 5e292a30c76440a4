#include "ir/dispatch.h"

#include <algorithm>

#include "ir/front.h"
#include "ir/write_log.h"

namespace thixo {
namespace {

/// What a composite is made of, or a transform makes of a call, has places and names of the library: errors get the
/// call's. A private op is none that the user called.
void name_call(Error& e, const Call& call) {
  e.at_call(call.at);
  const std::string_view headline = e.headline(), inner = headline.substr(0, headline.find(": "));
  if (call.op->schema.is_private || inner == call.op->name() || find_op(inner) == nullptr) return;
  e.in_op(call.op->name());
}

int highest_level(const Call& call) {
  int level = 0;
  for (const Tensor& t : call.in) {
    if (t.defined() && t.record()->wrapper) level = std::max(level, t.record()->wrapper->level);
  }
  // A random call is every level's business, whatever its operands: vmap asks whether examples differ.
  const DispatchState& s = dispatch_state();
  const auto most = static_cast<int>(std::min(s.levels.size(), s.random_levels));
  if (level < most &&
      std::any_of(
          call.attrs.begin(), call.attrs.end(), [](const Attr& a) { return std::holds_alternative<RngKey>(a); })) {
    return most;
  }
  return level;
}

/// Whether an operand at the call's level wants a gradient.
bool wants_grad(const Call& call, int level) {
  for (const Tensor& t : call.in) {
    if (!t.defined()) continue;
    const TensorRecord& r = *t.record();
    if (!r.grad && !r.view) continue;
    if (level > 0 && level_of(t) != level) continue;
    if (t.requires_grad()) return true;
  }
  return false;
}

bool only_watched(const DispatchState& s) {
  return std::all_of(s.bottom.begin(), s.bottom.end(), [](const Interpreter* i) { return i->watches(); });
}

/// The tensor that an in-place or out= form writes.
void check_target(const Call& call, const Tensor& t, const char* name) {
  if (t.defined()) [[likely]]
    return;
  throw call.error(ErrorKind::Value, std::string(name) + " is an undefined tensor")
      .fix("give it a value first: Tensor() alone is an empty handle");
}

void check_out(const Call& call, const Spec& spec, const Tensor& out) {
  if (!(spec.shape == out.shape())) {
    throw call.error(ErrorKind::Shape,
                     "out has shape " + shape_str(out.shape()) + " but the result has " + shape_str(spec.shape));
  }
  if (!can_cast(spec.dtype, out.dtype())) {
    throw call.error(ErrorKind::DType, "out is " + std::string(dtype_name(out.dtype())) + " but the result, " +
                                           std::string(dtype_name(spec.dtype)) + ", cannot be cast to it");
  }
}

Values below_tape(const Call& call) {
  int level = dispatch_state().levels.empty() ? 0 : highest_level(call);
  if (level > 0) return interpreter_at(level).apply(call);
  return dispatch_bottom(call, dispatch_state().bottom.size());
}

}  // namespace

DispatchTable& dispatch_table() {
  static DispatchTable t = detail::start();
  return t;
}

DispatchState& dispatch_state() {
  thread_local DispatchState s;
  return s;
}

void Interpreter::write(const Tensor&, const Tensor&) {
  throw NotImplementedError("this transform does not support in-place writes");
}

void Interpreter::into(const Call& call, std::span<const Tensor>) {
  throw InternalError("an interpreter that does not watch was asked to compute " + call.op->name() + " in place");
}

int level_of(const Tensor& t) { return t.record()->wrapper ? t.record()->wrapper->level : 0; }

Interpreter& interpreter_at(int level) {
  std::vector<Interpreter*>& levels = dispatch_state().levels;
  if (static_cast<size_t>(level) > levels.size() || levels[static_cast<size_t>(level) - 1] == nullptr) {
    throw ValueError("a tensor made inside vmap or jvp is used after that transform ended")
        .fix("return the value from the function instead of storing it outside");
  }
  return *levels[static_cast<size_t>(level) - 1];
}

Values dispatch(const Call& call) try {
  DispatchState& s = dispatch_state();
  int level = s.levels.empty() ? 0 : highest_level(call);
  if (s.grad_enabled && call.op->differentiable && wants_grad(call, level))
    return dispatch_table().tape(call, below_tape);
  if (level > 0) return interpreter_at(level).apply(call);
  return dispatch_bottom(call, s.bottom.size());
} catch (Error& e) {
  name_call(e, call);
  throw;
}

Values dispatch_bottom(const Call& call, size_t depth) {
  if (depth == 0) return dispatch_table().eager(call);
  return dispatch_state().bottom[depth - 1]->apply(call);
}

void dispatch_into(const Call& call, std::span<const Tensor> out, size_t depth) {
  if (depth == 0) return dispatch_table().eager_into(call, out);
  dispatch_state().bottom[depth - 1]->into(call, out);
}

void dispatch_inplace(const Call& call, const Tensor& self) try {
  check_target(call, self, "what it writes");
  DispatchState& s = dispatch_state();
  int level = s.levels.empty() ? 0 : highest_level(call);
  bool plain = level == 0 && only_watched(s) && !(s.grad_enabled && (self.requires_grad() || wants_grad(call, 0)));
  if (plain) {
    dispatch_into(call, std::span<const Tensor>(&self, 1), s.bottom.size());
    note_write(self, call.op, call.at);
    return;
  }
  dispatch_table().tape_write(self, dispatch1(call), call);
} catch (Error& e) {
  name_call(e, call);
  throw;
}

void dispatch_out(const Call& call, std::span<const Tensor> out) try {
  for (const Tensor& t : out) check_target(call, t, "out");
  if (dispatch_state().grad_enabled && (wants_grad(call, 0) || out[0].requires_grad())) {
    throw call
        .error(ErrorKind::Value, "out= does not support automatic differentiation, but an argument requires a gradient")
        .fix("call it without out=, or inside no_grad");
  }
  if (call.op->tier == Tier::Composite && !call.op->infer) {  // its shape may depend on values
    const Tensor made = dispatch1(call);
    check_out(call, {made.dtype(), made.shape(), {}}, out[0]);
    Tensor target = out[0];
    target.copy_(made);
    return;
  }
  SmallVec<Spec, 2> specs = infer(call);
  check_out(call, specs[0], out[0]);
  if (!only_watched(dispatch_state()) || specs[0].dtype != out[0].dtype()) {
    Tensor target = out[0];
    target.copy_(dispatch1(call));
    return;
  }
  dispatch_into(call, out, dispatch_state().bottom.size());
  for (const Tensor& t : out) note_write(t, call.op, call.at);
} catch (Error& e) {
  name_call(e, call);
  throw;
}

RngKey draw_key(const Call& call, Generator* g) {
  Generator& generator = g != nullptr ? *g : default_generator();
  auto blocks = static_cast<uint64_t>(numel_of(infer(call)[0].shape).value());
  return {generator.seed(), generator.take(blocks)};
}

}  // namespace thixo
