#include "core/record.h"

#include <cstdint>
#include <new>
#include <string>

#include "base/thread_state.h"
#include "core/record_block.h"

namespace thixo {
namespace {

THIXO_FAST_TLS uint32_t t_recording = 0;

constexpr unsigned kAloneClass = detail::small_class(sizeof(TensorRecord));

void check_rank(const Shape& shape) {
  if (shape.size() <= kMaxRank) return;
  throw ShapeError("a tensor of " + std::to_string(shape.size()) + " dims")
      .got("shape: " + shape_str(shape))
      .need("at most " + std::to_string(kMaxRank) + " dims");
}

Error too_large(const Shape& shape) {
  return ShapeError("a tensor of shape " + shape_str(shape) + " is larger than any memory")
      .need("less than 2^63 bytes");
}

int64_t checked_size(const Shape& shape, Dim d) {
  const int64_t n = d.value();
  if (n < 0)
    throw ShapeError("negative size " + std::to_string(n) + " in shape " + shape_str(shape))
        .need("sizes of at least 0");
  return n;
}

/// What has to be undone when the memory for the data cannot be had.
struct NewBlock {
  RecordBlock* block = static_cast<RecordBlock*>(static_cast<void*>(detail::small_new(RecordBlock::size_class())));
  bool done = false;
  ~NewBlock() {
    if (!done) detail::small_delete(block, RecordBlock::size_class());
  }
};

Ref<TensorRecord> record_with_storage(size_t bytes, DType dtype, Device device) {
  NewBlock made;
  RecordBlock* b = made.block;
  auto* storage = new (b->storage_room) Storage;
  storage->device = device;
  storage->embedded = true;
  storage->recording = t_recording;
  if (bytes <= RecordBlock::kRoom) {
    storage->memory = Storage::Memory::Record;
    storage->data = b->data;
    storage->bytes = bytes;
  } else {
    storage->allocate(bytes);
  }
  storage->retain_first();
  auto* r = new (b->record_room) TensorRecord;
  r->room = TensorRecord::Room::WithStorage;
  r->recording = t_recording;
  r->dtype = dtype;
  r->device = device;
  r->storage = Ref<Storage>::adopt(storage);
  r->retain_first();
  new (&b->parts) std::atomic<int>(2);
  made.done = true;
  return Ref<TensorRecord>::adopt(r);
}

Ref<TensorRecord> record_alone(DType dtype, Device device) {
  auto* r = new (detail::small_new(kAloneClass)) TensorRecord;
  r->room = TensorRecord::Room::Alone;
  r->recording = t_recording;
  r->dtype = dtype;
  r->device = device;
  r->retain_first();
  return Ref<TensorRecord>::adopt(r);
}

}  // namespace

void set_recording(uint32_t number) { t_recording = number; }

void TensorRecord::destroy() const {
  auto* self = const_cast<TensorRecord*>(this);
  switch (room) {
    case Room::Heap: delete self; return;
    case Room::Alone:
      self->~TensorRecord();
      detail::small_delete(self, kAloneClass);
      return;
    case Room::WithStorage: break;
  }
  RecordBlock* b = RecordBlock::of(this);
  if (storage.get() == b->storage() && storage->unique()) {
    // Nobody else knows the Storage: both go at once.
    self->storage.detach()->~Storage();
    self->~TensorRecord();
    detail::small_delete(b, RecordBlock::size_class());
    return;
  }
  self->~TensorRecord();
  b->part_gone();
}

size_t contiguous_bytes(const Shape& shape, DType dtype) {
  check_rank(shape);
  auto bytes = static_cast<int64_t>(item_size(dtype));
  bool empty = false, overflow = false;
  for (Dim d : shape) {
    const int64_t n = checked_size(shape, d);
    empty |= n == 0;
    overflow |= n > 0 && __builtin_mul_overflow(bytes, n, &bytes);
  }
  if (overflow) throw too_large(shape);  // also with a 0 among the sizes: strides would overflow
  return empty ? 0 : static_cast<size_t>(bytes);
}

int64_t span_of(const Shape& shape, const Strides& strides) {
  check_rank(shape);
  if (shape.size() != strides.size()) {
    throw ShapeError("shape " + shape_str(shape) + " has " + std::to_string(shape.size()) + " sizes but strides " +
                     shape_str(strides) + " has " + std::to_string(strides.size()));
  }
  int64_t last = 0;
  bool empty = false;
  for (size_t i = 0; i < shape.size(); ++i) {
    const int64_t n = checked_size(shape, shape[i]), stride = strides[i].value();
    if (stride < 0) throw ShapeError("negative stride in " + shape_str(strides)).need("strides of at least 0");
    int64_t reach = 0;
    empty |= n == 0;
    if (n > 0 && (__builtin_mul_overflow(n - 1, stride, &reach) || __builtin_add_overflow(last, reach, &last))) {
      throw too_large(shape);
    }
  }
  if (empty) return 0;
  if (last > INT64_MAX / 16 - 1) throw too_large(shape);
  return last + 1;
}

Ref<TensorRecord> new_record(const Shape& shape, DType dtype, Device device) {
  if (device.type == DeviceType::Meta) return new_abstract(shape, dtype, device);
  Ref<TensorRecord> r = record_with_storage(contiguous_bytes(shape, dtype), dtype, device);
  r->shape = shape;
  r->strides = contiguous_strides(shape);
  return r;
}

Ref<TensorRecord> new_record_strided(const Shape& shape, const Strides& strides, size_t bytes, DType dtype,
                                     Device device) {
  Ref<TensorRecord> r =
      device.type == DeviceType::Meta ? record_alone(dtype, device) : record_with_storage(bytes, dtype, device);
  r->shape = shape;
  r->strides = strides;
  return r;
}

Ref<TensorRecord> new_record_on(Ref<Storage> storage, const Shape& shape, const Strides& strides, int64_t offset,
                                DType dtype) {
  Ref<TensorRecord> r = record_alone(dtype, storage->device);
  r->shape = shape;
  r->strides = strides;
  r->offset = offset;
  r->storage = std::move(storage);
  return r;
}

Ref<TensorRecord> new_abstract(const Shape& shape, DType dtype, Device device) {
  check_rank(shape);
  Ref<TensorRecord> r = record_alone(dtype, device);
  r->shape = shape;
  r->strides = contiguous_strides(shape);
  return r;
}

Tensor make_view(const Tensor& t, const Shape& shape, const Strides& strides, int64_t offset, ViewStep step) {
  check_rank(shape);
  numel_of(shape);  // an expanded view may have more elements than can be counted
  const TensorRecord& from = *t.record();
  Ref<TensorRecord> r = record_alone(from.dtype, from.device);
  r->shape = shape;
  r->strides = strides;
  r->offset = offset;
  r->storage = from.storage;
  auto meta = make_ref<ViewMeta>();
  auto chain = std::make_shared<std::vector<ViewStep>>();
  if (from.view) *chain = *from.view->chain;
  chain->push_back(std::move(step));
  meta->base = from.view ? from.view->base : t;
  meta->chain = std::move(chain);
  meta->version = from.storage ? from.storage->version : 0;
  r->view = std::move(meta);
  return Tensor(std::move(r));
}

bool overlaps_itself(const TensorRecord& r) {
  bool empty = false, expanded = false;
  for (size_t d = 0; d < r.shape.size(); ++d) {
    empty |= r.shape[d].raw() == 0;
    expanded |= r.strides[d].raw() == 0 && r.shape[d].raw() != 1;
  }
  return expanded && !empty;
}

bool is_contiguous(const Shape& shape, const Strides& strides) {
  Dim expected = 1;
  bool result = true;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 0) return true;
    if (shape[i] == 1) continue;
    result = result && strides[i] == expected;
    if (result) expected *= shape[i];
  }
  return result;
}

bool is_channels_last(const Shape& shape, const Strides& strides) {
  if (shape.size() != 4) return false;
  constexpr size_t order[] = {0, 2, 3, 1};
  Shape moved;
  Strides moved_strides;
  for (size_t i : order) {
    moved.push_back(shape[i]);
    moved_strides.push_back(strides[i]);
  }
  return is_contiguous(moved, moved_strides);
}

}  // namespace thixo
