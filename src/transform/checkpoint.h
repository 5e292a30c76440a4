// Saved values that are not kept but computed again. While a Keeper is active on a thread, nodes hand what they would
// save to it and keep a ticket.
#pragma once

#include "base/thread_state.h"
#include "core/record.h"

namespace thixo {

/// Stands for a saved value.
class Ticket : public Object {
 public:
  virtual Tensor value() = 0;
};

class Keeper {
 public:
  virtual ~Keeper() = default;
  /// A null ticket: the node will never be asked for it.
  virtual Ref<Ticket> keep(const Tensor& t) = 0;
};

/// The keeper of this thread, or null.
extern THIXO_FAST_TLS Keeper* t_keeper;

}  // namespace thixo
