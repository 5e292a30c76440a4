// Shared by the binding: the Python type of Tensor, conversion both ways, and errors.
//
// One tensor is one Python object: the record keeps it in Object's slot, and from then on the references of both
// sides are counted by Python. Tensor is a type of our own, not nanobind's, so that creating and calling stay cheap.
#pragma once

#include <nanobind/nanobind.h>
// Here and not where they are needed: a source that lacks one compiles and fails at its first call.
#include <cxxabi.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <thread>

#include "thixo/registry.h"
#include "thixo/tensor.h"

namespace nb = nanobind;

namespace thixo::py {

struct PyTensor {
  PyObject_HEAD Object* object;  // a TensorRecord, owned
  PyObject* dict;
  PyObject* weak;
  bool custom;  ///< made by a Python autograd.Function, which may refer back to it
};
extern PyTypeObject* tensor_type;

inline bool is_tensor(PyObject* o) { return Py_TYPE(o) == tensor_type || PyObject_TypeCheck(o, tensor_type) != 0; }
inline Tensor unwrap(PyObject* o) { return Tensor::from_object(Ref<Object>(reinterpret_cast<PyTensor*>(o)->object)); }
/// A new reference; None for an undefined tensor.
PyObject* wrap(const Tensor& t);
/// A new tensor object of a subclass of Tensor over the same values (Parameter).
PyObject* wrap_as(PyTypeObject* type, const Tensor& t);

/// Sets the Python error that stands for the C++ exception in flight; the place in the user's Python source is added.
void set_error();
/// The folder of the Python package: places in it are not the user's.
void set_package(const std::string& folder);
/// Runs f, turning exceptions into Python errors: for slots and vectorcalls.
template <class F> PyObject* guarded(F&& f) {
  try {
    return f();
  } catch (...) {
    set_error();
    return nullptr;
  }
}
template <class F> auto guarded_int(F&& f) -> decltype(f()) {
  try {
    return f();
  } catch (...) {
    set_error();
    return -1;
  }
}

/// Where a thread stays that comes back to Python when the interpreter has ended: CPython before 3.14 would unwind it
/// with pthread_exit, through frames that must not be left so.
[[noreturn]] inline void stay() {
  while (true) std::this_thread::sleep_for(std::chrono::hours(1));
}

/// Lets other Python threads run during a call on much data: for a short one the lock would cost more than it frees.
class Unlocked {
 public:
  explicit Unlocked(std::span<const Tensor> in) {
    constexpr size_t kMuch = 64 << 10;  // bytes
    for (const Tensor& t : in) {
      if (!t.defined() || t.nbytes() < kMuch) continue;
      release();
      return;
    }
  }
  /// For backward: when this thread worked on much data since the last one.
  Unlocked() {
    if (std::exchange(much_, false)) release();
  }
  /// For waiting.
  struct Always {};
  explicit Unlocked(Always) : state_(PyEval_SaveThread()) {}
  ~Unlocked() {
    if (state_ != nullptr) take_lock();
  }
  Unlocked(const Unlocked&) = delete;
  /// f with the lock, which is given back after it.
  template <class F> void locked(F&& f) {
    take_lock();
    state_ = nullptr;
    try {
      f();
    } catch (...) {
      state_ = PyEval_SaveThread();
      throw;
    }
    state_ = PyEval_SaveThread();
  }

