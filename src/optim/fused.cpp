// The step of an optimizer whose update is one op: in eager one loop over all parameters in place; while recording one
// op call for each parameter, with the scalars in a tensor that is brought up to date before each replay.
#include <cstring>

#include "backend/cpu/update.h"
#include "core/record.h"
#include "ir/dispatch.h"
#include "ir/write_log.h"
#include "ops/optim/update.h"
#include "thixo/compile.h"
#include "thixo/optim.h"

namespace thixo::optim {
namespace {

/// Parameters of one group that have made the same number of steps, and so share their scalars.
struct Batch {
  const ParamGroup* group;
  int64_t step;  // the one being made, from 1
  bool first;    // with new state tensors
  const OpDef* op;
  Tensor scalars;
  std::vector<Tensor> params, grads;
  std::vector<ParamState*> states;
};

/// Inside a recording a tensor that outlives it: state, and nothing that the function makes at each call.
Tensor as_state(Tensor t) {
  t.record()->recording = t.record()->storage->recording = 0;
  return t;
}

Tensor new_zeros(const Tensor& like) {
  Tensor t = as_state(empty_strided(like.shape(), like.strides(), {.dtype = like.dtype(), .device = like.device()}));
  if (t.nbytes() > 0) std::memset(t.record()->data(), 0, t.record()->storage->bytes);
  return t;
}

Tensor new_scalars(std::span<const double> values) {
  Tensor t = as_state(empty({static_cast<int64_t>(values.size())}, {.dtype = DType::F64}));
  std::copy(values.begin(), values.end(), static_cast<double*>(t.record()->data()));
  return t;
}

/// The state tensors that an update op wants between its gradient and its scalars; new ones are zero.
void prepare_state(const OpDef& op, const Tensor& param, ParamState* s) {
  const auto& operands = op.schema.operands;
  for (size_t k = 2; k + 1 < operands.size(); ++k) {
    const std::string& name = operands[k].name;
    auto found = std::find_if(s->tensors.begin(), s->tensors.end(), [&](const auto& t) { return t.first == name; });
    if (found == s->tensors.end()) found = s->tensors.emplace(s->tensors.end(), name, new_zeros(param));
    std::swap(s->tensors[k - 2], *found);  // in the order of the op's operands
  }
}

bool is_first(const ParamState& s) { return s.step == s.begun + 1; }

std::vector<Batch> batches_of(OptimizerState& state, FusedOptimizer::Rule rule) {
  std::vector<Batch> batches;
  for (const ParamGroup& group : state.groups) {
    const size_t first = batches.size();
    for (const Tensor& p : group.params) {
      Tensor g = p.grad();
      if (!g.defined()) continue;
      ParamState& s = state.params[p.record()];
      ++s.step;
      if (s.tensors.empty()) s.begun = s.step - 1;
      const bool begins = is_first(s);
      auto b = std::find_if(batches.begin() + static_cast<std::ptrdiff_t>(first), batches.end(),
                            [&](const Batch& x) { return x.step == s.step && x.first == begins; });
      if (b == batches.end()) {
        const Update u = rule(group, s.step, begins);
        Tensor scalars = new_scalars({u.scalars.data(), u.scalars.size()});
        b = batches.insert(b, {&group, s.step, begins, find_op(u.op), std::move(scalars), {}, {}, {}});
      }
      prepare_state(*b->op, p, &s);
      b->params.push_back(p);
      b->grads.push_back(g);
      b->states.push_back(&s);
    }
  }
  return batches;
}

/// The operands of the update op for parameter i.
void append_operands(const Batch& b, size_t i, std::vector<Tensor>* in) {
  in->push_back(b.params[i]);
  in->push_back(b.grads[i]);
  const size_t states = b.op->schema.operands.size() - 3;
  for (size_t k = 0; k < states; ++k) in->push_back(b.states[i]->tensors[k].second);
  in->push_back(b.scalars);
}

void check_gradient(const Tensor& param, const Tensor& grad) {
  if (!is_differentiable(param.dtype())) {
    throw DTypeError("optimizer: a parameter of dtype " + std::string(dtype_name(param.dtype())) + " has a gradient")
        .need("parameters of floating-point or complex dtypes");
  }
  if (grad.dtype() == param.dtype() && grad.shape() == param.shape()) return;
  throw ValueError("optimizer: a gradient that does not fit its parameter")
      .got("parameter: " + std::string(dtype_short_name(param.dtype())) + shape_str(param.shape()) +
           "   gradient: " + std::string(dtype_short_name(grad.dtype())) + shape_str(grad.shape()));
}

/// All parameters in one loop, in place.
void run_fused(const Batch& b) {
  std::vector<Tensor> in, out;
  for (size_t i = 0; i < b.params.size(); ++i) {
    check_gradient(b.params[i], b.grads[i]);
    const size_t start = in.size();
    append_operands(b, i, &in);
    for (size_t k = start; k + 1 < in.size(); ++k) {
      if (k != start + 1) out.push_back(in[k]);
    }
  }
  cpu::run_updates(Call{b.op, in, {}, {}}, out);
  for (const Tensor& t : out) {
    ++t.record()->storage->version;
    note_write(t, b.op, {});
  }
}

Values pure_update(const OpDef* op, const std::vector<Tensor>& in) {
  if (!is_complex(in[0].dtype())) return dispatch(Call{op, in, {}, {}});
  std::vector<Tensor> parts[2];  // real and imaginary
  for (const Tensor& t : in) {
    parts[0].push_back(is_complex(t.dtype()) ? real(t) : t);
    parts[1].push_back(is_complex(t.dtype()) ? imag(t) : t);
  }
  const Values re = dispatch(Call{op, parts[0], {}, {}}), im = dispatch(Call{op, parts[1], {}, {}});
  Values out;
  for (size_t k = 0; k < re.size(); ++k) out.push_back(re[k] + im[k] * Scalar(std::complex<double>(0, 1)));
  return out;
}

/// One op call for each parameter, so that a recorder or another interpreter sees pure ops and writes.
void run_dispatched(const Batch& b) {
  for (size_t i = 0; i < b.params.size(); ++i) {
    check_gradient(b.params[i], b.grads[i]);
    std::vector<Tensor> in;
    append_operands(b, i, &in);
    const Values results = pure_update(b.op, in);
    Tensor param = b.params[i];
    param.copy_(results[0]);
    for (size_t k = 1; k < results.size(); ++k) b.states[i]->tensors[k - 1].second.copy_(results[k]);
  }
}

/// Before each replay of the program being recorded: this step's scalars by the settings and counts of then.
void keep_live(const Ref<OptimizerState>& state, const Batch& b, FusedOptimizer::Rule rule) {
  const auto group = static_cast<size_t>(b.group - state->groups.data());
  std::vector<const TensorRecord*> records;
  for (const Tensor& p : b.params) records.push_back(p.record());
  before_replay([state, group, records, scalars = b.scalars, rule] {
    int64_t step = 0;
    bool first = false;
    for (const TensorRecord* r : records) {
      ParamState& s = state->params[r];
      step = ++s.step;
      first = is_first(s);
    }
    const Update u = rule(state->groups[group], step, first);
    std::copy(u.scalars.begin(), u.scalars.end(), static_cast<double*>(scalars.record()->data()));
  });
}

}  // namespace

void FusedOptimizer::step() {
  GradMode off(false);
  const DispatchState& d = dispatch_state();
  const bool plain = d.bottom.empty() && d.levels.empty();
  for (const Batch& b : batches_of(*state(), rule_)) {
    if (plain) {
      run_fused(b);
    } else {
      if (is_compiling()) keep_live(state(), b, rule_);
      run_dispatched(b);
    }
  }
}

}  // namespace thixo::optim
