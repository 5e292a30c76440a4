// Graph: a recorded program. Values are numbered, each made once; nodes stand in an order in which they can run.
// No node writes to memory that others see: an in-place update is `write(base, value) {chain}` giving a new base,
// and the graph's `updates` say which state input ends as which value (the planner makes that a write in place).
//
//   graph step(%0: f32[64, 784] arg, %1: f32[512, 784] state) {
//     %2: f32[64, 512] = linear(%0, %1, none)
//     %3: f32[64, 512] = gelu(%2) {approximate = tanh}
//     return %3
//     update %1 = %4
//   }
#pragma once

#include <string>
#include <vector>

#include "ir/op.h"

namespace thixo {

using ValueId = int;

enum class InputKind : uint8_t {
  Arg,       // given at each call
  State,     // a tensor that the program found: a parameter, a moment, a buffer; bound once, updated in place
  Constant,  // like State, never updated; its data may be folded
};

struct GraphValue {
  DType dtype = DType::F32;
  Shape shape;
  Strides strides;    // of inputs as they come; empty: row-major
  bool weak = false;  // a number in promotion (x * 2), not a tensor
};

struct GraphNode {
  const OpDef* op = nullptr;
  std::vector<Attr> attrs;
  std::vector<ValueId> in;  // -1: an absent optional operand
  std::vector<ValueId> out;
  SourceLoc at;
  int group = -1;      // set by the fusion pass: nodes of one group become one kernel
  int composite = -1;  // set where a composite was written out: which one
};

struct GraphInput {
  ValueId value;
  InputKind kind;
};

struct GraphUpdate {
  ValueId input;  // a State or Arg input, whose memory receives the value
  ValueId value;
};

struct Graph {
  std::string name = "f";
  std::vector<GraphValue> values;
  std::vector<GraphInput> inputs;
  std::vector<GraphNode> nodes;
  std::vector<ValueId> outputs;
  std::vector<GraphUpdate> updates;

  ValueId add_value(DType t, Shape s) {
    values.push_back({t, std::move(s), {}, false});
    return static_cast<ValueId>(values.size()) - 1;
  }
  std::string str() const;  ///< the text form
};

/// Reads the text form; throws ValueError with line and column on anything else. verify() is run on the result.
Graph parse_graph(std::string_view text);

/// The IR's grammar: every value is made once and before its use, operands fit the schema, results are what
/// infer() says, updates go to inputs of the same shape and dtype. Throws InternalError naming the node;
/// `after` is the pass that ran last.
void verify(const Graph& g, std::string_view after = {});

/// The attributes of a node as text, in the form that parse_graph reads: "dim = 1, keepdim = true".
std::string attrs_str(const OpDef& op, std::span<const Attr> attrs);

/// An abstract tensor with the value's dtype and shape, for infer() and for decompositions.
Tensor abstract_value(const Graph& g, ValueId v);

/// uses[v]: indices of the nodes that read v (a node twice when it reads it twice).
std::vector<std::vector<int>> uses_of(const Graph& g);

}  // namespace thixo
