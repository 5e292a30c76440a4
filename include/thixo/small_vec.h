// A vector with room for N elements inside itself: shapes, operand lists and attribute lists of a
// call never touch the heap. It grows to the heap past N; elements may be any movable type.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <new>
#include <span>
#include <utility>

namespace thixo {

template <class T, size_t N> class SmallVec {
 public:
  SmallVec() = default;
  SmallVec(std::initializer_list<T> v) { append(v.begin(), v.end()); }
  explicit SmallVec(std::span<const T> v) { append(v.data(), v.data() + v.size()); }
  explicit SmallVec(size_t n, const T& value = T()) { resize(n, value); }
  SmallVec(const SmallVec& o) { append(o.begin(), o.end()); }
  SmallVec(SmallVec&& o) noexcept { take(o); }
  ~SmallVec() { release(); }
  SmallVec& operator=(const SmallVec& o) {
    if (this != &o) {
      clear();
      append(o.begin(), o.end());
    }
    return *this;
  }
  SmallVec& operator=(SmallVec&& o) noexcept {
    if (this != &o) {
      release();
      take(o);
    }
    return *this;
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T& back() { return data_[size_ - 1]; }
  const T& back() const { return data_[size_ - 1]; }
  T& front() { return data_[0]; }
  const T& front() const { return data_[0]; }

  void push_back(T v) {
    if (size_ == capacity_) grow(capacity_ * 2);
    new (data_ + size_++) T(std::move(v));
  }
  void pop_back() { data_[--size_].~T(); }
  template <class It> void append(It first, It last) {
    for (; first != last; ++first) push_back(*first);
  }
  void insert(size_t at, T v) {
    push_back(std::move(v));
    for (size_t i = size_ - 1; i > at; --i) std::swap(data_[i], data_[i - 1]);
  }
  void erase(size_t at) {
    for (size_t i = at; i + 1 < size_; ++i) data_[i] = std::move(data_[i + 1]);
    pop_back();
  }
  void resize(size_t n, const T& value = T()) {
    while (size_ > n) pop_back();
    while (size_ < n) push_back(value);
  }
  void clear() {
    while (size_ > 0) pop_back();
  }
  friend bool operator==(const SmallVec& a, const SmallVec& b) {
    if (a.size_ != b.size_) return false;
    for (size_t i = 0; i < a.size_; ++i) {
      if (!(a[i] == b[i])) return false;
    }
    return true;
  }

 private:
  bool is_inline() const { return static_cast<const void*>(data_) == static_cast<const void*>(room_); }
  void grow(size_t n) {
    T* to = static_cast<T*>(::operator new(n * sizeof(T)));
    for (size_t i = 0; i < size_; ++i) {
      new (to + i) T(std::move(data_[i]));
      data_[i].~T();
    }
    if (!is_inline()) ::operator delete(data_);
    data_ = to;
    capacity_ = n;
  }
  void release() {
    clear();
    if (!is_inline()) ::operator delete(data_);
    data_ = reinterpret_cast<T*>(room_);
    capacity_ = N;
  }
  void take(SmallVec& o) noexcept {  // *this is empty and inline
    if (o.is_inline()) {
      for (size_t i = 0; i < o.size_; ++i) new (data_ + i) T(std::move(o.data_[i]));
      size_ = o.size_;
      o.clear();
      return;
    }
    data_ = o.data_;
    size_ = o.size_;
    capacity_ = o.capacity_;
    o.data_ = reinterpret_cast<T*>(o.room_);
    o.size_ = 0;
    o.capacity_ = N;
  }

  alignas(T) unsigned char room_[N * sizeof(T)];
  T* data_ = reinterpret_cast<T*>(room_);
  size_t size_ = 0;
  size_t capacity_ = N;
};

}  // namespace thixo
