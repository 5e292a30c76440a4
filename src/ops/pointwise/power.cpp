// Powers. A constant exponent of the common kinds becomes the op that computes it directly.
#include <cmath>

#include "core/record.h"
#include "core/values.h"
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
  return load_scalar(r.data(), r.dtype).to_double();  // not item(): a recorder may see it
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
      })
      .ulps_complex(512)  // as pow_tensor
      .samples([] {
        return std::vector<Sample>{
            {.in = {{.shape = {3, 4}, .low = 0.25}, {{4}}}},
            {.in = {{.shape = {6, 1}, .values = {5, 4, 1, 2, 3, 6}}, {.shape = {5}, .values = {4, 1, 2, 3, -1}}}},
            {.in = {{.shape = {}, .low = 0.25}, {{}}}},
            {.in = {{{0, 2}}, {{2}}}},
            {.in = {{{2, 3}}, {{4}}}, .bad = "broadcast"}};
      });
}

void def_pow_tensor(Op& op) {
  op.schema("pow_tensor(input: Number, exponent: Number) -> Number @private")
      .doc("input to the power of exponent, elementwise.")
      .expr([](ExprCtx& c) { return is_int(c.dtype) ? integer_power(c.x(0), c.x(1)) : pow(c.x(0), c.x(1)); })
      .samples([] {
        // No complex power of 1e30: its phase has no digit left.
        const std::vector<double> v{-400, -20, -2, -1, -0.5, -1e-6,    -0.0,      0,  1e-6,
                                    0.5,  1,   2,  3,  400,  INFINITY, -INFINITY, NAN};
        const Dim n = static_cast<int64_t>(v.size());
        return std::vector<Sample>{
            {.in = {{{3, 37}}, {{3, 37}}}},
            {.in = {{.shape = {n, 1}, .values = v}, {.shape = {n}, .values = v}}},
            {.in = {{.shape = {2}, .values = {1e30, 1e-42}}, {.shape = {5, 1}, .values = {-2, -1, 0, 0.5, 1}}}},
            {.in = {{.shape = {3, 1}, .low = 0.25}, {{4}}}},
            {.in = {{{}}, {{}}}},
            {.in = {{{0, 2}}, {{2}}}},
            {.in = {{{2, 3}}, {{4}}}, .bad = "broadcast"}};
      })
      .ulps_complex(512);  // exp(y * log(x)), whose error grows with y * log(x)
}

}  // namespace thixo::ops
