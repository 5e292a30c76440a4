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
  /// Calls block(arg), which waits for another thread, without holding the language's own lock.
  void (*wait)(void (*block)(void*), void* arg) = nullptr;
};
THIXO_API void set_binding_hooks(BindingHooks hooks);
/// Inside the library: block(arg), by the binding's `wait` where there is one.
THIXO_API void wait_outside_binding(void (*block)(void*), void* arg);

class THIXO_API Object {
 public:
  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object();

  void retain() const noexcept {
    uintptr_t s = state_.load(std::memory_order_relaxed);
    do {
      if ((s & 1) == 0) [[unlikely]]
        return retain_bound(s);
    } while (!state_.compare_exchange_weak(s, s + 2, std::memory_order_relaxed));
  }
  void release() const noexcept {
    uintptr_t s = state_.load(std::memory_order_acquire);
    do {
      if (s == kOnce) return destroy();  // the only reference is the caller's: nobody can come between
      if ((s & 1) == 0) [[unlikely]]
        return release_bound(s);
    } while (!state_.compare_exchange_weak(s, s - 2, std::memory_order_acq_rel, std::memory_order_acquire));
  }
  /// The first reference to a new object, which no other thread can know yet.
  void retain_first() const noexcept { state_.store(kOnce, std::memory_order_relaxed); }
  /// True when the caller's reference is the only one (never of a bound object).
  bool unique() const noexcept { return state_.load(std::memory_order_acquire) == kOnce; }
  /// References from C++; 0 of a bound object, whose count is the binding's.
  int64_t use_count() const noexcept {
    const uintptr_t s = state_.load(std::memory_order_relaxed);
    return (s & 1) != 0 ? static_cast<int64_t>(s >> 1) : 0;
  }

  /// The binding's object for this one, or null.
  void* bound() const noexcept {
    const uintptr_t s = state_.load(std::memory_order_acquire);
    return (s & 1) != 0 ? nullptr : reinterpret_cast<void*>(s);
  }
  /// Hands the counting over to the binding's object `self` (an even address), once. Returns the number of references
  /// from C++ so far: the binding must add as many of its own before another thread may release one.
  int64_t bind(void* self) noexcept {
    return static_cast<int64_t>(state_.exchange(reinterpret_cast<uintptr_t>(self), std::memory_order_acq_rel) >> 1);
  }
  /// The binding's object is gone, and with it the last reference.
  void unbind() noexcept {
    retain_first();
    destroy();
  }

 protected:
  /// Called when the last reference goes; a pooled object overrides it.
  virtual void destroy() const { delete this; }

 private:
  static constexpr uintptr_t kOnce = 3;
  static void retain_bound(uintptr_t s) noexcept;
  static void release_bound(uintptr_t s) noexcept;
  /// Odd: twice the count, plus one. Even: the binding's object.
  mutable std::atomic<uintptr_t> state_{1};
};

/// A counted reference to an Object.
template <class T> class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}  // NOLINT
  Ref(T* p) : p_(p) {  // NOLINT
    if (p_) p_->retain();
  }
  Ref(const Ref& o) : Ref(o.p_) {}
  Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  template <class U>
    requires std::is_convertible_v<U*, T*>
  Ref(const Ref<U>& o) : Ref(o.get()) {}  // NOLINT
  template <class U>
    requires std::is_convertible_v<U*, T*>
  Ref(Ref<U>&& o) noexcept : p_(o.detach()) {}  // NOLINT
  ~Ref() {
    if (p_) p_->release();
  }
  Ref& operator=(Ref o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  T* get() const { return p_; }
  T* operator->() const { return p_; }
  T& operator*() const { return *p_; }
  explicit operator bool() const { return p_ != nullptr; }
  T* detach() { return std::exchange(p_, nullptr); }  ///< gives the reference away, uncounted
  /// Takes a reference that is counted already: the other end of detach().
  static Ref adopt(T* p) {
    Ref r;
    r.p_ = p;
    return r;
  }
  friend bool operator==(const Ref& a, const Ref& b) { return a.p_ == b.p_; }

 private:
  T* p_ = nullptr;
};

template <class T, class... A> Ref<T> make_ref(A&&... a) {
  T* p = new T(std::forward<A>(a)...);
  if (p->use_count() != 0) return Ref<T>(p);  // its constructor gave references away
  p->retain_first();
  return Ref<T>::adopt(p);
}

}  // namespace thixo
