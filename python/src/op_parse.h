// The arguments of one call of an op, put in their places by its schema and converted; it writes the TypeErrors too.
#pragma once

#include "op_signature.h"

namespace thixo::py {

/// Whether a Tensor may stand for a number or an index. It does not where another overload takes it as an operand:
/// in clamp(x, min=t) t keeps its elements and its gradient.
enum class TensorAsNumber : uint8_t { No, Yes };

/// One call being parsed. Throws nb::type_error with the reason when the arguments do not fit the overload.
class Parse {
 public:
  Parse(const Signature& s, OpForm form, TensorAsNumber tensors, PyObject* const* args, size_t nargs,
        PyObject* kwnames);

  std::span<const Tensor> in() const { return in_; }
  std::span<const Attr> attrs() const { return attrs_; }
  PyObject* out() const { return out_; }
  bool requires_grad() const { return requires_grad_; }
  bool inplace() const { return inplace_; }  ///< inplace=True of functions, beside the form with the underscore

 private:
  const char* op() const { return s_.schema->name.c_str(); }
  [[noreturn]] void fail(const std::string& why) const;

  bool gathers(size_t param) const;
  void place_positional(PyObject* const* args, size_t nargs);
  void place_keywords(PyObject* const* values, PyObject* kwnames);
  size_t find(PyObject* key) const;
  void special(PyObject* key, PyObject* value);
  std::string nearest(const std::string& name) const;

  void convert();
  void operand(const OperandDecl& d, PyObject* o);
  void attribute(size_t k, size_t param);

  const Signature& s_;
  OpForm form_;
  TensorAsNumber tensors_;
  SmallVec<PyObject*, 12> slots_;
  SmallVec<Tensor, 4> in_;
  SmallVec<Attr, 4> attrs_;
  SmallVec<int64_t, 8> gathered_;
  int gather_param_ = -1;
  PyObject* out_ = nullptr;
  bool requires_grad_ = false, inplace_ = false;
};

}  // namespace thixo::py
