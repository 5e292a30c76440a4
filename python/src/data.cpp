// Data sets and batches on their way. A batch is made of tensors by C++ alone, or of samples by Python's functions.
#include "thixo/data.h"

#include <chrono>

#include "py.h"

namespace thixo::py {
namespace {

using data::Prefetch;
using std::chrono::milliseconds;

/// What C++ knows of a data set written in Python. It holds no object of Python: cycles through C++ would stay.
struct Sized : data::Dataset {
  int64_t n;
  explicit Sized(int64_t size) : n(size) {}
  int64_t size() const override { return n; }
  TensorList get(int64_t) const override {
    throw NotImplementedError("a data set written in Python gives its samples to the loader of Python");
  }
};

/// A reference that any thread may drop.
std::shared_ptr<void> shared(PyObject* o) {
  return {o, [](void* p) {
            nb::gil_scoped_acquire gil;
            Py_DECREF(static_cast<PyObject*>(p));
          }};
}

/// collate([dataset[i] for i in indices]); null with a Python error, and null without one when stopped. Plain C API: no
/// destructor runs where a worker may have to stay.
PyObject* fetch_batch(PyObject* dataset, PyObject* collate, std::span<const int64_t> indices,
                      const std::atomic<bool>& stopped) {
  PyObject* samples = PyList_New(0);
  for (int64_t i : indices) {
    if (samples == nullptr) return nullptr;
    PyObject* key = PyLong_FromLongLong(i);
    PyObject* sample = stopped || key == nullptr ? nullptr : PyObject_GetItem(dataset, key);
    Py_XDECREF(key);
    if (sample == nullptr || PyList_Append(samples, sample) != 0) Py_CLEAR(samples);
    Py_XDECREF(sample);
  }
  if (samples == nullptr) return nullptr;
  PyObject* batch = PyObject_CallOneArg(collate, samples);
  Py_DECREF(samples);
  return batch;
}

/// The batches of a data set of Python. Workers that come back after the interpreter's end stay where they are.
data::DataLoader::Fetch python_fetch(nb::object dataset, nb::object collate) {
  return [dataset = shared(dataset.release().ptr()), collate = shared(collate.release().ptr())](
             std::span<const int64_t> indices, const std::atomic<bool>& stopped) -> Prefetch::Result {
    try {
      const PyGILState_STATE gil = PyGILState_Ensure();
      auto* batch =
          fetch_batch(static_cast<PyObject*>(dataset.get()), static_cast<PyObject*>(collate.get()), indices, stopped);
      std::exception_ptr error;
      if (batch == nullptr && PyErr_Occurred() != nullptr) error = std::make_exception_ptr(nb::python_error());
      PyGILState_Release(gil);
      if (error) std::rethrow_exception(error);
      return batch != nullptr ? shared(batch) : nullptr;
    } catch (const abi::__forced_unwind&) {
      stay();
    }
  };
}

/// Epochs with workers that may not have ended, and whether the interpreter is about to. Never destroyed: a worker that
/// stays in Python cannot be waited for.
struct Running {
  std::vector<std::shared_ptr<Prefetch>> all;
  bool ending = false;
  void forget_ended() {
    std::erase_if(all, [](const auto& p) { return p->wait(milliseconds(0)); });
  }
};
Running& running() {
  static Running& r = *new Running;
  return r;
}

/// One epoch in Python's hands.
class Batches {
 public:
  Batches(std::shared_ptr<Prefetch> batches, bool of_python) : batches_(std::move(batches)), of_python_(of_python) {}
  Batches(const Batches&) = delete;
  ~Batches() { batches_->stop(); }

  /// The next batch; StopIteration at the end. Ctrl-C is seen while it waits, whatever the workers do.
  nb::object next() {
    std::optional<Prefetch::Result> r;
    {
      Unlocked unlocked(Unlocked::Always{});
      r = batches_->next([&] {
        interrupted_ = true;
        unlocked.locked(check_signals);
        interrupted_ = false;
      });
    }
    if (!r || *r == nullptr) throw nb::stop_iteration();
    if (of_python_) return nb::borrow(static_cast<PyObject*>(r->get()));
    return nb::cast(std::move(*static_cast<TensorList*>(r->get())));
  }

  /// Waits for the samples that are being made, but not for one that takes for ever.
  void close() {
    batches_->stop();
    if (!interrupted_) wait_for(*batches_, kPatience);
    running().forget_ended();
  }

