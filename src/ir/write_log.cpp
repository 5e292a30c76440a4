#include "ir/write_log.h"

#include <array>
#include <atomic>
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
  static std::atomic<uint32_t> ids{0};
  Storage* s = self.record()->storage.get();
  if (s == nullptr) return;
  if (s->log_id == 0) s->log_id = ++ids;
  Log& l = log();
  l.notes[l.next] = {s->log_id, s->version, op, at};
  l.next = (l.next + 1) % kNotes;
}

const WriteNote* find_write(const Storage& storage, uint32_t version) {
  if (storage.log_id == 0) return nullptr;
  for (const WriteNote& n : log().notes) {
    if (n.storage == storage.log_id && n.version == version) return &n;
  }
  return nullptr;
}

}  // namespace thixo
