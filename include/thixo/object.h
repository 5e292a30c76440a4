// Shared ownership for Tensor records, Modules, tape nodes, Optimizers and Datasets: a count inside
// the object, and one slot through which a language binding can take the ownership over. Once bound,
// the counting is the binding's, so one C++ object is always one Python object and its attributes
// live as long as either side holds it.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "thixo/export.h"

namespace thixo {

/// What a language binding provides; set once, when it is loaded.
struct BindingHooks {
  void (*retain)(void* self) noexcept;
  void (*release)(void* self) noexcept;
};
THIXO_API void set_binding_hooks(BindingHooks hooks);

class THIXO_API Object {
 public:
  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object();

  void retain() const noexcept {
    if (bound_ == nullptr) [[likely]] {
      count_.fetch_add(1, std::memory_order_relaxed);
    } else {
      retain_bound();
    }
  }
  void release() const noexcept {
    if (bound_ == nullptr) [[likely]] {
      if (count_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
    } else {
      release_bound();
    }
  }
  int64_t use_count() const { return count_.load(std::memory_order_relaxed); }

  /// The binding's object for this one, or null. bind() hands over the C++ references held so far:
  /// the binding must add use_count() references of its own; it may be called once.
  void* bound() const { return bound_; }
  void bind(void* self) { bound_ = self; }

 protected:
  /// Called when the last reference goes; a pooled object overrides it.
  virtual void destroy() const { delete this; }

 private:
  void retain_bound() const noexcept;
  void release_bound() const noexcept;
  mutable std::atomic<int64_t> count_{0};
  void* bound_ = nullptr;
};

/// A counted reference to an Object.
template <class T>
class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}             // NOLINT
  Ref(T* p) : p_(p) { if (p_) p_->retain(); }  // NOLINT
  Ref(const Ref& o) : Ref(o.p_) {}
  Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  template <class U>
    requires std::is_convertible_v<U*, T*>
  Ref(const Ref<U>& o) : Ref(o.get()) {}  // NOLINT
  ~Ref() { if (p_) p_->release(); }
  Ref& operator=(Ref o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  T* get() const { return p_; }
  T* operator->() const { return p_; }
  T& operator*() const { return *p_; }
  explicit operator bool() const { return p_ != nullptr; }
  T* detach() { return std::exchange(p_, nullptr); }  ///< gives the reference away, uncounted
  friend bool operator==(const Ref& a, const Ref& b) { return a.p_ == b.p_; }

 private:
  T* p_ = nullptr;
};

template <class T, class... A>
Ref<T> make_ref(A&&... a) {
  return Ref<T>(new T(std::forward<A>(a)...));
}

}  // namespace thixo
