// The kernel pack: its tables, its size, and that every op finds its kernels.
#include "codegen/pack.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "codegen/nest_form.h"
#include "codegen/pack_builder.h"
#include "codegen/pointwise_kernels.h"
#include "codegen/sample_calls.h"
#include "codegen/target.h"

namespace thixo::codegen {
namespace {

TEST(Pack, TablesAreSortedAndChosenByTheProcessor) {
  ASSERT_NE(active_pack(), nullptr);
  EXPECT_TRUE(host_runs(active_pack()->isa));
  for (size_t i = 0; i < kPackTableCount; ++i) {
    const PackTable& t = *kPackTables[i];
    EXPECT_GT(t.count, 1000u) << t.isa;
    EXPECT_TRUE(std::is_sorted(t.entries, t.entries + t.count,
                               [](const PackEntry& a, const PackEntry& b) { return a.hash < b.hash; }));
  }
}

TEST(Pack, FindsByKey) {
  EXPECT_NE(find_kernel("add.f32.cc"), nullptr);
  EXPECT_NE(find_kernel("gelu/approximate=tanh.f64.s"), nullptr);
  EXPECT_NE(find_kernel("cast.bf16.f32.c"), nullptr);
  EXPECT_EQ(find_kernel("add.f32.xx"), nullptr);
}

// Deterministic mode: only contractions, which have kernels of their own for it, may lack a twin without fma.
TEST(Pack, EveryKernelHasATwinWithoutFma) {
  if (!has_fma(active_pack()->isa)) GTEST_SKIP() << active_pack()->isa << " has no fma";
  const KernelFn exp = find_kernel("exp.f32.c");
  ASSERT_NE(exp, nullptr);
  EXPECT_NE(without_fma(exp), exp);
  EXPECT_EQ(without_fma(without_fma(exp)), without_fma(exp));
  const PackTable& t = *active_pack();
  int64_t without = 0;
  for (const PackEntry& e : std::span(t.entries, t.count)) without += without_fma(e.kernel) == e.kernel;
  EXPECT_LE(without, 16);
  detail::g_deterministic = true;
  EXPECT_EQ(in_mode(exp), without_fma(exp));
  detail::g_deterministic = false;
  EXPECT_EQ(in_mode(exp), exp);
}

// The code of one instruction set, from the first function of its table to the last.
TEST(Pack, FitsItsBudget) {
  for (size_t i = 0; i < kPackTableCount; ++i) {
    const PackTable& t = *kPackTables[i];
    auto low = ~uintptr_t{0}, high = uintptr_t{0};
    for (uint64_t k = 0; k < t.count; ++k) {
      const auto at = reinterpret_cast<uintptr_t>(t.entries[k].kernel);
      low = std::min(low, at);
      high = std::max(high, at);
    }
    EXPECT_LT(high - low, uintptr_t{12} << 20) << t.isa;
  }
}

TEST(Pack, HoldsEveryPointwiseOp) {
  for (const OpDef& op : all_ops()) {
    if (op.tier != Tier::Pointwise) continue;
    for_each_sample_call(op, [&](const Call& call, std::span<const Spec>) {
      const int variant = variant_of(op, call.attrs);
      const PointwiseForm form = pointwise_form(op, pointwise_type(call), variant_attrs(op, variant, 2.5));
      for (const std::string& pattern : pointwise_patterns(form.in.size())) {
        const std::string key = pointwise_key(op, variant, form.type, pattern);
        EXPECT_NE(find_kernel(key), nullptr) << key;
      }
    });
  }
}

Kernel store_kernel(double value) {
  Kernel k;
  k.buffers = {{"out", DType::F32, BufferKind::Out, {}}};
  k.vector_par = true;
  k.body = {make_store(0, axis(0), constant(value, DType::F32))};
  return k;
}

TEST(PackSink, EqualKernelsAreStoredOnce) {
  PackSink sink;
  EXPECT_THROW(sink.add("a", store_kernel(1)), Error);
  sink.group("g");
  sink.add("a", store_kernel(1));
  sink.add("b", store_kernel(1));
  sink.add("c", store_kernel(2));
  ASSERT_EQ(sink.groups().size(), 1u);
  EXPECT_EQ(sink.groups()[0].kernels.size(), 2u);
  EXPECT_EQ(sink.keys()[0].second, sink.keys()[1].second);
  EXPECT_NE(sink.keys()[0].second, sink.keys()[2].second);
}

TEST(ContentKey, DoesNotDependOnTheName) {
  Kernel a = store_kernel(1), b = store_kernel(1);
  b.name = "other";
  EXPECT_EQ(content_key(a), content_key(b));
  EXPECT_NE(content_key(a), content_key(store_kernel(2)));
}

// Forms of nests: ranks and dims that differ only in merged axes are one kernel.
TEST(NestForm, MergesAxes) {
  const OpDef& op = *find_op("index_select");
  auto key = [&](const Shape& shape, int dim) {
    const Tensor in[] = {Tensor(new_abstract(shape, DType::F32)), Tensor(new_abstract({4}, DType::I64))};
    const Attr attrs[] = {Dim(dim)};
    const Call call{&op, in, attrs, {}};
    const SmallVec<Spec, 2> specs = infer(call);
    const std::optional<NestForm> form = nest_form(call, {specs.data(), specs.size()});
    EXPECT_TRUE(form->moved);
    return content_key(nest_kernel(*form, form->mergeable, true).kernel);
  };
  EXPECT_EQ(key({5, 6}, 0), key({5, 6, 7, 8}, 0));
  EXPECT_EQ(key({2, 5, 6}, 1), key({2, 3, 5, 6, 7}, 2));
  EXPECT_EQ(key({5, 6}, 1), key({5, 6, 7}, 2));
  EXPECT_NE(key({5, 6}, 0), key({5, 6}, 1));
}

}  // namespace
}  // namespace thixo::codegen
