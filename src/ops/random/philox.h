// Philox4x32-10 as an expression (Salmon et al. 2011): element i of a result uses block counter + i, so numbers
// depend on the key, the counter and the place alone.
#pragma once

#include "ir/op.h"

namespace thixo::ops {

/// The random numbers of one element of the result. Words are 32 bits each, independent and uniform.
class RandomBlock {
 public:
  /// Reads the rng attribute of that name.
  RandomBlock(NestCtx& c, const std::string& rng);
  Expr word(int k) const { return words_[k]; }     ///< U32, k below 4
  Expr uniform(DType t, int first = 0) const;  ///< in [0, 1), of compute type, with as many bits as dtype t holds
  Expr open_uniform(DType t, int first = 0) const;  ///< in (0, 1]
  Expr normal(DType t) const;  ///< Box-Muller

 private:
  Expr words_[4];
};

}  // namespace thixo::ops
