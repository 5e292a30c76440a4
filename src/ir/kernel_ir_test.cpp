#include "ir/kernel_ir.h"

#include <gtest/gtest.h>

#include "thixo/error.h"

namespace thixo {
namespace {

constexpr DType kF32 = DType::F32;

/// Row sums of an R x C matrix, with a guard, an If, a tile and a scratch buffer, so that everything occurs.
Kernel sample() {
  const Dim r = Dim::named("R"), c = Dim::named("C");
  Kernel k;
  k.name = "sample";
  k.buffers = {{"x", kF32, BufferKind::In, {}},
               {"z", kF32, BufferKind::Out, {}},
               {"room", DType::BF16, BufferKind::Scratch, r * 2 + c}};
  k.sizes = {r, c};
  k.params = 1;
  const Expr at = axis(0) * size(c) + axis(1);
  const Expr x = load_if(at < size(r * c), 0, kF32, at, constant(0.0, kF32));
  k.body = {
      make_loop(1, size(c), LoopKind::Vector, {{1, kF32, Combine::Sum, param(0, kF32)}},
                {make_update(1, x), make_store(2, axis(1), x)}),
      make_loop(3, size(c - 1), LoopKind::Serial, {{2, kF32, Combine::Prod, {}, {4}}},
                {make_loop(2, constant_int(4), LoopKind::Unrolled, {},
                           {make_assign(2, acc(1, kF32) * acc_at(2, kF32, {axis(2)}), {axis(2)})})}),
      make_if(axis(0) < constant_int(3), {make_store(1, axis(0), acc(1, kF32) + acc_at(2, kF32, {constant_int(3)})),
                                          make_add(1, axis(0), load(2, kF32, axis(0)), axis(0) < size(r))})};
  return k;
}

std::string why_not(const Kernel& k) {
  try {
    verify(k);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Internal);
    return e.what();
  }
  return "";
}

TEST(KernelIr, Text) {
  EXPECT_EQ(sample().str(), R"(kernel sample(in x: f32, out z: f32, scratch room: bf16[C + R*2]; R, C; params 1)
par axis0:
  for axis1 in size(C) vector, acc1 = sum f32(p0):
    acc1 <- load_if0(add(mul(axis0, size(C)), axis1), lt(add(mul(axis0, size(C)), axis1), size(C*R)), 0)
    room[axis1] = load_if0(add(mul(axis0, size(C)), axis1), lt(add(mul(axis0, size(C)), axis1), size(C*R)), 0)
  for axis3 in size(C - 1) serial, acc2[4] = prod f32:
    for axis2 in 4 unrolled:
      acc2[axis2] := mul(acc1, acc2(axis2))
  if lt(axis0, 3):
    z[axis0] = add(acc1, acc2(3))
    z[axis0] += load2(axis0) where lt(axis0, size(R))
)");
}

TEST(KernelIr, NeutralElements) {
  EXPECT_EQ(neutral(Combine::Sum, DType::I32), constant_int(0, DType::I32));
  EXPECT_EQ(neutral(Combine::Prod, kF32), constant(1.0, kF32));
  EXPECT_EQ(neutral(Combine::Min, DType::U8), constant_int(255, DType::U8));
  EXPECT_EQ(neutral(Combine::Max, DType::I64)->ivalue, INT64_MIN);
  EXPECT_EQ(neutral(Combine::Max, DType::F64)->f, -std::numeric_limits<double>::infinity());
  EXPECT_EQ(neutral(Combine::And, DType::Bool), constant_bool(true));
  EXPECT_EQ(neutral(Combine::And, DType::U16), constant_int(65535, DType::U16));
  EXPECT_EQ(neutral(Combine::Or, DType::Bool), constant_bool(false));
  EXPECT_THROW(neutral(Combine::Max, DType::C64), Error);
}

TEST(KernelIr, FoldsLanesWhereAVectorLoopUpdates) {
  const Kernel k = sample();
  EXPECT_TRUE(folds_lanes(k.body[0], 1));
  EXPECT_FALSE(folds_lanes(k.body[1], 2));
  const Stmt around = make_loop(9, constant_int(2), LoopKind::Serial, {}, {k.body[0]});
  EXPECT_TRUE(folds_lanes(around, 1));
}

TEST(KernelIr, TheSampleKeepsTheRules) { EXPECT_EQ(why_not(sample()), ""); }

/// A rule, and a change to the sample that breaks it.
struct Breach {
  const char* rule;
  std::function<void(Kernel&)> change;
};

TEST(KernelIr, EveryRuleIsChecked) {
  const Expr i = axis(0), x = load(0, kF32, i), one = constant(1.0, kF32);
  const std::vector<Breach> breaches = {
      {"is not a C identifier", [](Kernel& k) { k.name = "a-b"; }},
      {"an In buffer is not written", [&](Kernel& k) { k.body = {make_store(0, i, x)}; }},
      {"the buffer exists", [&](Kernel& k) { k.body = {make_store(7, i, x)}; }},
      {"a stored value has its buffer's type", [&](Kernel& k) { k.body = {make_store(1, i, cast(x, DType::F64))}; }},
      {"an index is i64", [&](Kernel& k) { k.body = {make_store(1, cast(i, DType::I32), x)}; }},
      {"a Load has its buffer's type",
       [&](Kernel& k) { k.body = {make_store(1, i, cast(load(0, DType::I32, i), kF32))}; }},
      {"is not a loop around it", [&](Kernel& k) { k.body = {make_store(1, axis(5), x)}; }},
      {"is not declared here", [&](Kernel& k) { k.body = {make_update(5, x)}; }},
      {"is not declared here", [&](Kernel& k) { k.body = {make_store(1, i, acc(1, kF32))}; }},
      {"a loop's axis is its own",
       [&](Kernel& k) { k.body = {make_loop(0, constant_int(2), LoopKind::Serial, {}, {})}; }},
      {"a loop's extent is an i64 expression", [&](Kernel& k) { k.body[0].extent = one; }},
      {"only one Vector loop may be active", [](Kernel& k) { k.vector_par = true; }},
      {"an Unrolled loop has a constant extent",
       [&](Kernel& k) { k.body = {make_loop(1, i, LoopKind::Unrolled, {}, {})}; }},
      {"a loop's extent is the same for all lanes",
       [&](Kernel& k) {
         k.vector_par = true;
         k.body = {make_loop(1, i, LoopKind::Serial, {}, {})};
       }},
      {"an If's predicate is the same for all lanes",
       [&](Kernel& k) { k.body[0].body = {make_if(axis(1) < constant_int(1), {})}; }},
      {"an accumulator is declared once", [](Kernel& k) { k.body[1].accs[0].id = 1; }},
      {"an accumulator is not f16 or bf16", [](Kernel& k) { k.body[0].accs[0].dtype = DType::F16; }},
      {"a bool accumulator combines with or, and", [](Kernel& k) { k.body[0].accs[0].dtype = DType::Bool; }},
      {"or, and combine bool and integers", [](Kernel& k) { k.body[0].accs[0].combine = Combine::Or; }},
      {"an accumulator's init has its type", [](Kernel& k) { k.body[0].accs[0].init = constant_int(1); }},
      {"a value has its accumulator's type", [&](Kernel& k) { k.body[0].body = {make_update(1, i)}; }},
      {"one index per extent", [&](Kernel& k) { k.body[1].body = {make_update(2, one)}; }},
      {"at most 1024 elements", [](Kernel& k) { k.body[1].accs[0].tile = {64, 64}; }},
      {"made of constants and Unrolled axes", [&](Kernel& k) { k.body[1].body = {make_update(2, one, {axis(3)})}; }},
      {"is used inside the Vector loop or after its own",
       [&](Kernel& k) {
         const Stmt inner = make_loop(4, i, LoopKind::Vector, {}, {make_update(8, one)});
         k.body = {make_loop(3, i, LoopKind::Serial, {{8, kF32, Combine::Sum, {}}}, {inner, make_update(8, one)})};
       }},
      {"the Param exists", [](Kernel& k) { k.params = 0; }},
      {"is not among the kernel's sizes", [](Kernel& k) { k.sizes.pop_back(); }},
      {"an Input or At belongs to definitions", [&](Kernel& k) { k.body = {make_store(1, i, input(0, kF32))}; }},
      {"a predicate is bool", [&](Kernel& k) { k.body = {make_store(1, i, x, i)}; }},
  };
  for (const Breach& b : breaches) {
    Kernel k = sample();
    b.change(k);
    EXPECT_NE(why_not(k).find(b.rule), std::string::npos) << "wanted: " << b.rule << "\ngot: " << why_not(k);
  }
}

TEST(KernelIr, AnErrorShowsTheStatement) {
  Kernel k = sample();
  k.body[0].body = {make_store(0, axis(1), constant(1.0, kF32))};
  EXPECT_NE(why_not(k).find("x[axis1] = 1"), std::string::npos) << why_not(k);
}

TEST(KernelBytes, RoundTrip) {
  const Kernel k = sample();
  const std::string bytes = serialize(k);
  const Kernel back = deserialize(bytes);
  EXPECT_EQ(back.str(), k.str());
  EXPECT_EQ(serialize(back), bytes);
  EXPECT_EQ(back.body[0].body[0].value, k.body[0].body[0].value);  // the very same nodes
  EXPECT_EQ(back.buffers[2].scratch_size.raw(), k.buffers[2].scratch_size.raw());
}

TEST(KernelBytes, DamagedBytesAreAValueErrorOrAnotherKernel) {
  const std::string bytes = serialize(sample());
  int refused = 0;
  const auto try_bytes = [&](const std::string& b) {
    Kernel k;
    try {
      k = deserialize(b);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::Value) << e.what();
      ++refused;
      return;
    }
    why_not(k);  // whatever it is, verify() gets through it
  };
  for (size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_THROW(deserialize(std::string_view(bytes).substr(0, n)), Error) << n;
    for (int flip : {1, 2, 4, 8, 16, 32, 64, 128, 255}) {
      std::string changed = bytes;
      changed[n] = static_cast<char>(changed[n] ^ flip);
      try_bytes(changed);
    }
  }
  EXPECT_GT(refused, static_cast<int>(bytes.size()) / 2);
  EXPECT_THROW(deserialize(bytes + '\0'), Error);
}

TEST(KernelBytes, DeepNestingIsRefused) {
  Kernel k = sample();
  Block body = k.body;
  for (int i = 0; i < 100; ++i) body = {make_if(axis(0) < constant_int(i), std::move(body))};
  k.body = std::move(body);
  EXPECT_THROW(deserialize(serialize(k)), Error);
}

}  // namespace
}  // namespace thixo
