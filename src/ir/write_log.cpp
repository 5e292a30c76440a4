#include "ir/write_log.h"

#include <array>
#include <memory>

#include "base/thread_state.h"

namespace thixo {
namespace {

constexpr size_t kNotes = 256;
struct Log {
  std::array<WriteNote, kNotes> notes;
  size_t next = 0;
};
THIXO_FAST_TLS Log* t_log = nullptr;

Log& log() {
  if (t_log == nullptr) {
    // On the heap: a library opened by a running program has little room for thread-local data.
    thread_local std::unique_ptr<Log> storage = std::make_unique<Log>();
    t_log = storage.get();
  }
  return *t_log;
}

}  // namespace

void note_write(const Tensor& self, const OpDef* op, const SourceLoc& at) {
  const Storage* s = self.record()->storage.get();
  if (s == nullptr) return;
  Log& l = log();
  l.notes[l.next] = {s, s->version, op, at};
  l.next = (l.next + 1) % kNotes;
}

const WriteNote* find_write(const Storage* storage, uint32_t version) {
  // The newest first: an older note may be of another storage that lay at the same address.
  const Log& l = log();
  for (size_t back = 1; back <= kNotes; ++back) {
    const WriteNote& n = l.notes[(l.next + kNotes - back) % kNotes];
    if (n.storage == storage && n.version == version) return &n;
  }
  return nullptr;
}

}  // namespace thixo
