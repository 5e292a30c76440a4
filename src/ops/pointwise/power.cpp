// Powers. A constant exponent of the common kinds becomes the op that computes it directly.
#include "core/record.h"
#include "ir/op.h"
#include "private_ops.h"

namespace thixo::ops {
namespace {

/// x to the n by repeated squaring, in wrapping arithmetic; negative n gives 0 unless |x| is 1.
Expr integer_power(Expr x, Expr n) {
  DType t = x.dtype();
  Expr one = constant_int(1, t), zero = constant_int(0, t);
  Expr result = one, base = x, rest = n;
  for (size_t bit = 0; bit < item_size(t) * 8; ++bit) {
    Expr odd = ne(binary(ExprOp::And, rest, one), zero);
    result = select(odd, result * base, result);
    base = base * base;
    rest = binary(ExprOp::Shr, rest, one);
  }
  if (is_unsigned(t)) return result;
  Expr sign = select(eq(x, one), one,
                     select(eq(x, constant_int(-1, t)), select(eq(binary(ExprOp::And, n, one), zero), one, x), zero));
  return select(n < zero, sign, result);
}

/// The value of an operand that is a plain number in the user's code.
std::optional<double> plain_number(const Tensor& t) {
  const TensorRecord& r = *t.record();
  if (!r.wrapped_number || !r.storage || is_complex(r.dtype)) return std::nullopt;
  return t.item_scalar().to_double();
}

}  // namespace

void def_pow(Op& op) {
  op.schema("pow(input: Number, exponent: Number) -> Number @inplace")
      .doc("input to the power of exponent, elementwise; either may be a number.")
      .example(">>> thixo.pow(thixo.tensor([1., 2., 3.]), 2)\ntensor([1., 4., 9.])")
      .compose([](const Call& c) {
        const Tensor& x = c.in[0];
        std::optional<double> n = plain_number(c.in[1]);
        if (!n) return Values{pow_tensor(x, c.in[1])};
        if (!is_differentiable(x.dtype()) && is_int(c.dtype(1)) && *n < 0) {
          throw c.error(ErrorKind::Value, "an integer tensor to a negative integer power")
              .fix("convert the tensor to a float dtype first");
        }
        bool same_type = is_differentiable(x.dtype()) || is_int(c.dtype(1));
        if (*n == 2 && same_type) return Values{square(x)};
        if (*n == 3 && same_type) return Values{square(x) * x};
        if (is_differentiable(x.dtype())) {
          if (*n == 0.5) return Values{sqrt(x)};
          if (*n == -1) return Values{reciprocal(x)};
          if (*n == -2) return Values{reciprocal(square(x))};
          if (*n == -0.5 && is_float(x.dtype())) return Values{rsqrt(x)};
        }
        return Values{pow_tensor(x, c.in[1])};
      });
}

void def_pow_tensor(Op& op) {
  op.schema("pow_tensor(input: Number, exponent: Number) -> Number @private")
      .doc("input to the power of exponent, elementwise.")
      .expr([](ExprCtx& c) { return is_int(c.dtype) ? integer_power(c.x(0), c.x(1)) : pow(c.x(0), c.x(1)); });
}

}  // namespace thixo::ops
