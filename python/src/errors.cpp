// C++ errors as Python exceptions: thixo.ShapeError is a ValueError, and so on; the text is the same on both sides.
#include <frameobject.h>

#include <algorithm>
#include <array>

#include "py.h"

namespace thixo::py {
namespace {

/// A text of the library as a Python error; bytes of a file or a path may stand in it that are no UTF-8.
void set_text(PyObject* type, std::string_view text) {
  PyObject* value = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
  if (value == nullptr) return;
  PyErr_SetObject(type, value);
  Py_DECREF(value);
}

std::array<PyObject*, 8> g_types{};
std::string g_package = "/thixo/";  // until the package says where it is

/// "train.py:41": the innermost Python frame that is not inside the package.
std::string python_place() {
  PyThreadState* state = PyThreadState_Get();
  PyFrameObject* frame = PyThreadState_GetFrame(state);
  std::string place;
  while (frame != nullptr) {
    PyCodeObject* code = PyFrame_GetCode(frame);
    const char* file = PyUnicode_AsUTF8(code->co_filename);
    std::string name = file != nullptr ? file : "?";
    int line = PyFrame_GetLineNumber(frame);
    Py_DECREF(code);
    bool inside = name.starts_with(g_package);
    if (!inside) {
      place = name.substr(name.find_last_of('/') + 1) + ":" + std::to_string(line);
      Py_DECREF(frame);
      break;
    }
    PyFrameObject* back = PyFrame_GetBack(frame);
    Py_DECREF(frame);
    frame = back;
  }
  return place;
}

/// A place in C++ is the library's own and says nothing here: the caller's stands for it.
void replace_library_place(std::string& text, const std::string& place) {
  const size_t line = text.rfind("\n  at    ");
  if (line == std::string::npos || place.empty()) return;
  for (std::string_view suffix : {".cpp:", ".h:"}) {
    const size_t dot = text.find(suffix, line);
    if (dot == std::string::npos) continue;
    const size_t begin = text.find_last_of(" (", dot) + 1;
    const size_t end = std::min(text.find_first_not_of("0123456789", dot + suffix.size()), text.size());
    text.replace(begin, end - begin, place);
    return;
  }
}

}  // namespace

void set_package(const std::string& folder) { g_package = folder + "/"; }

void set_error() {
  try {
    throw;
  } catch (const Error& e) {
    Error copy = e;
    const std::string place = python_place();
    if (!copy.has_at() && !place.empty()) copy.at(place);
    // The kind stands in the type already; Python prints it before the text.
    std::string text = copy.what();
    replace_library_place(text, place);
    const size_t colon = text.find(": ");
    set_text(g_types[static_cast<size_t>(e.kind())], text.substr(colon == std::string::npos ? 0 : colon + 2));
  } catch (nb::python_error& e) {
    e.restore();
  } catch (const nb::builtin_exception& e) {  // what our own code throws: nb::type_error and its kin
    static PyObject* const types[] = {PyExc_RuntimeError, PyExc_StopIteration, PyExc_IndexError,
                                      PyExc_KeyError,     PyExc_ValueError,    PyExc_TypeError,
                                      PyExc_BufferError,  PyExc_ImportError,   PyExc_AttributeError};
    auto k = static_cast<size_t>(e.type());
    PyErr_SetString(k < std::size(types) ? types[k] : PyExc_TypeError, e.what());
  } catch (const std::bad_cast&) {
    PyErr_SetString(PyExc_TypeError, "an argument, or what a function returned, has a type that does not fit");
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& e) {
    set_text(PyExc_RuntimeError, e.what());
  }
}

void add_errors(nb::module_& m) {
  PyObject* bases[] = {PyExc_ValueError, PyExc_TypeError,           PyExc_RuntimeError, PyExc_IndexError,
                       PyExc_ValueError, PyExc_NotImplementedError, PyExc_OSError,      PyExc_RuntimeError};
  const char* docs[] = {"Shapes that do not fit together.",
                        "A dtype that an op does not take.",
                        "A device that is not there.",
                        "An index or dim out of range.",
                        "A value that makes no sense.",
                        "A feature that is not there.",
                        "A file that cannot be read or written.",
                        "A fault inside thixo: please report it."};
  PyObject* base =
      PyErr_NewExceptionWithDoc("thixo.Error", "Base of all errors of thixo; a RuntimeError besides, as PyTorch's are.",
                                PyExc_RuntimeError, nullptr);
  m.attr("Error") = nb::handle(base);
  for (size_t k = 0; k < g_types.size(); ++k) {
    std::string name = std::string("thixo.") + error_kind_name(static_cast<ErrorKind>(k));
    PyObject* both = PyTuple_Pack(2, base, bases[k]);
    g_types[k] = PyErr_NewExceptionWithDoc(name.c_str(), docs[k], both, nullptr);
    Py_DECREF(both);
    m.attr(name.c_str() + 6) = nb::handle(g_types[k]);
  }
  nb::register_exception_translator([](const std::exception_ptr& p, void*) {
    try {
      std::rethrow_exception(p);
    } catch (const Error&) {
      set_error();
    } catch (const std::bad_cast&) {  // what a function of Python gave back
      set_error();
    }
  });
}

}  // namespace thixo::py
