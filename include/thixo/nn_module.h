// Module: parameters, buffers and children by name, in the order in which they were declared. Members register
// themselves, so a network is its members and a forward:
//
//   struct NetImpl : nn::Module {
//     nn::Linear fc1{this, "fc1", 784, 128};
//     nn::Linear fc2{this, "fc2", 128, 10, {.bias = false}};
//     nn::Parameter scale{this, "scale", ones({10})};
//     Tensor forward(const Tensor& x) override { return fc2(relu(fc1(x))) * scale; }
//   };
//   using Net = nn::Handle<NetImpl>;
//   Net net;
//   Tensor y = net(x);
//
// A handle is a counted reference: copies share the module.
#pragma once

#include <concepts>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "thixo/tensor.h"

namespace thixo::nn {

class Module;

template <class T> using Named = std::pair<std::string, T>;
/// Names ("encoder.0.weight") and values, in the order of the modules.
using StateDict = std::vector<Named<Tensor>>;

namespace detail {

/// An entry of a module: the value itself, or the C++ member that holds it.
template <class T> struct Entry {
  std::string name;
  T own{};
  T* member = nullptr;
  bool persistent = true;              ///< of a buffer: part of the state_dict
  bool (*fits)(const Module*) = nullptr;  ///< of a child: what the C++ member can hold
  const T& value() const { return member != nullptr ? *member : own; }
  T& value() { return member != nullptr ? *member : own; }
};

/// Notes for error texts which modules are running on this thread.
class THIXO_API Running {
 public:
  explicit Running(const Module* m) noexcept;
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  /// Adds "at encoder.block2.conv1" to an error, once.
  static void locate(Error& e);
};

}  // namespace detail

/// What load_state_dict left out where it is not strict.
struct LoadReport {
  std::vector<std::string> missing, unexpected;
};

class THIXO_API Module : public Object {
 public:
  Module() = default;
  ~Module() override;

  /// One tensor in, one out. Modules with other signatures declare a forward of their own.
  virtual Tensor forward(const Tensor& x);
  Tensor operator()(const Tensor& x);

  // What the module consists of. The plain forms are this module's own; the others go down, with dotted names.
  std::vector<Named<Ref<Module>>> named_children() const;
  /// This module ("") and all below it, each once.
  std::vector<Named<Module*>> named_modules();
  std::vector<Module*> modules();
  /// Each tensor once, or under all of its names.
  std::vector<Named<Tensor>> named_parameters(bool recurse = true, bool remove_duplicate = true) const;
  std::vector<Tensor> parameters(bool recurse = true) const;
  std::vector<Named<Tensor>> named_buffers(bool recurse = true, bool remove_duplicate = true) const;
  std::vector<Tensor> buffers(bool recurse = true) const;
  /// "encoder.0.conv"; ValueError with the nearest name when there is none.
  Module& get_submodule(std::string_view path);

  // Registration by name: for bindings and modules built at run time. A name that exists gets the new value, the
  // C++ member behind it too. An undefined tensor or null module stands for None.
  /// `value` is a leaf; requires_grad = false: it is frozen.
  void register_parameter(std::string_view name, const Tensor& value, bool requires_grad = true);
  void register_buffer(std::string_view name, const Tensor& value, bool persistent = true);
  void register_module(std::string_view name, Ref<Module> child);
  /// Removes a parameter, buffer or child; false when there is none. A C++ member is emptied.
  bool unregister(std::string_view name);
  /// A parameter or buffer of this module by name; null when there is none.
  const Tensor* find_tensor(std::string_view name) const;
  /// A child of this module by name; null when there is none.
  const Ref<Module>* find_child(std::string_view name) const;
  /// Whether a C++ member holds what has this name: its forward looks there.
  bool is_member(std::string_view name) const;
  /// Names of this module's own entries, including those that are None.
  std::vector<std::string> parameter_names() const;
  std::vector<std::string> buffer_names() const;
  std::vector<std::string> child_names() const;

  bool training() const;
  void set_training(bool on) { mode_->training = on; }  ///< of this module alone
  virtual Module& train(bool on = true);
  Module& eval() { return train(false); }
  /// A number that is another one when this module or one below is switched by train(), gets or loses an entry by
  /// register_... or unregister, or a setting after which changed() is called: for the key of a compiled function.
  uint64_t modes() const;
  void changed() { ++mode_->changes; }

  /// Floating-point parameters and buffers in another dtype. Tensors keep their identity: an optimizer's stay valid.
  Module& to(DType dtype);
  Module& to(Device device);
  /// channels_last lays out the weights of rank 4 so.
  Module& to(MemoryFormat format);
  Module& requires_grad_(bool on = true);
  void zero_grad(bool set_to_none = true);
  /// f on every child below, then on this module.
  Module& apply(const std::function<void(Module&)>& f);

  /// Parameters and persistent buffers, detached but not copied.
  StateDict state_dict() const;
  /// Copies values in. Names, shapes and kinds are checked first: after an error the module is as it was.
  LoadReport load_state_dict(const StateDict& state, bool strict = true);
  /// The state_dict as a safetensors file; an old file is replaced only when the new one is complete.
  void save(const std::string& path) const;
  LoadReport load(const std::string& path, bool strict = true);

  /// As PyTorch prints it.
  std::string str() const;
  /// "Linear": the C++ class without "Impl", unless a binding knows better.
  virtual std::string type_name() const;
  /// What stands in the parentheses of str().
  virtual std::string extra_repr() const { return {}; }

  /// f() with this module's place added to errors.
  template <class F> decltype(auto) run(F&& f) const {
    detail::Running running(this);
    try {
      return std::forward<F>(f)();
    } catch (Error& e) {
      detail::Running::locate(e);
      throw;
    }
  }

