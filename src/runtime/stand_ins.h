// What a function is given while it is recorded: tensors that stand for its arguments. A view of something that the
// program does not know becomes a tensor of its own over the same memory, so that what the function does to it does not
// depend on where a view came from; the next call may bring another.
#pragma once

#include "transform/node.h"
#include "transform/record.h"

namespace thixo {

/// A stretch of an argument's memory, an argument of the program after the caller's.
struct MemorySpan {
  size_t arg;
  int64_t offset, count;  ///< in elements, from the argument's first one
};

class StandIns {
 public:
  explicit StandIns(const TensorList& args);
  /// To the function.
  const TensorList& given() const { return given_; }
  /// To the recorder: arguments, then spans.
  const TensorList& inputs() const { return inputs_; }
  const std::vector<MemorySpan>& spans() const { return spans_; }
  /// Where the gradients of argument i went at the start.
  const Edge& edge(size_t i) const { return edges_[i]; }
  /// The argument that t stands for or is, or -1.
  int argument(const Tensor& t) const;
  /// Tells the recorder what it must know of them.
  void introduce(Recorder& recorder) const;
  /// Arguments whose history the function changed by writing to them. NotImplementedError where several views of one
  /// memory would have to be brought up to date.
  std::vector<size_t> rewritten() const;

 private:
  void stand_for_group(const std::vector<size_t>& group);
  TensorList given_, inputs_;
  std::vector<MemorySpan> spans_;
  std::vector<Edge> edges_;
  std::vector<bool> of_leaf_;  // a view of a leaf that requires grad, which its stand-in does not know
};

/// The memory of a span, of these arguments.
Tensor memory_of(const MemorySpan& span, const TensorList& args);

}  // namespace thixo
