// Tensors to and from other libraries, bytes and files: DLPack, raw bytes, safetensors, NumPy's files.
#include <cstring>

#include "py.h"
#include "thixo/dlpack.h"
#include "thixo/npy.h"
#include "thixo/serialize.h"

namespace thixo::py {
namespace {

// ---- DLPack: a capsule named "dltensor" owns its struct until a taker renames it ----

template <class M> struct Capsule;
template <> struct Capsule<DLManagedTensor> {
  static constexpr const char* name = "dltensor";
  static constexpr const char* used = "used_dltensor";
};
template <> struct Capsule<DLManagedTensorVersioned> {
  static constexpr const char* name = "dltensor_versioned";
  static constexpr const char* used = "used_dltensor_versioned";
};

template <class M> nb::object capsule_of(M* m) {
  PyObject* c = PyCapsule_New(m, Capsule<M>::name, [](PyObject* self) {
    if (PyCapsule_IsValid(self, Capsule<M>::name) == 0) return;  // taken over
    delete_dlpack(static_cast<M*>(PyCapsule_GetPointer(self, Capsule<M>::name)));
  });
  if (c == nullptr) {
    delete_dlpack(m);
    throw nb::python_error();
  }
  return nb::steal(c);
}

template <class M> Tensor take(PyObject* c) {
  Tensor t = from_dlpack(static_cast<M*>(PyCapsule_GetPointer(c, Capsule<M>::name)));
  PyCapsule_SetName(c, Capsule<M>::used);
  return t;
}

nb::object give(const Tensor& t, nb::object, std::optional<std::pair<int, int>> max_version,
                std::optional<std::pair<int, int>> device, std::optional<bool> copy) {
  if (device && *device != std::pair(1, 0)) throw nb::buffer_error("__dlpack__: the tensor is on the CPU");
  Tensor given = copy.value_or(false) ? t.clone(MemoryFormat::Preserve) : t;
  return max_version && max_version->first >= 1 ? capsule_of(to_dlpack_versioned(given)) : capsule_of(to_dlpack(given));
}

Tensor taken(nb::object source) {
  nb::object c = source;
  if (PyCapsule_CheckExact(source.ptr()) == 0) {
    if (!nb::hasattr(source, "__dlpack__")) {
      throw nb::type_error("from_dlpack: the object has no method __dlpack__, and is no capsule");
    }
    try {
      c = source.attr("__dlpack__")(nb::arg("max_version") = nb::make_tuple(1, 0));
    } catch (nb::python_error& e) {
      if (!e.matches(PyExc_TypeError)) throw;
      c = source.attr("__dlpack__")();  // a library from before DLPack 1.0
    }
  }
  using Old = DLManagedTensor;
  using New = DLManagedTensorVersioned;
  if (PyCapsule_IsValid(c.ptr(), Capsule<New>::name) != 0) return take<New>(c.ptr());
  if (PyCapsule_IsValid(c.ptr(), Capsule<Old>::name) != 0) return take<Old>(c.ptr());
  throw ValueError("from_dlpack: the capsule was taken before").fix("ask for a new one: a capsule gives its data once");
}

// ---- raw bytes: for pickle ----

nb::bytes to_bytes(const Tensor& t) {
  Tensor c = t.detach().contiguous();
  return nb::bytes(c.nbytes() == 0 ? "" : c.raw_data(), c.nbytes());
}

Tensor from_bytes(nb::bytes b, nb::object dtype, nb::object shape) {
  Tensor t = empty(to_shape(shape.ptr()), {.dtype = to_dtype(dtype.ptr())});
  if (t.nbytes() != b.size()) {
    throw ValueError("a tensor of " + std::to_string(t.nbytes()) + " bytes cannot be made from " +
                     std::to_string(b.size()));
  }
  if (b.size() > 0) std::memcpy(t.raw_data(), b.c_str(), b.size());
  return t;
}

}  // namespace

void add_exchange(nb::module_& m) {
  using nb::arg;
  m.def("_to_dlpack", give, arg("tensor"), arg("stream") = nb::none(), arg("max_version") = nb::none(),
        arg("dl_device") = nb::none(), arg("copy") = nb::none());
  m.def("from_dlpack", taken, arg("ext_tensor"),
        "A tensor over the memory of another library's array, without a copy.\n\n"
        ">>> x = thixo.ones(2)\n>>> thixo.from_dlpack(x).add_(1)\ntensor([2., 2.])\n>>> x\ntensor([2., 2.])");
  m.def("_to_bytes", to_bytes);
  m.def("_from_bytes", from_bytes);
  m.def(
      "load_file", [](const Path& path) { return load_file(path); }, arg("path"),
      "The tensors of a safetensors file by name, mapped without a copy. The file may be replaced meanwhile, as\n"
      "save_file does; written in place, it changes the tensors: clone() what must not depend on it.\n\n"
      ">>> thixo.save_file({'w': thixo.ones(2)}, 'w.safetensors')\n>>> thixo.load_file('w.safetensors')\n"
      "{'w': tensor([1., 1.])}");
  m.def(
      "load_metadata", [](const Path& path) { return load_metadata(path); }, arg("path"),
      "The names and texts that a safetensors file carries beside its tensors.\n\n"
      ">>> thixo.save_file({}, 'm.safetensors', {'by': 'me'})\n>>> thixo.load_metadata('m.safetensors')\n"
      "{'by': 'me'}");
  m.def(
      "save_file", [](const TensorMap& t, const Path& path, const Metadata& texts) { save_file(t, path, texts); },
      arg("tensors"), arg("path"), arg("metadata") = Metadata{},
      "Writes a safetensors file; an old file is replaced only when the new one is complete.\n\n"
      ">>> thixo.save_file({'w': thixo.ones(2)}, 'w.safetensors')\n>>> list(thixo.load_file('w.safetensors'))\n"
      "['w']");
  m.def(
      "load_npy", [](const Path& path) { return load_npy(path); }, arg("path"),
      "An array that numpy.save wrote.\n\n"
      ">>> thixo.save_npy('x.npy', thixo.arange(3))\n>>> thixo.load_npy('x.npy')\ntensor([0, 1, 2])");
  m.def(
      "save_npy", [](const Path& path, const Tensor& t) { save_npy(path, t); }, arg("path"), arg("tensor"),
      "Writes a file that numpy.load reads.\n\n"
      ">>> thixo.save_npy('x.npy', thixo.ones(2))\n>>> thixo.load_npy('x.npy')\ntensor([1., 1.])");
  m.def(
      "load_npz", [](const Path& path) { return load_npz(path); }, arg("path"),
      "The arrays of a file that numpy.savez wrote, by name.\n\n"
      ">>> import numpy\n>>> numpy.savez('x.npz', a=numpy.ones(2, 'f'))\n>>> thixo.load_npz('x.npz')\n"
      "{'a': tensor([1., 1.])}");
}

}  // namespace thixo::py
