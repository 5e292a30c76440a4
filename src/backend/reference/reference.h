// The tests' oracle: every op computed element by element from its definition, in long double with libm. Slow and
// obvious; a result is rounded once, when it is stored. Runs as the executor below the interpreters, so that
// composites, gradients and transforms can be computed by definitions alone.
#pragma once

#include "ir/dispatch.h"

namespace thixo::reference {

/// The results of a call, contiguous, with the shapes and dtypes that infer() gives. Views are views.
Values evaluate(const Call& call);
void evaluate_into(const Call& call, std::span<const Tensor> out);

/// While one lives, evaluate() takes the place of eager on all threads.
class Scope {
 public:
  Scope();
  ~Scope();
  Scope(const Scope&) = delete;

 private:
  DispatchTable before_;
};

/// One element as a number; integers are exact.
std::complex<long double> read_element(const Tensor& t, int64_t offset);
/// Rounded to nearest even; integers wrap.
void write_element(const Tensor& t, int64_t offset, std::complex<long double> v);

}  // namespace thixo::reference
