// Who wrote to which Storage lately: so that an error about an overwritten value can name the op that did it.
#pragma once

#include "ir/op.h"

namespace thixo {

struct WriteNote {
  uint32_t storage = 0;  ///< its log_id: an address may be another storage's by now
  uint32_t version = 0;  ///< after the write
  const OpDef* op = nullptr;
  SourceLoc at;
};

/// self was written just now, on this thread.
void note_write(const Tensor& self, const OpDef* op, const SourceLoc& at);
/// The write that made this version, when it is among this thread's last ones.
const WriteNote* find_write(const Storage& storage, uint32_t version);

}  // namespace thixo
