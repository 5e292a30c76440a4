#include "runtime/stand_ins.h"

#include <algorithm>

#include "thixo/error.h"
#include "transform/view_steps.h"
#include "transform/write.h"

namespace thixo {
namespace {

bool is_view_of_leaf(const Tensor& t) { return t.is_view() && t.base().is_leaf() && t.base().requires_grad(); }

/// The same data and history without a base. A leaf shares its gradient record, so that it gets its gradient.
Tensor without_base(const Tensor& t, Tensor out) {
  const Edge e = gradient_edge(t);
  if (e && !e.is_leaf()) {
    set_history(out, Ref<Node>(e.node()), static_cast<uint32_t>(e.output));
  } else {
    out.record()->grad = t.record()->grad;
  }
  return out;
}

/// The one among them that all others are views of (or the same as), or null.
const Tensor* base_among(const std::vector<size_t>& group, const TensorList& args) {
  const Tensor* base = nullptr;
  for (size_t i : group) {
    if (!args[i].is_view()) base = &args[i];
  }
  const bool all = base != nullptr && std::all_of(group.begin(), group.end(), [&](size_t i) {
                     return same_elements(*base, args[i].is_view() ? args[i].record()->view->base : args[i]);
                   });
  return all ? base : nullptr;
}

}  // namespace

Tensor find_hidden(const HiddenArgument& h, const TensorList& args) {
  if (h.base) return args[h.of].base();
  const TensorRecord& r = *args[h.of].record();
  return Tensor(new_record_on(r.storage, {Dim(h.count)}, {Dim(1)}, r.offset + h.offset, r.dtype));
}

StandIns::StandIns(const TensorList& args) : given_(args), inputs_(args), of_leaf_(args.size(), false) {
  std::vector<bool> done(args.size(), false);
  for (size_t i = 0; i < args.size(); ++i) {
    if (done[i] || !args[i].defined() || !args[i].record()->storage) continue;
    std::vector<size_t> group;  // over one memory
    for (size_t k = i; k < args.size(); ++k) {
      if (!args[k].defined() || args[k].record()->storage != args[i].record()->storage) continue;
      group.push_back(k);
      done[k] = true;
    }
    const bool one = std::all_of(group.begin(), group.end(), [&](size_t k) { return args[k].is_same(args[i]); });
    if (!one && (base_among(group, args) != nullptr || pass_base(group))) continue;
    for (size_t k : group) of_leaf_[k] = is_view_of_leaf(args[k]);
    one ? stand_for(group) : stand_for_parts(group);
  }
  for (size_t i = 0; i < inputs_.size(); ++i) edges_.push_back(seen(i).defined() ? gradient_edge(seen(i)) : Edge{});
}

/// Several views of one base that take part in gradients: written to, each of them gets another history through it.
bool StandIns::pass_base(const std::vector<size_t>& group) {
  const Tensor& first = given_[group[0]];
  bool several = false;
  for (size_t i : group) {
    if (!given_[i].is_view() || !given_[i].base().is_same(first.base())) return false;
    several |= !given_[i].is_same(first);
  }
  if (!several || !first.base().requires_grad()) return false;
  hidden_.push_back({group[0], true});
  inputs_.push_back(first.base());
  return true;
}

/// Another handle, so that the function's argument is not taken for a tensor that the function knows from elsewhere.
void StandIns::stand_for(const std::vector<size_t>& group) {
  const Tensor first = given_[group[0]];
  const Tensor alone = without_base(first, alias(first));
  for (size_t i : group) given_[i] = inputs_[i] = alone;
}

/// Several parts of something: all are views of the stretch that they lie in.
void StandIns::stand_for_parts(const std::vector<size_t>& group) {
  const Tensor first = given_[group[0]];
  int64_t begin = first.storage_offset(), end = begin;
  for (size_t i : group) {
    const Tensor& t = given_[i];
    begin = std::min(begin, t.storage_offset());
    end = std::max(end, t.storage_offset() + span_of(t.shape(), t.strides()));
  }
  hidden_.push_back({group[0], false, begin - first.storage_offset(), end - begin});
  const Tensor whole = find_hidden(hidden_.back(), given_);
  inputs_.push_back(whole);
  for (size_t i : group) {
    const Tensor t = given_[i];
    const std::optional<std::vector<ViewStep>> steps = steps_between(whole, t);
    Tensor part = whole;
    for (const ViewStep& s : *steps) {
      const ViewSpec v = s.op->view(Call{s.op, std::span<const Tensor>(&part, 1), s.attrs, {}});
      part = make_view(part, v.shape, v.strides, v.offset, s);
    }
    if (steps->empty()) part = alias(whole);
    given_[i] = without_base(t, part);
    inputs_[i] = make_view(whole, t.shape(), t.strides(), t.storage_offset(), {});  // the program does not read it
  }
}

int StandIns::argument(const Tensor& t) const {
  for (size_t i = 0; i < given_.size(); ++i) {
    if (given_[i].defined() && given_[i].is_same(t)) return static_cast<int>(i);
  }
  return -1;
}

void StandIns::introduce(Recorder& recorder) const {
  for (size_t i = 0; i < given_.size(); ++i) {
    if (given_[i].defined()) recorder.stands_for(given_[i], i);
    if (of_leaf_[i]) recorder.guard_leaf(given_[i]);
  }
}

std::vector<size_t> StandIns::rewritten() const {
  std::vector<size_t> out;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Tensor& t = seen(i);
    if (!t.defined() || (i < given_.size() && argument(t) != static_cast<int>(i))) continue;
    const Edge e = gradient_edge(t);
    if (e.to == edges_[i].to && e.output == edges_[i].output) continue;
    const bool part = !inputs_[i].is_same(t) && t.is_view();
    const bool stretch = i >= given_.size() && !hidden_[i - given_.size()].base;
    if (!part && !stretch) {
      if (!t.is_view()) out.push_back(i);  // else its base is an input too, and brought up to date
      continue;
    }
    throw NotImplementedError(
        "compile: the function writes a value with history into one of several views without a common base")
        .got(describe(t))
        .fix("pass the whole tensor, or write value.detach()");
  }
  return out;
}

}  // namespace thixo
