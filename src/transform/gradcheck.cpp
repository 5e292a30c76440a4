// gradcheck: gradients against differences of values, entry by entry. A complex element is two entries, its real and
// its imaginary part: with the cotangents 1 and i of a result, the parts of a gradient are the derivatives of its real
// and its imaginary part by the parts of the operand.
#include <cmath>
#include <cstdio>

#include "core/record.h"
#include "thixo/autograd.h"

namespace thixo::autograd {
namespace {

std::string number(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", v);
  return text;
}

std::string index_text(int64_t flat, const Shape& shape) {
  std::string s;
  for (size_t d = shape.size(); d-- > 0;) {
    s = std::to_string(flat % shape[d].value()) + (s.empty() ? "" : ", ") + s;
    flat /= shape[d].value();
  }
  return "[" + s + "]";
}

/// Entries of one element.
int64_t parts(DType t) { return is_complex(t) ? 2 : 1; }
int64_t entries(const Tensor& t) { return t.numel().value() * parts(t.dtype()); }
double* entry(const Tensor& contiguous, int64_t e) { return static_cast<double*>(contiguous.raw_data()) + e; }

std::vector<double> entries_of(const Tensor& t) {
  const Tensor wide = t.detach().to(is_complex(t.dtype()) ? complex128 : float64).contiguous();
  const double* first = entry(wide, 0);
  return {first, first + entries(wide)};
}

/// "[1, 0]", with the part of a complex number: "[1, 0].imag".
std::string entry_text(int64_t e, const Tensor& t) {
  const int64_t n = parts(t.dtype());
  return index_text(e / n, t.shape()) + (n == 1 ? "" : e % 2 == 0 ? ".real" : ".imag");
}

void check_inputs(const TensorList& inputs, const char* what) {
  bool any = false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].requires_grad()) continue;
    any = true;
    if (inputs[i].dtype() == float64 || inputs[i].dtype() == complex128) continue;
    const char* wide = is_complex(inputs[i].dtype()) ? "complex128" : "float64";
    throw DTypeError(std::string(what) + ": input " + std::to_string(i) + " requires grad but is not " + wide)
        .got(describe(inputs[i]))
        .fix(std::string("differences need double precision: convert with to(") + wide + ")");
  }
  if (!any)
    throw ValueError(std::string(what) + ": no input requires grad")
        .fix("call requires_grad_() on what is to be checked");
}

/// Values of all differentiable results, one after another.
std::vector<double> values_of(const TensorList& out) {
  std::vector<double> v;
  for (const Tensor& t : out) {
    if (!is_differentiable(t.dtype())) continue;
    for (double x : entries_of(t)) v.push_back(x);
  }
  return v;
}

/// d(all results) / d(entry e of input i).
std::vector<double> difference(const Fn& f, const TensorList& inputs, size_t i, int64_t e, double eps) {
  NoGrad guard;
  auto shifted = [&](double by) {
    TensorList in;
    for (const Tensor& t : inputs) in.push_back(t.detach());
    in[i] = in[i].clone(contiguous_format);
    *entry(in[i], e) += by;
    return values_of(f(in));
  };
  std::vector<double> high = shifted(eps);
  const std::vector<double> low = shifted(-eps);
  for (size_t k = 0; k < high.size(); ++k) high[k] = (high[k] - low[k]) / (2 * eps);
  return high;
}

struct Entry {
  size_t output, input;
  int64_t out_entry, in_entry;
};

Error mismatch(const char* what, const Entry& e, const TensorList& out, const TensorList& inputs, double analytic,
               double numeric) {
  return ValueError(std::string(what) + ": a gradient differs from the difference of values")
      .got("d output " + std::to_string(e.output) + entry_text(e.out_entry, out[e.output]) + " / d input " +
           std::to_string(e.input) + entry_text(e.in_entry, inputs[e.input]))
      .got("gradient   " + number(analytic))
      .got("difference " + number(numeric));
}

