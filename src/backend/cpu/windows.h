// Windows over the planes of images, as loops: planes, or rows of windows, go to threads; windows are met row by
// row, for each offset in the window a loop over the places of a row.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "base/parallel.h"
#include "core/record.h"

namespace thixo::cpu {

/// Windows (ops/pool/window.h) over images of height x width; rows (0) and columns (1).
struct Windows {
  /// The places of a row whose windows have this offset in the image, and the column of the first of them.
  struct Column {
    int64_t begin, end, at;
  };
  SmallVec<Column, 8> columns;
  int64_t kernel[2], stride[2], pad[2], dilation[2], image[2], places[2], planes = 1;

  Windows(const Shape& attr, const Shape& image_shape, const Shape& place_shape) {
    size_t i = 0;
    for (int64_t* v : {kernel, stride, pad, dilation}) {
      v[0] = attr[i++].value();
      v[1] = attr[i++].value();
    }
    const size_t lead = image_shape.size() - 2;
    for (size_t d = 0; d < 2; ++d) {
      image[d] = image_shape[lead + d].value();
      places[d] = place_shape[lead + d].value();
    }
    for (size_t d = 0; d < lead; ++d) planes *= image_shape[d].value();
    for (int64_t kx = 0; kx < kernel[1]; ++kx) {
      const int64_t first = at(1, 0, kx), s = stride[1], begin = first >= 0 ? 0 : (s - 1 - first) / s;
      const int64_t end = first >= image[1] ? 0 : std::min(places[1], (image[1] - 1 - first) / s + 1);
      columns.push_back({begin, end, at(1, begin, kx)});
    }
  }
  /// The commonest windows: 2 x 2, side by side, all of the image.
  bool halves() const {
    bool all = true;
    for (size_t d = 0; d < 2; ++d) {
      all &= kernel[d] == 2 && stride[d] == 2 && pad[d] == 0 && dilation[d] == 1 && image[d] == 2 * places[d];
    }
    return all;
  }
  int64_t plane() const { return image[0] * image[1]; }
  int64_t windows() const { return places[0] * places[1]; }
  int64_t at(int dim, int64_t place, int64_t k) const { return place * stride[dim] - pad[dim] + k * dilation[dim]; }
  /// How much of the image, or of the padded image, the window at a place covers.
  int64_t covered(int dim, int64_t place, bool with_pad) const {
    const int64_t begin = at(dim, place, 0), end = std::min(begin + kernel[dim], image[dim] + pad[dim]);
    return with_pad ? end - begin : std::min(end, image[dim]) - std::max<int64_t>(begin, 0);
  }
};

/// f(unit) for planes or for rows of windows, in parallel where the images are worth a second thread.
template <class F> void each_unit(const Windows& w, int64_t units, F&& f) {
  constexpr int64_t kSerial = 1 << 15;  // elements
  auto run = [&](int64_t begin, int64_t end) {
    for (int64_t u = begin; u < end; ++u) f(u);
  };
  if (w.planes * w.plane() < kSerial) {
    run(0, units);
  } else {
    parallel_for(units, run);
  }
}
template <class F> void each_plane(const Windows& w, F&& f) { each_unit(w, w.planes, f); }
template <class F> void each_row(const Windows& w, F&& f) { each_unit(w, w.planes * w.places[0], f); }

/// f(first place in the image, begin, end, offset, stride): for each offset in the windows of row `oy` that lies in the
/// image, the places of the row that it does so for. The common strides are constants.
template <class F> void each_offset(const Windows& w, int64_t oy, F&& f) {
  int offset = -1;
  for (int64_t ky = 0; ky < w.kernel[0]; ++ky) {
    const int64_t y = w.at(0, oy, ky);
    for (const auto& [begin, end, column] : w.columns) {
      ++offset;
      if (y < 0 || y >= w.image[0]) continue;
      const int64_t first = y * w.image[1] + column;
      switch (w.stride[1]) {
        case 1: f(first, begin, end, offset, std::integral_constant<int64_t, 1>()); break;
        case 2: f(first, begin, end, offset, std::integral_constant<int64_t, 2>()); break;
        default: f(first, begin, end, offset, w.stride[1]); break;
      }
    }
  }
}

}  // namespace thixo::cpu
