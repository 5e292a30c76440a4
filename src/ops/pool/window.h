// Windows over the last two dims of images: what pooling is made of. The numbers of a window travel as one `size`
// attribute, so kernels are made once for windows of any size.
#pragma once

#include "ir/op.h"
#include "thixo/tensor.h"

namespace thixo::ops {

/// Result place o looks at o * stride - pad + k * dilation for k in [0, kernel): rows (0) and columns (1).
struct Window {
  Dim kernel[2], stride[2], pad[2], dilation[2];

  /// As an attribute, and back.
  Shape attr() const;
  explicit Window(const Shape& attr);
  /// Read from the attributes kernel_size, stride, padding and, if `dilated`, dilation of a public call. Checked
  /// against the call's operand 0.
  Window(const Call& call, bool dilated);
  Dim reach(int dim) const { return dilation[dim] * (kernel[dim] - 1) + 1; }
  Expr at(int dim, Expr o, Expr k) const { return o * size(stride[dim]) - size(pad[dim]) + k * size(dilation[dim]); }
};

/// Height and width of the result; attribute ceil_mode counts a last window that leaves the image.
Shape window_places(const Call& call, const Window& w);

/// For nests. `image` is the shape that windows lie on; result axes lead up to its last two dims.
std::vector<Expr> image_index(const NestCtx& c, Expr y, Expr x);
Expr inside(const Shape& image, Expr y, Expr x);

/// Windows that cover one place: reduces over them.
struct Cover {
  Expr at, exists;
};
Cover windows_over(NestCtx& c, const Window& w, int dim, Expr place, Dim windows);

}  // namespace thixo::ops