bool check(const Fn& f, const TensorList& inputs, const CheckOptions& o, const char* what) {
  check_inputs(inputs, what);
  EnableGrad guard;
  const TensorList out = f(inputs);
  // Columns of the Jacobian by differences.
  std::vector<std::vector<std::vector<double>>> columns(inputs.size());
  TensorList wanted;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].requires_grad()) continue;
    wanted.push_back(inputs[i]);
    for (int64_t e = 0; e < entries(inputs[i]); ++e) columns[i].push_back(difference(f, inputs, i, e, o.eps));
  }
  size_t row = 0;
  for (size_t k = 0; k < out.size(); ++k) {
    if (!is_differentiable(out[k].dtype())) continue;
    const int64_t n = parts(out[k].dtype());
    for (int64_t r = 0; r < entries(out[k]); ++r, ++row) {
      TensorList g(wanted.size());
      if (out[k].requires_grad()) {
        Tensor one = zeros(out[k].shape(), {.dtype = out[k].dtype()});
        one.reshape({out[k].numel()}).select(0, r / n).fill_(r % n == 0 ? Scalar(1.0) : Scalar(std::complex(0.0, 1.0)));
        g = grad({out[k]}, wanted, {.grad_outputs = {one}, .retain_graph = true, .allow_unused = true});
      }
      size_t at = 0;
      for (size_t i = 0; i < inputs.size(); ++i) {
        if (!inputs[i].requires_grad()) continue;
        const Tensor& gi = g[at++];
        const std::vector<double> row_values =
            gi.defined() ? entries_of(gi) : std::vector<double>(columns[i].size(), 0);
        for (size_t e = 0; e < columns[i].size(); ++e) {
          const double a = row_values[e], d = columns[i][e][row];
          if (std::abs(a - d) <= o.atol + o.rtol * std::abs(d)) continue;
          throw mismatch(what, {k, i, r, static_cast<int64_t>(e)}, out, inputs, a, d);
        }
      }
    }
  }
  return true;
}

/// Fixed numbers that look random, with parts in [-1, 1].
Tensor some_numbers(const Tensor& like, size_t seed) {
  Tensor t = empty(like.shape(), {.dtype = is_complex(like.dtype()) ? complex128 : float64});
  uint64_t h = 0x9E3779B97F4A7C15ULL * (seed + 1);
  for (int64_t i = 0; i < entries(t); ++i) {
    h ^= h << 13;
    h ^= h >> 7;
    h ^= h << 17;
    *entry(t, i) = static_cast<double>(h >> 11) * 0x1p-52 - 1;
  }
  return t;
}

}  // namespace

bool gradcheck(const Fn& f, const TensorList& inputs, const CheckOptions& options) {
  return check(f, inputs, options, "gradcheck");
}

bool gradgradcheck(const Fn& f, const TensorList& inputs, const TensorList& grad_outputs, const CheckOptions& options) {
  check_inputs(inputs, "gradgradcheck");
  TensorList g = grad_outputs;
  if (g.empty()) {
    EnableGrad guard;
    for (const Tensor& t : f(inputs)) {
      if (!is_differentiable(t.dtype()) || !t.requires_grad()) continue;
      g.push_back(some_numbers(t, g.size()));
    }
  }
  for (Tensor& t : g) t = t.detach().requires_grad_();
  TensorList all = inputs;
  all.insert(all.end(), g.begin(), g.end());
  const size_t n = inputs.size();
  std::vector<bool> wants;
  for (const Tensor& t : inputs) wants.push_back(t.requires_grad());
  const Fn first = [&, n](const TensorList& x) {
    EnableGrad guard;
    TensorList in, wanted, out;
    for (size_t i = 0; i < n; ++i) {
      in.push_back(wants[i] && !x[i].requires_grad() ? x[i].detach().requires_grad_() : x[i]);
      if (wants[i]) wanted.push_back(in.back());
    }
    for (const Tensor& t : f(in)) {
      if (is_differentiable(t.dtype()) && t.requires_grad()) out.push_back(t);
    }
    TensorList grads = grad(out, wanted,
                            {.grad_outputs = TensorList(x.begin() + static_cast<int64_t>(n), x.end()),
                             .create_graph = true,
                             .materialize_grads = true});
    return grads;
  };
  return check(first, all, options, "gradgradcheck");
}

}  // namespace thixo::autograd
