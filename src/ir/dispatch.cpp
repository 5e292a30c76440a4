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

/// A value with a level while there is none outlived its transform: interpreter_at() says so.
inline int highest_level(std::span<const Tensor> tensors) {
  int level = 0;
  for (const Tensor& t : tensors) {
    if (t.defined() && t.record()->wrapper) [[unlikely]]
      level = std::max(level, t.record()->wrapper->level);
  }
  return level;
}

/// A random call is every level's business, whatever its operands: vmap asks whether examples differ.
int random_level(const Call& call, const DispatchState& s, int level) {
  const auto most = static_cast<int>(std::min(s.levels.size(), s.random_levels));
  const bool random = level < most && std::any_of(
                                          call.attrs.begin(), call.attrs.end(),
                                          [](const Attr& a) { return std::holds_alternative<RngKey>(a); });
  return random ? most : level;
}

inline int highest_level(const Call& call, const DispatchState& s) {
  const int level = highest_level(call.in);
  return s.levels.empty() ? level : random_level(call, s, level);
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

/// Whether the tape must know of a write to t, or through t to its base.
bool has_history(const Tensor& t) {
  const TensorRecord& r = *t.record();
  if (!r.grad && !r.view) return false;
  return t.requires_grad() || (r.view && !r.view->base.is_leaf());
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

/// The operands of a comparison of float16 or bfloat16 with a number, which is compared as one of that dtype: 0.1 is
/// float16's 0.1. False where the call is no such one.
bool round_to_half(const Call& call, SmallVec<Tensor, 2>* in) {
  if (call.in.size() != 2 || !call.in[0].defined() || !call.in[1].defined()) return false;
  for (size_t k = 0; k < 2; ++k) {
    const TensorRecord &number = *call.in[k].record(), &other = *call.in[1 - k].record();
    const bool half = other.dtype == DType::F16 || other.dtype == DType::BF16;
    if (!half || other.wrapped_number || !number.wrapped_number || is_complex(number.dtype)) continue;
    *in = {call.in[0], call.in[1]};
    (*in)[k] = call.in[k].to(other.dtype);
    return true;
  }
  return false;
}

Values below_tape(const Call& call) {
  const DispatchState& s = dispatch_state();
  const int level = highest_level(call, s);
  if (level > 0) return interpreter_at(level).apply(call);
  return dispatch_bottom(call, s.bottom.size());
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

void Interpreter::drew(const Generator&, RngKey*) {}
void Interpreter::into(const Call& call, std::span<const Tensor>) {
  throw InternalError("an interpreter that does not watch was asked to compute " + call.op->name() + " in place");
}

int level_of(const Tensor& t) { return t.record()->wrapper ? t.record()->wrapper->level : 0; }

Error used_after_its_transform() {
  Error e = ValueError("a tensor made inside a transform (grad, vmap, jvp) is used after that transform ended");
  e.fix("return the value from the function instead of storing it outside");
  return e;
}

Interpreter& interpreter_at(int level) {
  std::vector<Interpreter*>& levels = dispatch_state().levels;
  if (static_cast<size_t>(level) > levels.size() || levels[static_cast<size_t>(level) - 1] == nullptr) {
    throw used_after_its_transform();
  }
  return *levels[static_cast<size_t>(level) - 1];
}

namespace {

// Apart from dispatch(), which every call passes through.

/// Whether integers stand where an op that promotes takes floats; else throws unless the kinds are right.
[[gnu::noinline]] bool wants_floats(const Call& call) {
  const bool floats = std::any_of(call.in.begin(), call.in.end(),
                                  [](const Tensor& t) { return t.defined() && is_differentiable(t.dtype()); });
  if (call.op->promotes && !floats) return true;
  check_kinds(call);
  return false;
}

[[gnu::noinline]] Values dispatch_with_floats(const Call& call) {
  SmallVec<Tensor, 4> in;
  for (const Tensor& t : call.in) in.push_back(t.defined() ? t.to(default_dtype()) : t);
  return dispatch(Call{call.op, in, call.attrs, call.at});
}

}  // namespace

// What a composite is made of, or a transform makes of a call, has places in the library: errors get the call's.
Values dispatch(const Call& call) try {
  const DispatchState& s = dispatch_state();
  if (call.op->checks_kinds && wants_floats(call)) return dispatch_with_floats(call);
  if (call.op->bool_result) {
    SmallVec<Tensor, 2> in;
    if (round_to_half(call, &in)) return dispatch(Call{call.op, in, call.attrs, call.at});
  }
  const int level = highest_level(call, s);
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
  const DispatchState& s = dispatch_state();
  if (call.op->checks_kinds) check_kinds(call);
  const int level = highest_level(call, s);
  bool plain = level == 0 && only_watched(s) && !(s.grad_enabled && (has_history(self) || wants_grad(call, 0)));
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
  if (dispatch_state().grad_enabled && (wants_grad(call, 0) || has_history(out[0]))) {
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
  const DispatchState& s = dispatch_state();
  // Values of a transform are written by its interpreter; it refuses where `out` is none of its own.
  const bool wrapped = highest_level(call, s) > 0 || highest_level(out) > 0;
  if (wrapped || !only_watched(s) || specs[0].dtype != out[0].dtype()) {
    Tensor target = out[0];
    target.copy_(dispatch1(call));
    return;
  }
  dispatch_into(call, out, s.bottom.size());
  for (const Tensor& t : out) note_write(t, call.op, call.at);
} catch (Error& e) {
  name_call(e, call);
  throw;
}

SmallVec<Tensor, 4> bounded_operands(const Call& call) {
  static const OpDef* check = find_op("bounded_index");
  SmallVec<Tensor, 4> in(call.in);
  if (!call.op->index_bounds) return in;
  for (const IndexBound& b : call.op->index_bounds(call)) {
    const auto k = static_cast<size_t>(b.operand);
    if (!in[k].defined() || !accepts(TensorKind::Index, in[k].dtype())) continue;  // the op itself names the dtype
    const std::string& name = call.op->schema.operands[call.op->schema.operand_at(k, in.size())].name;
    const Attr attrs[] = {call.op->name(), name,       Dim(b.dim),
                          b.size,          b.negative, b.except ? Attr(Dim(*b.except)) : Attr()};
    in[k] = dispatch1(Call{check, std::span<const Tensor>(&in[k], 1), attrs, call.at});
  }
  return in;
}

RngKey draw_key(const Call& call, Generator* g) {
  Generator& generator = g != nullptr ? *g : default_generator();
  auto blocks = static_cast<uint64_t>(numel_of(infer(call)[0].shape).value());
  RngKey key{generator.seed(), generator.take(blocks)};
  for (Interpreter* i : dispatch_state().bottom) i->drew(generator, &key);
  return key;
}

}  // namespace thixo
