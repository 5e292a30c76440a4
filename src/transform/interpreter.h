// Values that transforms put in the place of data. A wrapper looks like the tensor that the user's function sees;
// the interpreter of its level takes it off, computes below, and puts it on the results again.
//   vmap       value has one more dim, the batch, in front
//   jvp        value and the tangent that goes with it (undefined: zero)
//   func::grad value alone: the level only separates one tape from the tapes around it
#pragma once

#include "core/record.h"
#include "ir/dispatch.h"

namespace thixo {

struct Wrapped final : Wrapper {
  uint64_t transform = 0;  ///< which transform made it: levels are used again, these numbers are not
  Tensor value, tangent;
};

inline Wrapped& wrapped(const TensorRecord& r) { return static_cast<Wrapped&>(*r.wrapper); }

/// An interpreter with a level of its own, on top of those that are there; the level ends with it.
class LevelInterpreter : public Interpreter {
 public:
  LevelInterpreter();
  ~LevelInterpreter() override;
  LevelInterpreter(const LevelInterpreter&) = delete;

  int level() const { return level_; }
  uint64_t transform() const { return transform_; }
  /// True for this transform's values; throws when t is a value of an ended transform that had the same level.
  bool owns(const Tensor& t) const;
  const Tensor& value(const Tensor& t) const { return wrapped(*t.record()).value; }

  void write(const Tensor& self, const Tensor& value) override;

 protected:
  /// A wrapper that looks like `shape`; `like` gives dtype and device.
  Tensor wrap(const Tensor& value, const Shape& shape, Tensor tangent = {}) const;
  /// The results of a view op on a wrapper are views of it: writes through them reach it.
  static void link_view(const Call& call, const Values& results);
  /// `value` as it is written into self's data (vmap puts the batch in front). Default: as it is.
  virtual Tensor lower(const Tensor& self, const Tensor& v);

 private:
  int level_;
  uint64_t transform_;
};

/// While it lives, random calls without operands go to levels below `level` only: this one has seen them.
class BelowLevel {
 public:
  explicit BelowLevel(int level)
      : before_(std::exchange(dispatch_state().random_levels, static_cast<size_t>(level) - 1)) {}
  ~BelowLevel() { dispatch_state().random_levels = before_; }
  BelowLevel(const BelowLevel&) = delete;

 private:
  size_t before_;
};

/// Takes every wrapper of `transform` off.
Tensor strip_wrapper(const Tensor& t, uint64_t transform);

}  // namespace thixo