  static constexpr milliseconds kPatience{5000};
  static void check_signals() {
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
  }
  static bool wait_for(Prefetch& p, milliseconds most) {
    Unlocked unlocked(Unlocked::Always{});
    const auto end = std::chrono::steady_clock::now() + most;
    while (!p.wait(milliseconds(50))) {
      unlocked.locked(check_signals);
      if (std::chrono::steady_clock::now() > end) return false;
    }
    return true;
  }

 private:
  std::shared_ptr<Prefetch> batches_;
  bool of_python_, interrupted_ = false;
};

/// Before the interpreter ends: no thread of a loader may come back to it then.
void end_batches() {
  running().ending = true;
  const std::vector<std::shared_ptr<Prefetch>> all = running().all;  // other threads may still begin to end theirs
  for (const auto& p : all) p->stop();
  for (const auto& p : all) {
    if (!Batches::wait_for(*p, Batches::kPatience)) return;
  }
}

Batches* begin(data::DataLoader& loader, int workers, nb::object dataset, nb::object collate) {
  Running& r = running();
  if (workers > 0 && r.ending) {
    const bool main = PyErr_CheckSignals() == 0 && nb::module_::import_("threading")
                                                       .attr("current_thread")()
                                                       .is(nb::module_::import_("threading").attr("main_thread")());
    if (main) throw ValueError("DataLoader: no workers can start while the interpreter ends").fix("use num_workers=0");
    Unlocked unlocked(Unlocked::Always{});  // a daemon thread: it would not get far
    stay();
  }
  const bool of_python = !collate.is_none();
  std::shared_ptr<Prefetch> p;
  if (of_python) {
    p = loader.prefetch(python_fetch(std::move(dataset), std::move(collate)));
  } else {
    p = loader.prefetch([source = loader.dataset()](std::span<const int64_t> indices, const std::atomic<bool>&) {
      return std::make_shared<TensorList>(source->batch(indices));
    });
  }
  r.forget_ended();
  if (workers > 0) r.all.push_back(p);
  return new Batches(std::move(p), of_python);
}

}  // namespace

void add_data(nb::module_& m) {
  nb::class_<data::Dataset>(m, "_Dataset", counted<data::Dataset>()).def("__len__", &data::Dataset::size);
  nb::class_<data::TensorDataset, data::Dataset>(m, "_TensorDataset").def(nb::init<TensorList>());
  nb::class_<data::Subset, data::Dataset>(m, "_Subset")
      .def("__init__", [](data::Subset* self, data::Dataset* of, std::vector<int64_t> i) {
        new (self) data::Subset(Ref<data::Dataset>(of), std::move(i));
      });
  nb::class_<Sized, data::Dataset>(m, "_Sized").def(nb::init<int64_t>());
  m.def("_collate", [](const TensorList& samples) {
    std::vector<TensorList> rows;
    for (const Tensor& t : samples) rows.push_back({t});
    Unlocked unlocked(samples);
    return data::collate(rows)[0];
  });
  nb::class_<Batches>(m, "_Batches")
      .def("__iter__", [](nb::object self) { return self; })
      .def("__next__", &Batches::next)
      .def("_close", &Batches::close);
  m.def("_end_batches", &end_batches);
  nb::class_<data::DataLoader>(m, "_DataLoader", counted<data::DataLoader>())
      .def(
          "__init__",
          [](data::DataLoader* self, data::Dataset* d, int64_t batch, bool shuffle, bool drop, int workers,
             int prefetch, std::optional<uint64_t> seed, Generator* generator, int64_t epoch) {
            data::LoaderOptions o;
            o.batch_size = batch;
            o.shuffle = shuffle;
            o.drop_last = drop;
            o.num_workers = workers;
            o.prefetch = prefetch;
            o.seed = seed;
            o.generator = generator;
            new (self) data::DataLoader(Ref<data::Dataset>(d), o);
            self->set_epoch(epoch);
          },
          nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none(),
          nb::arg())
      .def("__len__", &data::DataLoader::size)
      .def("_begin", &begin, nb::arg(), nb::arg().none(), nb::arg().none(), nb::rv_policy::take_ownership);
  m.def("_digits", [] {
    data::Digits d = data::digits();
    return nb::make_tuple(d.images, d.labels);
  });
  m.def("_digits_split", [](int64_t test, uint64_t seed) {
    auto [train, held_out] = data::digits().split(test, seed);
    return nb::make_tuple(train.images, train.labels, held_out.images, held_out.labels);
  });
}

}  // namespace thixo::py
