#include "thixo/dlpack.h"

#include <gtest/gtest.h>

#include "core/record.h"
#include "formats/dlpack_abi.h"

namespace thixo {
namespace {

TEST(DLPack, GoesOutAndComesBackWithoutACopy) {
  for (int i = 0; i < kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    Tensor t = empty({2, 3}, {.dtype = dtype});
    void* data = t.raw_data();
    DLManagedTensor* m = to_dlpack(t);
    EXPECT_EQ(m->dl_tensor.data, data);
    EXPECT_EQ(m->dl_tensor.dtype.bits, item_size(dtype) * 8);
    t = {};
    Tensor back = from_dlpack(m);
    EXPECT_EQ(back.raw_data(), data);
    EXPECT_EQ(back.dtype(), dtype) << dtype_name(dtype);
    EXPECT_EQ(back.shape(), (Shape{2, 3}));
    DLManagedTensorVersioned* v = to_dlpack_versioned(back);
    EXPECT_EQ(v->version.major, 1u);
    EXPECT_EQ(v->flags, 0u);
    EXPECT_EQ(from_dlpack(v).raw_data(), data);
  }
}

TEST(DLPack, StridesAreElements) {
  Tensor t = tensor<float>({0, 1, 2, 3, 4, 5}, {2, 3});
  DLManagedTensor* m = to_dlpack(make_view(t, {3}, {1}, 3, {.op = nullptr, .attrs = {}}));
  EXPECT_EQ(m->dl_tensor.ndim, 1);
  EXPECT_EQ(m->dl_tensor.strides[0], 1);
  EXPECT_EQ(*static_cast<float*>(m->dl_tensor.data), 3);
  delete_dlpack(m);
  m = to_dlpack(t);
  std::swap(m->dl_tensor.shape[0], m->dl_tensor.shape[1]);
  std::swap(m->dl_tensor.strides[0], m->dl_tensor.strides[1]);
  m->dl_tensor.byte_offset = 0;
  Tensor transposed = from_dlpack(m);
  EXPECT_EQ(transposed.strides(), (Strides{1, 3}));
}

/// A tensor of another library.
struct Other {
  int32_t values[6] = {1, 2, 3, 4, 5, 6};
  int64_t shape[2] = {2, 2}, strides[2] = {3, 1};
  int deleted = 0;
  DLManagedTensor m{};
  Other() {
    m.dl_tensor = {.data = values,
                   .device = {1, 0},
                   .ndim = 2,
                   .dtype = {0, 32, 1},
                   .shape = shape,
                   .strides = nullptr,
                   .byte_offset = 4};
    m.manager_ctx = this;
    m.deleter = [](DLManagedTensor* self) { ++static_cast<Other*>(self->manager_ctx)->deleted; };
  }
};

TEST(DLPack, ForeignTensors) {
  Other o;
  {
    Tensor t = from_dlpack(&o.m);
    EXPECT_EQ(t.data<int32_t>(), o.values + 1);
    EXPECT_EQ(t.strides(), (Strides{2, 1})) << "no strides: row-major";
    EXPECT_EQ(o.deleted, 0);
  }
  EXPECT_EQ(o.deleted, 1);
  o.m.dl_tensor.strides = o.strides;
  EXPECT_EQ(from_dlpack(&o.m).strides(), (Strides{3, 1}));
  EXPECT_EQ(o.deleted, 2);
}

TEST(DLPack, WhatIsRefusedStaysTheCallers) {
  Other o;
  const auto kind = [&] {
    try {
      from_dlpack(&o.m);
    } catch (const Error& e) {
      return e.kind();
    }
    return ErrorKind::Internal;
  };
  o.m.dl_tensor.device.device_type = 2;
  EXPECT_EQ(kind(), ErrorKind::Device);
  o.m.dl_tensor.device.device_type = 1;
  o.m.dl_tensor.dtype.lanes = 4;
  EXPECT_EQ(kind(), ErrorKind::DType);
  o.m.dl_tensor.dtype = {3, 64, 1};
  EXPECT_EQ(kind(), ErrorKind::DType);
  o.m.dl_tensor.dtype = {0, 32, 1};
  o.m.dl_tensor.ndim = 9;
  EXPECT_EQ(kind(), ErrorKind::Shape);
  o.m.dl_tensor.ndim = 2;
  o.shape[0] = -1;
  EXPECT_EQ(kind(), ErrorKind::Shape);
  o.shape[0] = 2;
  o.strides[0] = -3;
  o.m.dl_tensor.strides = o.strides;
  EXPECT_EQ(kind(), ErrorKind::Shape);
  EXPECT_EQ(o.deleted, 0);
  EXPECT_THROW(to_dlpack(empty({2}, {.device = "meta"})), Error);
  Tensor t = empty({2});
  t.record()->grad = make_ref<GradMeta>();
  t.record()->grad->requires_grad = true;
  EXPECT_THROW(to_dlpack(t), Error);
}

TEST(DLPack, ReadOnlyAndLaterVersionsAreRefused) {
  DLManagedTensorVersioned* v = to_dlpack_versioned(empty({2}));
  v->flags = 1;
  EXPECT_THROW(from_dlpack(v), Error);
  v->flags = 0;
  v->version.major = 2;
  EXPECT_THROW(from_dlpack(v), Error);
  delete_dlpack(v);
}

TEST(DLPack, NullIsNoTensor) {
  EXPECT_THROW(from_dlpack(static_cast<DLManagedTensor*>(nullptr)), Error);
  EXPECT_THROW(from_dlpack(static_cast<DLManagedTensorVersioned*>(nullptr)), Error);
  delete_dlpack(static_cast<DLManagedTensor*>(nullptr));
}

}  // namespace
}  // namespace thixo
