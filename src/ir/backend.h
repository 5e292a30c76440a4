// What no loop nest expresses well (contractions, scans, scatters, strided copies) is a function here, found by
// the name that a definition gives with .kernel("name"). A backend fills its table when it starts:
// thixo::detail::start() calls the fill functions, there are no static initialisers.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/op.h"

namespace thixo {

/// Computes the results of `call` into `out`: tensors of the shapes and dtypes that infer() gives, dense with strides
/// that follow the first operand's, or the caller's own (out=, in place: an operand may then be `out` itself, never
/// overlap it in part). Not called when every result is empty; operands may be empty or strided.
using BackendFn = void (*)(const Call& call, std::span<const Tensor> out);

/// Which results the executor allocates: how a structured op wants its memory.
enum class OutLayout : uint8_t {
  Contiguous,  ///< row-major
  LikeInput,   ///< operand 0's order of dims in memory, when shapes agree
};

struct BackendEntry {
  std::string_view name;
  BackendFn run = nullptr;
  OutLayout layout = OutLayout::Contiguous;
  /// Where the call decides (clone's memory_format): the strides of result k. Null: by `layout`.
  Strides (*strides)(const Call& call, const Spec& result, int k) = nullptr;
  /// The operands and results of several calls may be given at once, one call after the other.
  bool many = false;
};

/// Adds or replaces entries; before the first op runs.
void add_backend_entries(std::span<const BackendEntry> entries);
/// Null when nothing of this name was added.
const BackendEntry* find_backend_entry(std::string_view name);

}  // namespace thixo
