#include "codegen/sample_calls.h"

#include <algorithm>

#include "thixo/error.h"

namespace thixo::codegen {
namespace {

std::vector<Attr> attrs_of(const OpDef& op, const Sample& s, DType t) {
  std::vector<Attr> out;
  for (const AttrDecl& d : op.schema.attrs) {
    auto given = std::find_if(s.attrs.begin(), s.attrs.end(), [&](const auto& a) { return a.first == d.name; });
    out.push_back(given != s.attrs.end() ? given->second : d.kind == AttrKind::Rng ? Attr(RngKey{}) : d.def);
    if (d.kind == AttrKind::DType && op.schema.operands.empty()) out.back() = t;
  }
  return out;
}

bool is_empty(const Shape& s) {
  return std::any_of(s.begin(), s.end(), [](Dim d) { return d == 0; });
}

/// The results, or none when the op does not take this dtype.
SmallVec<Spec, 2> specs_of(const Call& call) try { return infer(call); } catch (const Error& e) {
  if (e.kind() == ErrorKind::Internal) throw;
  return {};
}

DType sample_dtype(const SampleTensor& x, DType t) { return x.dtype.value_or(x.wide ? compute_type(t) : t); }

void try_sample(const OpDef& op, const Sample& s, DType t,
                const std::function<void(const Call&, std::span<const Spec>)>& f) {
  SmallVec<Tensor, 4> in;
  for (const SampleTensor& x : s.in) {
    if (is_empty(x.shape)) return;
    in.push_back(x.absent ? Tensor() : Tensor(new_abstract(x.shape, sample_dtype(x, t))));
  }
  while (in.size() < op.schema.operands.size()) in.push_back({});
  const std::vector<Attr> attrs = attrs_of(op, s, t);
  const Call call{&op, {in.data(), in.size()}, attrs, {}};
  const SmallVec<Spec, 2> results = specs_of(call);
  if (results.empty()) return;
  for (const Spec& r : results) {
    if (is_empty(r.shape)) return;
  }
  f(call, {results.data(), results.size()});
}

}  // namespace

void for_each_sample_call(const OpDef& op,
                          const std::function<void(const Call& call, std::span<const Spec> results)>& f) {
  if (!op.samples) return;
  for (const Sample& s : op.samples()) {
    if (!s.bad.empty()) continue;
    for (int t = 0; t < kDTypeCount; ++t) try_sample(op, s, static_cast<DType>(t), f);
  }
}

}  // namespace thixo::codegen
