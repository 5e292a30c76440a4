// What a function is given while it is recorded: tensors that stand for its arguments. A view of something that the
// program does not know becomes a tensor of its own over the same memory, so that what the function does to it does not
// depend on where a view came from; the next call may bring another.
#pragma once

#include "transform/node.h"
#include "transform/record.h"

namespace thixo {

/// An argument of the program after the caller's: the base of one of these, or a stretch of memory it lies in.
struct HiddenArgument {
  size_t of;
  bool base;
  int64_t offset = 0, count = 0;  ///< in elements, from the argument's first one
};

class StandIns {
 public:
  explicit StandIns(const TensorList& args);
  /// To the function.
  const TensorList& given() const { return given_; }
  /// To the recorder: arguments, then the hidden ones.
  const TensorList& inputs() const { return inputs_; }
  const std::vector<HiddenArgument>& hidden() const { return hidden_; }
  /// What the function knows as input i.
  const Tensor& seen(size_t i) const { return i < given_.size() ? given_[i] : inputs_[i]; }
  /// Where the gradients of input i went at the start.
  const Edge& edge(size_t i) const { return edges_[i]; }
  /// The argument that t stands for or is, or -1.
  int argument(const Tensor& t) const;
  /// Tells the recorder what it must know of them.
  void introduce(Recorder& recorder) const;
  /// Inputs whose history the function changed by writing to them. NotImplementedError where views without a common
  /// base would have to be brought up to date.
  std::vector<size_t> rewritten() const;

 private:
  bool pass_base(const std::vector<size_t>& group);
  void stand_for(const std::vector<size_t>& group);
  void stand_for_parts(const std::vector<size_t>& group);
  TensorList given_, inputs_;
  std::vector<HiddenArgument> hidden_;
  std::vector<Edge> edges_;
  std::vector<bool> of_leaf_;  // a view of a leaf that requires grad, which its stand-in does not know
};

Tensor find_hidden(const HiddenArgument& h, const TensorList& args);

}  // namespace thixo