 private:
  void take_lock() {
    try {
      PyEval_RestoreThread(state_);
    } catch (const abi::__forced_unwind&) {
      stay();
    }
  }
  void release() {
    much_ = true;
    state_ = PyEval_SaveThread();
  }
  static inline thread_local bool much_ = false;
  PyThreadState* state_ = nullptr;
};

/// For C++ objects that count their references: from then on Python does.
template <class T> auto counted() {
  return nb::intrusive_ptr<T>([](T* o, PyObject* self) noexcept {
    int64_t held = o->bind(self);
    for (int64_t i = 0; i < held; ++i) Py_INCREF(self);
  });
}

/// A path as open() takes it: a str, bytes or an os.PathLike. A zero byte in it is for the library to refuse.
struct Path {
  std::string text;
  operator const std::string&() const { return text; }  // NOLINT
};

// convert.cpp
bool path_from(PyObject* o, std::string* text) noexcept;
bool is_number(PyObject* o);             ///< bool, int, float, complex or a NumPy scalar
Scalar to_scalar(PyObject* o);
PyObject* from_scalar(const Scalar& s);  ///< new reference
bool is_sequence(PyObject* o);           ///< list or tuple
Shape to_shape(PyObject* o);             ///< one int, or a sequence of ints
PyObject* from_shape(const Shape& s);    ///< thixo.Size, new reference
DType to_dtype(PyObject* o);
PyObject* from_dtype(DType t);           ///< new reference
Device to_device(PyObject* o);
/// The tensor that an operand stands for: a Tensor, a number (weak in promotion); else TypeError.
Tensor to_operand(PyObject* o, const char* op, const char* name);
/// thixo.tensor(...): nested sequences, numbers, arrays; copies.
Tensor tensor_from(PyObject* data, PyObject* dtype);
/// A tensor, or the tensors of an iterable; TypeError names the function and its argument.
TensorList tensors_of(nb::handle o, const char* function, const char* name);
/// The attribute value for a Python object; TypeError names op and attribute.
/// An int or what has __index__; OverflowError beyond 64 bits.
int64_t to_int(PyObject* o);
Attr to_attr(PyObject* o, const AttrDecl& decl, const char* op);

// op_call.cpp
enum class OpForm : uint8_t { Function, Method, InPlace };
/// A callable for an op and its overloads, parsed by the schemas.
PyObject* make_op_function(std::vector<const OpDef*> overloads, OpForm form);
/// a op b of the number protocol; NotImplemented when an operand is none of ours.
PyObject* call_binary(const OpDef* op, PyObject* a, PyObject* b);
PyObject* call_unary(const OpDef* op, PyObject* a);
PyObject* call_binary_inplace(const OpDef* op, PyObject* a, PyObject* b);

// transforms.cpp
/// For the garbage collector: what a Python autograd.Function that made this tensor refers to.
int visit_function(const PyTensor& t, visitproc visit, void* arg);

// operators.cpp
std::vector<PyType_Slot> operator_slots();

// grad_fn.cpp
PyObject* wrap_grad_fn(const Tensor& t);  ///< t.grad_fn, new reference

// indexing.cpp
PyObject* tensor_subscript(PyObject* self, PyObject* key);
int tensor_assign(PyObject* self, PyObject* key, PyObject* value);

// tensor_type.cpp and others: parts of the module
void add_tensor_type(nb::module_& m);
void add_grad_fn(nb::module_& m);
void add_dtypes(nb::module_& m);
void add_errors(nb::module_& m);
void add_op_functions(nb::module_& m);
void add_arrays(nb::module_& m);
void add_exchange(nb::module_& m);
void add_core(nb::module_& m);
void add_methods_by_hand();  // before add_op_methods: nanobind refuses names that exist
void add_op_methods();
void add_nn(nb::module_& m);
void add_optim(nb::module_& m);
void add_data(nb::module_& m);
void add_training(nb::module_& m);
void add_transforms(nb::module_& m);

}  // namespace thixo::py

namespace nanobind::detail {
template <> struct type_caster<thixo::Tensor> {
  NB_TYPE_CASTER(thixo::Tensor, const_name("Tensor"))
  bool from_python(handle src, uint32_t, cleanup_list*) noexcept {
    if (src.is_none()) {
      value = thixo::Tensor();
      return true;
    }
    if (!thixo::py::is_tensor(src.ptr())) return false;
    value = thixo::py::unwrap(src.ptr());
    return true;
  }
  static handle from_cpp(const thixo::Tensor& t, rv_policy, cleanup_list*) noexcept { return thixo::py::wrap(t); }
};
}  // namespace nanobind::detail

template <> struct nanobind::detail::type_caster<thixo::py::Path> {
  NB_TYPE_CASTER(thixo::py::Path, const_name("str | bytes | PathLike[str]"))
  bool from_python(handle o, uint8_t, cleanup_list*) noexcept { return thixo::py::path_from(o.ptr(), &value.text); }
};