 protected:
  friend class Parameter;
  friend class Buffer;
  friend class HandleBase;
  enum class Kind : uint8_t { Parameter, Buffer, Child };
  void check_name(std::string_view name, Kind kind) const;
  void own_member(const Tensor* member) noexcept;
  void own_member(const Ref<Module>* member) noexcept;
  using Tensors = std::vector<detail::Entry<Tensor>> Module::*;
  void collect(const std::string& prefix, bool recurse, bool once, Tensors list, std::vector<Named<Tensor>>* out) const;
  void replace_tensors(const std::function<Tensor(const Tensor&)>& f);
  void collect_state(const std::string& prefix, StateDict* out) const;
  void print_children(std::string* text, const std::string& indent) const;
  virtual bool prints_runs() const { return false; }  ///< equal neighbours as "(0-5): 6 x Block(...)"
  std::string str_at(const std::string& indent) const;

  std::vector<detail::Entry<Tensor>> parameters_, buffers_;
  std::vector<detail::Entry<Ref<Module>>> children_;
  struct Mode {
    uint32_t changes = 0;
    bool training = true;
  };
  std::shared_ptr<Mode> mode_ = std::make_shared<Mode>();  // compiled programs look at it, and hold no module
};

THIXO_API std::ostream& operator<<(std::ostream& out, const Module& m);

/// A parameter that is a member of its module: a Tensor that asks for a gradient. Undefined means None.
class THIXO_API Parameter : public Tensor {
 public:
  Parameter() = default;
  Parameter(Module* owner, std::string_view name, const Tensor& value);
  Parameter(const Parameter& o) : Tensor(o) {}
  Parameter& operator=(const Parameter& o) { return *this = static_cast<const Tensor&>(o); }
  Parameter& operator=(const Tensor& t) {
    Tensor::operator=(t);
    return *this;
  }
  ~Parameter();

 private:
  Module* owner_ = nullptr;
};

/// A tensor that belongs to the state of its module but is not trained.
class THIXO_API Buffer : public Tensor {
 public:
  Buffer() = default;
  Buffer(Module* owner, std::string_view name, const Tensor& value, bool persistent = true);
  Buffer(const Buffer& o) : Tensor(o) {}
  Buffer& operator=(const Buffer& o) { return *this = static_cast<const Tensor&>(o); }
  Buffer& operator=(const Tensor& t) {
    Tensor::operator=(t);
    return *this;
  }
  ~Buffer();

 private:
  Module* owner_ = nullptr;
};

/// The part of a handle that does not depend on the module's class.
class THIXO_API HandleBase {
 public:
  operator Ref<Module>() const { return module_; }  // NOLINT: wherever a module is wanted
  explicit operator bool() const { return static_cast<bool>(module_); }

 protected:
  explicit HandleBase(Ref<Module> m) : module_(std::move(m)) {}
  HandleBase(const HandleBase& o) : module_(o.module_) {}
  HandleBase& operator=(const HandleBase& o) {
    module_ = o.module_;
    return *this;
  }
  ~HandleBase();
  void enter(Module* owner, std::string_view name, bool (*fits)(const Module*));

  Ref<Module> module_;
  Module* owner_ = nullptr;
};

namespace detail {
struct NoOptions {};
template <class Impl> struct OptionsOf {
  using type = NoOptions;
};
template <class Impl>
  requires requires { typename Impl::Options; }
struct OptionsOf<Impl> {
  using type = typename Impl::Options;
};
template <class Impl, class O, class... A> Impl* new_module(const O& options, A&&... a) {
  if constexpr (std::is_same_v<O, NoOptions>) {
    return new Impl(std::forward<A>(a)...);
  } else {
    return new Impl(std::forward<A>(a)..., options);
  }
}
}  // namespace detail

/// A reference to a module of class Impl, made with Impl's arguments A and, where it has them, Impl::Options:
///   using Block = nn::Handle<BlockImpl, int64_t, int64_t>;
///   Block free(3, 8), member{this, "member", 3, 8};
template <class Impl, class... A> class Handle : public HandleBase {
 public:
  using Options = typename detail::OptionsOf<Impl>::type;
  explicit(sizeof...(A) > 0) Handle(A... a, Options options = {})
      : HandleBase(detail::new_module<Impl>(options, std::move(a)...)) {}
  Handle(Module* owner, std::string_view name, A... a, Options options = {})
      : HandleBase(detail::new_module<Impl>(options, std::move(a)...)) {
    enter(owner, name, fits);
  }
  /// A module that exists already (templates, so that 0 never means "no module").
  template <std::same_as<Ref<Impl>> R> explicit Handle(R m) : HandleBase(std::move(m)) {}
  template <std::same_as<Ref<Impl>> R> Handle(Module* owner, std::string_view name, R m) : HandleBase(std::move(m)) {
    enter(owner, name, fits);
  }

  Impl* get() const { return static_cast<Impl*>(module_.get()); }
  Impl* operator->() const { return get(); }
  Impl& operator*() const { return *get(); }
  /// Impl::forward with its own signature.
  template <class... X> decltype(auto) operator()(X&&... x) const {
    return get()->run([&]() -> decltype(auto) { return get()->forward(std::forward<X>(x)...); });
  }

 private:
  static bool fits(const Module* m) { return dynamic_cast<const Impl*>(m) != nullptr; }
};

template <class Impl, class... A> std::ostream& operator<<(std::ostream& out, const Handle<Impl, A...>& h) {
  return out << static_cast<const Module&>(*h);
}

}  // namespace thixo::nn
