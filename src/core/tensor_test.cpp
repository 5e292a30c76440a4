#include "thixo/tensor.h"

#include <gtest/gtest.h>

#include "base/error_text.h"
#include "core/record.h"
#include "core/values.h"

namespace thixo {
namespace {

using test::error_of;

TEST(Tensor, Accessors) {
  Tensor t = empty({2, 3, 4}, {.dtype = int16});
  EXPECT_EQ(t.dim(), 3);
  EXPECT_EQ(t.numel(), 24);
  EXPECT_EQ(t.nbytes(), 48u);
  EXPECT_EQ(t.size(-1), 4);
  EXPECT_EQ(t.stride(0), 12);
  EXPECT_EQ(t.storage_offset(), 0);
  EXPECT_TRUE(t.is_contiguous());
  EXPECT_EQ(t.device(), Device("cpu"));
  EXPECT_EQ(empty({2}).dtype(), float32);
  Tensor s = empty_strided({2, 3, 4, 5}, {60, 1, 15, 3});
  EXPECT_TRUE(s.is_contiguous(channels_last));
  EXPECT_FALSE(s.is_contiguous());
}

TEST(Tensor, Item) {
  EXPECT_EQ(Tensor(2.5).item(), 2.5);
  EXPECT_EQ(Tensor(2.5).dtype(), float32);
  EXPECT_EQ(Tensor(int64_t{7}).item<int64_t>(), 7);
  EXPECT_EQ(Tensor(true).dtype(), boolean);
  EXPECT_EQ(Tensor(std::complex<double>(1, -2)).dtype(), complex64);
  EXPECT_EQ(Tensor(std::complex<double>(1, -2)).item<std::complex<double>>(), std::complex<double>(1, -2));
}

TEST(Tensor, EveryDTypeLoadsWhatWasStored) {
  for (int d = 0; d < kDTypeCount; ++d) {
    const auto dtype = static_cast<DType>(d);
    Tensor t = empty({}, {.dtype = dtype});
    store_scalar(t.raw_data(), dtype, 1.0);
    EXPECT_EQ(t.item_scalar().to_complex(), std::complex<double>(1)) << dtype_name(dtype);
    store_scalar(t.raw_data(), dtype, false);
    EXPECT_EQ(t.item_scalar().to_complex(), std::complex<double>(0)) << dtype_name(dtype);
  }
}

TEST(Tensor, NumbersBeyondInt64KeepTheirValue) {
  const uint64_t most = UINT64_MAX;
  Tensor t = empty({}, {.dtype = uint64});
  store_scalar(t.data<uint64_t>(), uint64, most);
  const Scalar v = t.item_scalar();
  EXPECT_EQ(v.kind(), DType::I64);
  EXPECT_TRUE(v.beyond_int());
  EXPECT_EQ(t.item<uint64_t>(), most);
  EXPECT_EQ(t.item(), static_cast<double>(most));
  EXPECT_EQ(v.str(), "18446744073709551615");
  EXPECT_FALSE(v == Scalar(-1));
  EXPECT_EQ(Scalar(uint64_t{5}), Scalar(5));
}

TEST(Tensor, NumbersInCallsAreWrapped) {
  TensorArg i = 3, d = 2.5, b = true;
  EXPECT_EQ(i.tensor().dtype(), int64);
  EXPECT_EQ(d.tensor().dtype(), float64);  // all its digits: what it is computed in is promotion's to say
  EXPECT_EQ(b.tensor().dtype(), boolean);
  EXPECT_TRUE(i.tensor().record()->wrapped_number);
  EXPECT_FALSE(Tensor(3).record()->wrapped_number);
  EXPECT_EQ(d.at().line(), static_cast<unsigned>(__LINE__ - 6));
}

TEST(Tensor, Errors) {
  Tensor t = empty({2, 3});
  EXPECT_EQ(error_of([&] { t.size(2); }),
            "IndexError: size: dim 2 of a tensor with 2 dims\n  got   shape: [2, 3]\n  need  a dim from -2 to 1");
  EXPECT_EQ(error_of([&] { t.item(); }),
            "ValueError: item: the tensor has 6 elements\n  got   f32[2, 3] cpu\n  need  exactly one element\n"
            "  fix   choose an element first (x[0]), or reduce it (x.sum())");
  EXPECT_EQ(error_of([&] { t.data<int>(); }),
            "DTypeError: data: the tensor holds f32, asked for as i32\n  got   f32[2, 3] cpu\n"
            "  fix   ask for its own type, or convert first: x.to(thixo::int32)");
  EXPECT_EQ(error_of([&] { empty({}, {.device = "meta"}).item(); }),
            "ValueError: item: the tensor has no data\n  got   f32[] meta\n"
            "  fix   a tensor on 'meta' has only a shape; make it on 'cpu'");
  EXPECT_EQ(error_of([&] { Tensor().shape(); }),
            "ValueError: shape of an undefined tensor\n"
            "  fix   give it a value first: Tensor() alone is an empty handle");
}

TEST(Tensor, TheValueHookSeesLooks) {
  static std::string seen;
  const ValueHook before = set_value_hook([](const Tensor&, const char* what) { seen += what; });
  Tensor t(3);
  t.item();
  t.data<int64_t>();
  set_value_hook(before);
  EXPECT_EQ(seen, "itemdata");
}

TEST(Tensor, FromVector) {
  Tensor t = tensor<double>({1, 2, 3, 4}, {2, 2});
  EXPECT_EQ(t.data<double>()[3], 4);
  EXPECT_THROW(tensor<float>({1, 2}, {3}), Error);
}

}  // namespace
}  // namespace thixo
