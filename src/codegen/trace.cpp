#include "codegen/trace.h"

#include <algorithm>
#include <unordered_map>

#include "codegen/nest_form.h"
#include "core/dim_hook.h"
#include "ir/dispatch.h"
#include "thixo/error.h"

namespace thixo::codegen {
namespace {

struct CannotTrace {};

bool same_elements(const Shape& a, const Shape& b) {  // equal but for sizes of 1
  auto next = [](const Shape& s, size_t& i) {
    while (i < s.size() && s[i].raw() == 1) ++i;
  };
  size_t i = 0, j = 0;
  for (;; ++i, ++j) {
    next(a, i);
    next(b, j);
    if (i == a.size() || j == b.size()) return i == a.size() && j == b.size();
    if (a[i].raw() != b[j].raw()) return false;
  }
}

// Leading sizes of 1 mean nothing where shapes are broadcast.
bool same_broadcast(const Shape& a, const Shape& b) {
  size_t i = a.size(), j = b.size();
  while (i > 0 && j > 0) {
    if (a[--i].raw() != b[--j].raw()) return false;
  }
  while (i > 0) {
    if (a[--i].raw() != 1) return false;
  }
  while (j > 0) {
    if (b[--j].raw() != 1) return false;
  }
  return true;
}

class Tracer final : public Interpreter {
 public:
  explicit Tracer(const Call& call) : grad_(false) {
    for (size_t k = 0; k < call.in.size(); ++k) {
      if (call.in[k].defined()) add_input(call.in[k], static_cast<int>(k));
    }
    std::swap(bottom_, dispatch_state().bottom);
    dispatch_state().bottom.push_back(this);
  }
  ~Tracer() override { std::swap(bottom_, dispatch_state().bottom); }

  Values apply(const Call& call) override {
    if (call.op->tier == Tier::Composite) return call.op->compose(call);
    const SmallVec<Spec, 2> specs = infer(call);
    Values out;
    for (const Spec& s : specs) out.push_back(Tensor(new_abstract(s.shape, s.dtype)));
    if (call.op->tier == Tier::View && same_elements(call.shape(0), out[0].shape())) {
      add_alias(call.in[0], out[0]);
      return out;
    }
    GraphNode n{call.op, {call.attrs.begin(), call.attrs.end()}, {}, {}, call.at, -1};
    for (const Tensor& t : call.in) n.in.push_back(t.defined() ? operand_of(t) : -1);
    for (const Tensor& t : out) n.out.push_back(add_value(t));
    done_.graph.nodes.push_back(std::move(n));
    return out;
  }
  void write(const Tensor&, const Tensor&) override { throw CannotTrace(); }

  Trace finish(const Values& outputs) {
    for (const Tensor& t : outputs) {
      done_.graph.outputs.push_back(value_of(t));
      done_.results.push_back({t.dtype(), t.shape(), {}});
    }
    return std::move(done_);
  }

 private:
  ValueId add_value(const Tensor& t) {
    const ValueId v = done_.graph.add_value(t.dtype(), t.shape());
    known_[t.record()] = v;
    kept_.push_back(t);
    return v;
  }
  ValueId add_input(const Tensor& t, int source) {
    const ValueId v = add_value(t);
    done_.graph.inputs.push_back({v, InputKind::Arg});
    done_.operand.push_back(source);
    return v;
  }
  // Dims of size 1 more or less: an input read in another shape, or the same value where only the end sees it.
  void add_alias(const Tensor& from, const Tensor& to) {
    const ValueId v = value_of(from);
    for (size_t i = 0; i < done_.graph.inputs.size(); ++i) {
      if (done_.graph.inputs[i].value == v) {
        add_input(to, done_.operand[i]);
        return;
      }
    }
    known_[to.record()] = v;
    kept_.push_back(to);
    const bool reshaped = std::find(reshaped_.begin(), reshaped_.end(), from.record()) != reshaped_.end();
    if (reshaped || !same_broadcast(from.shape(), to.shape())) reshaped_.push_back(to.record());
  }
  ValueId operand_of(const Tensor& t) {
    if (std::find(reshaped_.begin(), reshaped_.end(), t.record()) != reshaped_.end()) throw CannotTrace();
    return value_of(t);
  }
  ValueId value_of(const Tensor& t) {
    auto known = known_.find(t.record());
    if (known != known_.end()) return known->second;
    if (!t.record()->wrapped_number) throw CannotTrace();
    const ValueId v = add_input(t, -1 - static_cast<int>(done_.numbers.size()));
    done_.graph.values[static_cast<size_t>(v)].weak = true;
    done_.numbers.push_back(t);
    return v;
  }

  Trace done_;
  std::unordered_map<const TensorRecord*, ValueId> known_;
  std::vector<Tensor> kept_;  // so that no address is used twice
  std::vector<const TensorRecord*> reshaped_;
  GradMode grad_;
  std::vector<Interpreter*> bottom_;
};

thread_local SizeHints* g_hints = nullptr;

}  // namespace

SizeHints::SizeHints(std::vector<std::pair<std::string, int64_t>> values)
    : values_(std::move(values)), outer_(g_hints), before_(set_dim_resolver(resolve)) {
  g_hints = this;
}
SizeHints::~SizeHints() {
  set_dim_resolver(before_);
  g_hints = outer_;
}
int64_t SizeHints::resolve(Dim d) {
  return size_value(d, [](const std::string& name) {
    for (const auto& [n, v] : g_hints->values_) {
      if (n == name) return v;
    }
    throw ValueError("size " + name + " has no number");
  });
}

std::optional<Trace> trace(const Call& call) try {
  Tracer tracer(call);
  return tracer.finish(call.op->compose(call));
} catch (const CannotTrace&) {
  return std::nullopt;
}

}  // namespace thixo::codegen
