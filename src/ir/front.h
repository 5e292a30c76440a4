// Helpers of the generated front functions (ops_front.cpp).
#pragma once

#include <cstring>

#include "ir/op.h"
#include "thixo/generator.h"

namespace thixo {

/// ValueError unless the enum attributes of the call are among the choices of the schema.
void check_choices(const Call& call);

/// The operands of a call side by side, without counting references: the arguments they come from outlive the call.
template <size_t N> class Operands {
 public:
  template <class... T> explicit Operands(const T&... t) {
    static_assert(sizeof...(T) == N && sizeof(Tensor) == sizeof(void*));
    void* to = t_;
    ((std::memcpy(to, &t, sizeof(Tensor)), to = static_cast<Tensor*>(to) + 1), ...);
  }
  Operands(const Operands&) = delete;
  ~Operands() {}
  operator std::span<const Tensor>() const { return {t_, N}; }  // NOLINT

 private:
  union {
    Tensor t_[N];
  };
};

inline Attr list_attr(const IntList& v) {
  Shape s;
  for (int64_t i : v) s.push_back(i);
  return s;
}

/// The key of a random call: as many counter blocks as the call's first result has elements (one block of four
/// 32-bit numbers an element, so element i always uses block i) are taken from `g` or the default generator.
RngKey draw_key(const Call& call, Generator* g);

}  // namespace thixo
