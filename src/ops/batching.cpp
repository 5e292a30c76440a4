#include "ops/batching.h"

#include "ir/dispatch.h"

namespace thixo::ops {

Tensor batch_first(const BatchArgs& a, int k) {
  const Tensor& t = a.call.in[static_cast<size_t>(k)];
  int from = a.batch_dim[static_cast<size_t>(k)];
  return t.defined() && from > 0 ? t.movedim(from, 0) : t;
}

Tensor batch_expanded(const BatchArgs& a, int k) {
  const Tensor& t = a.call.in[static_cast<size_t>(k)];
  if (!t.defined() || a.batch_dim[static_cast<size_t>(k)] >= 0) return batch_first(a, k);
  Shape size = t.shape();
  size.insert(0, a.batch_size);
  return t.unsqueeze(0).expand(size);
}

BatchResult call_batched(const BatchArgs& a, std::span<const Tensor> in, std::span<const Attr> attrs) {
  BatchResult r{dispatch(Call{a.call.op, in, attrs, a.call.at}), {}};
  r.batch_dim.resize(r.values.size(), 0);
  return r;
}

size_t attr_index(const Call& c, std::string_view name) {
  const std::vector<AttrDecl>& decls = c.op->schema.attrs;
  size_t i = 0;
  while (i < decls.size() && decls[i].name != name) ++i;
  return i;
}

BatchResult batch_leading(const BatchArgs& a) {
  SmallVec<Tensor, 4> in;
  for (size_t k = 0; k < a.call.in.size(); ++k) in.push_back(batch_expanded(a, static_cast<int>(k)));
  return call_batched(a, in, a.call.attrs);
}

BatchResult batch_along(const BatchArgs& a, std::string_view name) {
  SmallVec<Tensor, 4> in;
  for (size_t k = 0; k < a.call.in.size(); ++k) in.push_back(batch_expanded(a, static_cast<int>(k)));
  int rank = static_cast<int>(in[0].dim()) - 1;
  if (rank == 0) return {};
  SmallVec<Attr, 6> attrs(a.call.attrs);
  Attr& where = attrs[attr_index(a.call, name)];
  if (std::holds_alternative<Dim>(where)) {
    where = Dim(a.call.dim(name, rank) + 1);
  } else {
    Shape shifted;
    for (int d : a.call.dims(name, rank)) shifted.push_back(d + 1);
    where = shifted;
  }
  return call_batched(a, in, attrs);
}

}  // namespace thixo::ops
