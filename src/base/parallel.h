// The one parallel loop. Work is cut into tiles by the problem's size alone, so results are the same bits
// for any number of threads; the loop only decides who runs which tiles.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

#include "thixo/parallel.h"

namespace thixo {

using TileFn = void (*)(void* ctx, int64_t tile_begin, int64_t tile_end);

/// Calls fn on consecutive ranges that together are [0, tiles), each range on one thread; returns when all
/// are done. One tile, a nested call or a serial thread: one plain call. An exception of fn is thrown
/// here (the first one seen; the other ranges still run to their end).
THIXO_API void parallel_tiles(int64_t tiles, TileFn fn, void* ctx);

/// parallel_for(tiles, [&](int64_t begin, int64_t end) { ... }): the same, without an allocation.
template <class F> void parallel_for(int64_t tiles, F&& f) {
  using Fn = std::remove_reference_t<F>;
  parallel_tiles(
      tiles, [](void* ctx, int64_t begin, int64_t end) { (*static_cast<Fn*>(ctx))(begin, end); },
      const_cast<void*>(static_cast<const void*>(std::addressof(f))));
}

}  // namespace thixo
