// Copies between any layouts and dtypes: what clone, to, contiguous, copy_ and fill_ are made of.
#include <algorithm>

#include "base/transpose.h"
#include "ir/backend.h"
#include "runtime/eager.h"
#include "runtime/eager_tiles.h"

namespace thixo::detail {
namespace {

constexpr int64_t kSquare = 64;  // side of a transposed tile

struct CopyRun {
  Walk walk;  // source, target
  const Strided& src() const { return walk.operands[0]; }
  const Strided& dst() const { return walk.operands[1]; }

  /// Brings an axis along which the source is contiguous beside the target's; false when there is none.
  bool find_square() {
    if (src().stride[0] <= 1 || dst().stride[0] != 1) return false;
    for (int a = 1; a < walk.rank; ++a) {
      if (src().stride[a] != 1 || walk.extent[a] < 4) continue;
      walk.swap_axes(1, a);
      return true;
    }
    return false;
  }
  void run_lines(int64_t begin, int64_t end, int64_t pieces) const;
  void run_squares(int64_t begin, int64_t end, int64_t down, int64_t across) const;
};

void CopyRun::run_lines(int64_t begin, int64_t end, int64_t pieces) const {
  Odometer at(walk, 1, begin / pieces);
  for (int64_t u = begin; u < end; ++u) {
    const int64_t first = u % pieces * kGrain, n = std::min(kGrain, walk.extent[0] - first);
    convert_strided(src().dtype, src().at(at.offset(0) + first * src().stride[0]), src().stride[0], dst().dtype,
                    dst().at(at.offset(1) + first * dst().stride[0]), dst().stride[0], n);
    if (u % pieces == pieces - 1) at.next();
  }
}

// Source rows (along axis 0 of the walk, contiguous along axis 1) become target columns.
void CopyRun::run_squares(int64_t begin, int64_t end, int64_t down, int64_t across) const {
  Odometer at(walk, 2, begin / (down * across));
  char* scratch = thread_scratch(0, kSquare * kSquare * 16);
  for (int64_t u = begin; u < end; ++u) {
    const int64_t row = u / across % down * kSquare, column = u % across * kSquare;
    const int64_t rows = std::min(kSquare, walk.extent[1] - row), columns = std::min(kSquare, walk.extent[0] - column);
    const char* from = src().at(at.offset(0) + column * src().stride[0] + row);
    char* to = dst().at(at.offset(1) + column + row * dst().stride[1]);
    const int64_t next = std::min(kSquare, walk.extent[0] - column - columns);
    prefetch_tile(item_size(src().dtype), from + columns * src().stride[0] * src().item(), src().stride[0], next, rows);
    // Through scratch: target rows lie far apart, often in one set of the cache.
    transpose_tile(item_size(src().dtype), from, src().stride[0], scratch, columns, columns, rows);
    for (int64_t r = 0; r < rows; ++r) {
      convert_run(src().dtype, scratch + r * columns * src().item(), dst().dtype,
                  to + r * dst().stride[1] * dst().item(), columns);
    }
    if (u % (down * across) == down * across - 1) at.next();
  }
}

Strides copy_strides(const Call& call, const Spec& result, int) {
  const Tensor& source = call.in[0];
  if (call.op->name() == "clone" && call.text("memory_format") != "preserve") {
    if (call.text("memory_format") == "contiguous") return contiguous_strides(result.shape);
    if (result.shape.size() != 4) {
      throw call.error(ErrorKind::Shape, "channels_last is a layout of 4 dims").need("a tensor of shape [N, C, H, W]");
    }
    const Dim c = result.shape[1], h = result.shape[2], w = result.shape[3];
    return {h * w * c, Dim(1), w * c, c};
  }
  return result_strides(result.shape, std::span<const Tensor>(&source, 1));
}

void run_copy(const Call& call, std::span<const Tensor> out) {
  copy_into(call.in[call.op->name() == "assign" ? 1 : 0], out[0]);
}

}  // namespace

void copy_into(const Tensor& source, const Tensor& target) {
  if (numel_of(target.shape()).value() == 0) return;
  CopyRun run{make_walk(target.shape(), std::span<const Tensor>(&source, 1), &target)};
  run.walk.collapse();
  const int64_t elements = run.walk.elements();
  if (run.find_square()) {
    const int64_t down = (run.walk.extent[1] + kSquare - 1) / kSquare;
    const int64_t across = (run.walk.extent[0] + kSquare - 1) / kSquare;
    const int64_t outer = elements / run.walk.extent[0] / run.walk.extent[1];
    run_units(outer * down * across, elements, [&](int64_t b, int64_t e) { run.run_squares(b, e, down, across); });
    return;
  }
  const int64_t pieces = (run.walk.extent[0] + kGrain - 1) / kGrain;
  run_units(elements / run.walk.extent[0] * pieces, elements,
            [&](int64_t b, int64_t e) { run.run_lines(b, e, pieces); });
}

void add_copy_entries() {
  const BackendEntry entries[] = {{"copy", run_copy, OutLayout::LikeInput, copy_strides}};
  add_backend_entries(entries);
}

}  // namespace thixo::detail
