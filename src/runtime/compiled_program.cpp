#include "runtime/compiled_program.h"

#include <algorithm>

#include "transform/write.h"

namespace thixo {
namespace {

bool looks_like(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && a.strides() == b.strides();
}

/// What the view ops make of t; without any, another handle to its elements.
Tensor view_of(const Tensor& t, const ViewChain& chain) {
  if (chain == nullptr) return alias(t);
  Tensor v = t;
  for (const ViewStep& s : *chain) {
    const ViewSpec to = s.op->view(Call{s.op, std::span<const Tensor>(&v, 1), s.attrs, {}});
    v = make_view(v, to.shape, to.strides, to.offset.value(), s);
  }
  return v;
}

bool before(const Ref<Storage>& a, const Ref<Storage>& b) { return std::less<>()(a.get(), b.get()); }

}  // namespace

const Tensor& grad_now(const Tensor& leaf) {
  static const Tensor none;
  return leaf.record()->grad ? leaf.record()->grad->grad : none;
}

bool CompiledFunction::Program::meets_states(std::span<const Tensor> given) const {
  for (size_t i = 0; i < given.size(); ++i) {
    const auto& among = written_args[i] ? states : written_states;
    if (given[i].defined() && std::binary_search(among.begin(), among.end(), given[i].record()->storage, before))
      return true;
  }
  return false;
}

bool CompiledFunction::Program::holds(std::span<const Tensor> given) const {
  for (const Wanted& w : wanted) {
    if (w.state.requires_grad() != w.grad) return false;
  }
  for (const auto& condition : conditions) {
    if (!condition()) return false;
  }
  for (const StatePlace& p : places) {
    if (p.state.record()->storage.get() != p.storage) return false;
  }
  for (const Known& k : known) {
    if (given[k.arg].record()->storage != k.storage) return false;
  }
  const bool same_grads = std::all_of(grads.begin(), grads.end(), [&](const Grad& g) {
    if (!g.read) return true;
    const Tensor& now = grad_now(g.of(given));
    return now.defined() == g.before.defined() && (!g.is_input || looks_like(now, g.before));
  });
  return same_grads && !meets_states(given);
}

std::string CompiledFunction::Program::explain() const {
  std::string s = forward->explain();
  return backward ? s + backward->part(std::vector<bool>(flows.size(), false)).run->explain() : s;
}

TensorList CompiledFunction::Program::replay(const TensorList& given) {
  std::vector<RngKey> keys = random.draw();
  const bool more = !hidden.empty() || !fetched.empty();
  TensorList all;  // arguments: the caller's, hidden ones, gradients
  if (more) {
    all = given;
    for (const HiddenArgument& h : hidden) all.push_back(find_hidden(h, given));
    for (size_t k : fetched) all.push_back(grad_now(grads[k].of(given)));
  }
  const TensorList& args = more ? all : given;
  TensorList out = forward->run(args, keys);
  for (const Grad& g : grads) {
    Tensor leaf = g.of(given);
    if (g.after == Grad::Cleared) leaf.zero_grad();
    if (g.after == Grad::Computed) leaf.set_grad(out[g.result]);
    if (g.after == Grad::Given) leaf.set_grad(g.given);
  }
  if (backward) attach(args, &out, std::move(keys));
  for (const ArgumentResult& r : rewritten) tape_wrote(args[r.arg], out[r.result]);
  for (const ArgumentResult& r : returned) out[r.result] = given[r.arg];
  for (const KeptResult& r : kept) out[r.result] = r.tensor;
  for (const ViewResult& r : views)
    out[r.result] = view_of(r.of.arg < 0 ? r.of.state : args[static_cast<size_t>(r.of.arg)], r.chain);
  out.resize(results);
  return out;
}

/// Puts the call on the tape.
void CompiledFunction::Program::attach(const TensorList& args, TensorList* out, std::vector<RngKey> keys) const {
  TensorList all;
  for (const Input& i : inputs) all.push_back(i.arg < 0 ? i.state : args[static_cast<size_t>(i.arg)]);
  SmallVec<Edge, 2> edges;
  for (size_t i : edge_inputs) edges.push_back(gradient_edge(all[i]));
  for (size_t k : flows) {  // a result that is an input, or given out twice, keeps its history apart
    Tensor& t = (*out)[k];
    const bool shared =
        std::any_of(all.begin(), all.end(), [&](const Tensor& x) { return x.defined() && x.is_same(t); }) ||
        std::any_of(out->begin(), out->begin() + static_cast<std::ptrdiff_t>(k),
                    [&](const Tensor& x) { return x.is_same(t); });
    if (shared) t = alias(t);
  }
  auto node = make_ref<CompiledNode>(backward, all, *out, std::move(keys), std::move(edges));
  for (size_t j = 0; j < flows.size(); ++j) set_history((*out)[flows[j]], node, static_cast<uint32_t>(j));
}

}  // namespace thixo
