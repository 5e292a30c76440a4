// A mutex that is held while tensors are copied and dropped, or while the user's functions run.
#pragma once

#include <mutex>

#include "thixo/object.h"

namespace thixo {

/// Locks m. Whoever holds it may come to need the lock of a binding's language (Python's), as the count of a bound
/// tensor is the binding's: so a thread that has that one does not keep it while it waits here.
inline std::unique_lock<std::mutex> lock_for_tensors(std::mutex& m) {
  std::unique_lock<std::mutex> lock(m, std::try_to_lock);
  if (!lock.owns_lock()) {
    wait_outside_binding([](void* l) { static_cast<std::unique_lock<std::mutex>*>(l)->lock(); }, &lock);
  }
  return lock;
}

}  // namespace thixo
