#include "core/storage.h"

#include "core/allocator.h"
#include "core/record_block.h"

namespace thixo {

void Storage::allocate(size_t n) {
  const Allocation a = thixo::allocate(n);
  data = a.data;
  block = a.block;
  bytes = n;
}

Storage::~Storage() {
  if (memory == Memory::Allocator) {
    if (data != nullptr) deallocate({data, block}, bytes);
  } else if (memory == Memory::Foreign && foreign_release) {
    foreign_release();
  }
}

void Storage::destroy() const {
  if (!embedded) {
    delete this;
    return;
  }
  RecordBlock* home = RecordBlock::of(this);
  this->~Storage();
  home->part_gone();
}

Ref<Storage> foreign_storage(void* data, size_t bytes, std::function<void()> release) {
  Ref<Storage> s = make_ref<Storage>();
  s->data = data;
  s->bytes = bytes;
  s->memory = Storage::Memory::Foreign;
  s->foreign_release = std::move(release);
  return s;
}

}  // namespace thixo
