// Sums over the channels of images (batch norm): one pass over both operands for both sums.
#include <algorithm>
#include <cstring>
#include <string>

#include "backend/cpu/conv.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/panels.h"
#include "backend/cpu/scratch.h"
#include "base/parallel.h"
#include "codegen/pack.h"
#include "core/record.h"

namespace thixo::cpu {
namespace {

constexpr int64_t kRowsOfBlock = 512;     // rows of neighbouring channels that one partial sum takes
constexpr int64_t kElements = 1 << 14;    // elements that a task should at least read

/// How both operands lie: planes of neighbouring elements, or rows of neighbouring channels.
struct Layout {
  enum Kind : uint8_t { Planes, Rows, Neither } kind = Neither;
  int64_t image = 0, channel = 0, row = 0;  // strides

  explicit Layout(const TensorRecord& t) {
    const size_t rank = t.shape.size();
    const int64_t images = t.shape[0], channels = t.shape[1];
    // The dims behind the channels as one; a single element has no stride.
    int64_t extent = 1, step = 0;
    bool even = true;
    for (size_t d = rank; d-- > 2;) {
      if (t.shape[d] == 1) continue;
      if (extent == 1) step = t.strides[d];
      even &= t.strides[d] == step * extent;
      extent *= t.shape[d].value();
    }
    image = t.strides[0];
    channel = t.strides[1];
    if (even && (extent == 1 || step == 1) && !(channel == 1 && extent == 1)) {
      kind = Planes;
    } else if (even && (channel == 1 || channels == 1)) {
      row = extent == 1 ? image : step;
      if (images == 1 || extent == 1 || image == step * extent) kind = Rows;
    }
  }
};

std::string key_of(DType t, bool centred, const char* layout) {
  return "channel_sums." + std::string(dtype_short_name(t)) + (centred ? ".centred" : "") + layout;
}

struct Operands {
  void *a, *b, *mean;
  int64_t images, channels, places;  // places: elements of one plane
  size_t item;                       // of the sums
};

template <class T> void add_images(const T* parts, int64_t images, int64_t channels, T* out) {
  for (int64_t c = 0; c < channels; ++c) {
    T s = 0;
    for (int64_t n = 0; n < images; ++n) s += parts[n * channels + c];
    out[c] = s;
  }
}

void by_planes(KernelFn kernel, const Operands& o, const Layout& a, const Layout& b, void* sum, void* dot) {
  const int64_t planes = o.images * o.channels, some = std::max<int64_t>(1, kElements / std::max<int64_t>(1, o.places));
  const Array<char> parts(2 * planes * static_cast<int64_t>(o.item));
  char* dots = parts.get() + planes * static_cast<int64_t>(o.item);
  void* buffers[] = {o.a, o.b, o.mean, parts.get(), dots};
  const int64_t ints[] = {o.channels, o.places, a.image, a.channel, b.image, b.channel};
  const KernelArgs args{buffers, ints, nullptr};
  parallel_for(ceil_div(planes, some),
               [&](int64_t begin, int64_t end) { kernel(&args, begin * some, std::min(planes, end * some)); });
  if (o.item == 8) {
    add_images(parts.as<double>(), o.images, o.channels, static_cast<double*>(sum));
    add_images(reinterpret_cast<const double*>(dots), o.images, o.channels, static_cast<double*>(dot));
  } else {
    add_images(parts.as<float>(), o.images, o.channels, static_cast<float*>(sum));
    add_images(reinterpret_cast<const float*>(dots), o.images, o.channels, static_cast<float*>(dot));
  }
}

void by_rows(KernelFn kernel, const Operands& o, DType type, int64_t a_row, int64_t b_row, void* sum, void* dot) {
  const int64_t rows = o.images * o.places, blocks = ceil_div(rows, kRowsOfBlock), width = 2 * o.channels,
                item = static_cast<int64_t>(o.item);
  const Array<char> parts(blocks * width * item);
  parallel_for(blocks, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      char* own = parts.get() + i * width * item;
      std::memset(own, 0, static_cast<size_t>(width * item));
      void* buffers[] = {o.a, o.b, o.mean, own, own + o.channels * item};
      const int64_t ints[] = {o.channels, a_row, b_row};
      const KernelArgs args{buffers, ints, nullptr};
      kernel(&args, i * kRowsOfBlock, std::min(rows, (i + 1) * kRowsOfBlock));
    }
  });
  add_in_tree(type, parts.get(), blocks, width);
  std::memcpy(sum, parts.get(), static_cast<size_t>(o.channels * item));
  std::memcpy(dot, parts.get() + o.channels * item, static_cast<size_t>(o.channels * item));
}

}  // namespace

void channel_sums_kernel(const Call& call, std::span<const Tensor> out) {
  const DType t = call.dtype(0), sums = out[0].dtype();
  Tensor a = call.in[0], b = call.in[1].to(t);
  const Tensor mean = call.in[2].to(sums).contiguous();
  Layout la(*a.record()), lb(*b.record());
  if (la.kind == Layout::Neither || la.kind != lb.kind) {
    a = a.contiguous();
    b = b.contiguous();
    la = Layout(*a.record());
    lb = Layout(*b.record());
  }
  Operands o{a.record()->data(), b.record()->data(), mean.record()->data(), call.shape(0)[0], call.shape(0)[1], 1,
             item_size(sums)};
  for (size_t d = 2; d < call.shape(0).size(); ++d) o.places *= call.shape(0)[d].value();
  const bool planes = la.kind == Layout::Planes;
  KernelFn kernel = codegen::find_kernel(key_of(t, call.flag("centred"), planes ? ".rows" : ".columns"));
  if (kernel == nullptr) throw call.error(ErrorKind::NotImplemented, "this build has no kernel for it");
  kernel = codegen::in_mode(kernel);
  const Array<char> own(2 * o.channels * static_cast<int64_t>(o.item));  // the results may lie anyhow
  char* dot = own.get() + o.channels * static_cast<int64_t>(o.item);
  if (planes) {
    by_planes(kernel, o, la, lb, own.get(), dot);
  } else {
    by_rows(kernel, o, sums, la.row, lb.row, own.get(), dot);
  }
  for (size_t k = 0; k < 2; ++k) {
    const TensorRecord& r = *out[k].record();
    for (int64_t c = 0; c < o.channels; ++c) {
      std::memcpy(static_cast<char*>(r.data()) + static_cast<size_t>(c * r.strides[0].value()) * o.item,
                  (k == 0 ? own.get() : dot) + static_cast<size_t>(c) * o.item, o.item);
    }
  }
}

}  // namespace thixo::cpu
