// Operators of Tensor: each is the op of its name. Included by tensor.h.
#pragma once

#include "thixo/tensor.h"

namespace thixo {

inline Tensor operator+(const TensorArg& a, const TensorArg& b) { return add(a, b); }
inline Tensor operator-(const TensorArg& a, const TensorArg& b) { return sub(a, b); }
inline Tensor operator*(const TensorArg& a, const TensorArg& b) { return mul(a, b); }
inline Tensor operator/(const TensorArg& a, const TensorArg& b) { return div(a, b); }
inline Tensor operator-(const TensorArg& a) { return neg(a); }
inline Tensor operator<(const TensorArg& a, const TensorArg& b) { return lt(a, b); }
inline Tensor operator<=(const TensorArg& a, const TensorArg& b) { return le(a, b); }
inline Tensor operator>(const TensorArg& a, const TensorArg& b) { return gt(a, b); }
inline Tensor operator>=(const TensorArg& a, const TensorArg& b) { return ge(a, b); }
inline Tensor operator==(const TensorArg& a, const TensorArg& b) { return eq(a, b); }
inline Tensor operator!=(const TensorArg& a, const TensorArg& b) { return ne(a, b); }
inline Tensor& operator+=(Tensor& a, const TensorArg& b) { return a.add_(b); }
inline Tensor& operator-=(Tensor& a, const TensorArg& b) { return a.sub_(b); }
inline Tensor& operator*=(Tensor& a, const TensorArg& b) { return a.mul_(b); }
inline Tensor& operator/=(Tensor& a, const TensorArg& b) { return a.div_(b); }

}  // namespace thixo
