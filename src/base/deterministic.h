// The switch behind use_deterministic_algorithms, where every room can see it.
#pragma once

#include <atomic>

namespace thixo::detail {

inline std::atomic<bool> g_deterministic{false};
inline bool deterministic() { return g_deterministic.load(std::memory_order_relaxed); }

}  // namespace thixo::detail
