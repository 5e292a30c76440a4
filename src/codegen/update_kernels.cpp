#include "codegen/update_kernels.h"

namespace thixo::codegen {

std::string update_key(const UpdateRule& rule, DType dtype) {
  return "update." + std::string(rule.op) + "." + std::string(dtype_short_name(dtype));
}

Kernel update_kernel(const UpdateRule& rule, DType dtype) {
  Kernel k;
  k.vector_par = true;
  k.params = rule.scalars;
  const DType type = compute_type(dtype);
  std::vector<Expr> x, s;
  for (int i = 0; i < rule.tensors(); ++i) {
    k.buffers.push_back({"x" + std::to_string(i), dtype, BufferKind::In, {}});
    x.push_back(load(i, type, axis(0)));
  }
  for (int i = 0; i < rule.scalars; ++i) s.push_back(param(i, type));
  const std::vector<Expr> values = rule.step(x, s);
  for (size_t i = 0; i < values.size(); ++i) {
    k.buffers.push_back({"y" + std::to_string(i), dtype, BufferKind::Out, {}});
    k.body.push_back(make_store(rule.tensors() + static_cast<int>(i), axis(0), values[i]));
  }
  return k;
}

void add_update_kernels(PackSink& sink) {
  sink.group("update");
  for (const UpdateRule& rule : update_rules()) {
    for (DType t : {DType::F32, DType::F64, DType::F16, DType::BF16})
      sink.add(update_key(rule, t), update_kernel(rule, t));
  }
}

}  // namespace thixo::codegen
