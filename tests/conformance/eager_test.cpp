// Eager against the definitions: every op, dtype and sample; every layout against the contiguous one, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "backend/reference/reference.h"
#include "cases.h"
#include "runtime/eager_nest.h"
#include "thixo/parallel.h"

namespace thixo::conformance {
namespace {

class Eager : public ::testing::TestWithParam<int> {
 protected:
  const OpDef& op() const { return op_by_id(GetParam()); }
};

/// Whether the op, or one that it is composed of, may reduce dims.
bool adds_up(const OpDef& op) {
  return op.tier == Tier::Composite ||
         (op.nest && std::any_of(op.schema.attrs.begin(), op.schema.attrs.end(),
                                 [](const AttrDecl& a) { return a.name == "dim" && a.kind == AttrKind::Dims; }));
}

/// The truth: the definition in f64 where the op works in floats; in its own dtypes otherwise.
Values reference_of(const TestCall& c) {
  reference::Scope scope;
  TestCall wide = c;
  if (in_floats(*c.op)) {
    for (Tensor& x : wide.in) {
      if (!x.defined() || x.record()->wrapped_number) continue;
      if (is_float(x.dtype())) x = converted(x, DType::F64);
      if (x.dtype() == DType::C64) x = converted(x, DType::C128);
    }
  }
  return dispatch(wide.call());
}

/// At the end of the program: eager never compiled, whatever the tests called.
class PackHasAll : public ::testing::Environment {
  void TearDown() override {
    EXPECT_EQ(detail::kernels_compiled_by_eager(), 0u)
        << "the pack lacks kernels: move libthixo_compiler.so away to see";
  }
};
[[maybe_unused]] const auto* const g_pack_has_all = ::testing::AddGlobalTestEnvironment(new PackHasAll);

TEST_P(Eager, AgreesWithTheDefinition) {
  for (TestCall& c : good_calls(op())) {
    SCOPED_TRACE(c.str());
    try {
      Values got = dispatch(c.call()), want = reference_of(c);
      ASSERT_EQ(got.size(), want.size());
      for (size_t r = 0; r < got.size(); ++r) {
        EXPECT_EQ(difference(got[r], want[r], tolerance_of(op(), got[r].dtype(), c.in)), "") << "result " << r;
      }
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
  }
}

/// The first good sample with one operand and an attribute `dim`, and where that is; none for most ops.
std::optional<std::pair<Sample, size_t>> along_a_dim(const OpDef& op) {
  if (op.schema.is_private) return std::nullopt;  // their attributes belong to a shape
  const std::vector<AttrDecl>& attrs = op.schema.attrs;
  const auto dim = std::find_if(attrs.begin(), attrs.end(), [](const AttrDecl& a) { return a.name == "dim"; });
  if (dim == attrs.end() || (dim->kind != AttrKind::Dim && dim->kind != AttrKind::Dims)) return std::nullopt;
  for (const Sample& s : samples_of(op)) {
    if (s.bad.empty() && s.in.size() == 1) return std::pair(s, static_cast<size_t>(dim - attrs.begin()));
  }
  return std::nullopt;
}

// Plans are kept by what they depend on: sizes that are also numbers of dims, in all orders, would show a wrong key.
TEST_P(Eager, AlongEveryDim) {
  const auto found = along_a_dim(op());
  if (!found) return;
  auto [s, at] = *found;
  const DType t = dtypes_of(op())[dtypes_of(op()).size() > 1 ? 1 : 0];
  for (const Shape& shape :
       {Shape{2, 3, 1}, Shape{3, 1, 2}, Shape{1, 2, 3}, Shape{2, 2, 5}, Shape{5, 2}, Shape{2, 5}}) {
    s.in[0] = {.shape = shape, .dtype = s.in[0].dtype, .distinct = true};
    for (int64_t d = -static_cast<int64_t>(shape.size()) - 1; d <= static_cast<int64_t>(shape.size()); ++d) {
      TestCall c = make_call(op(), s, t);
      c.attrs[at] = op().schema.attrs[at].kind == AttrKind::Dim ? Attr(Dim(d)) : Attr(Shape{d});
      SCOPED_TRACE(c.str());
      Values want, got;
      std::string wanted_error, error;
      try {
        want = reference_of(c);
      } catch (const Error& e) {
        wanted_error = e.headline();
      }
      try {
        got = dispatch(c.call());
      } catch (const Error& e) {
        error = e.headline();
      }
      EXPECT_EQ(error, wanted_error);
      for (size_t r = 0; r < std::min(got.size(), want.size()); ++r)
        EXPECT_EQ(difference(got[r], want[r], tolerance_of(op(), got[r].dtype(), c.in)), "") << "result " << r;
    }
  }
}

TEST_P(Eager, SameBitsInEveryLayout) {
  DType t = dtypes_of(op())[dtypes_of(op()).size() > 1 ? 1 : 0];  // f32 where there is a choice
  for (const Sample& s : samples_of(op())) {
    if (!s.bad.empty() || s.in.empty()) continue;
    if (op().name() == "as_strided" || op().name() == "view") continue;  // they speak of strides
    TestCall plain = make_call(op(), s, t);
    SCOPED_TRACE(plain.str());
    try {
      Values want = dispatch(plain.call());
      for (Layout l : kLayouts) {
        TestCall c = plain;
        for (Tensor& x : c.in) x = laid_out(x, l);
        Values got = dispatch(c.call());
        for (size_t r = 0; r < got.size(); ++r) {
          // What is added up in several dims is added up in the order of memory.
          const bool order = l == Layout::Permuted && adds_up(op());
          const bool same =
              order ? difference(got[r], want[r], tolerance_of(op(), t, c.in)).empty() : same_bits(got[r], want[r]);
          EXPECT_TRUE(same) << layout_name(l) << ", result " << r;
        }
      }
      // Expanded operands hold other values, so they are compared with copies of themselves.
      TestCall expanded = plain, dense = plain;
      for (size_t k = 0; k < plain.in.size(); ++k) {
        expanded.in[k] = laid_out(plain.in[k], Layout::Expanded);
        dense.in[k] = copied(expanded.in[k]);
      }
      Values got = dispatch(expanded.call()), same = dispatch(dense.call());
      for (size_t r = 0; r < got.size(); ++r) EXPECT_TRUE(same_bits(got[r], same[r])) << "expanded, result " << r;
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
  }
}

TEST_P(Eager, OutAndInPlaceForms) {
  DType t = dtypes_of(op())[dtypes_of(op()).size() > 1 ? 1 : 0];
  if (op().schema.visible_results() != 1 || op().schema.results[0].list) return;
  for (const Sample& s : samples_of(op())) {
    if (!s.bad.empty()) continue;
    TestCall c = make_call(op(), s, t);
    SCOPED_TRACE(c.str());
    try {
      Tensor want = dispatch(c.call())[0];
      if (!op().schema.is_private && op().tier != Tier::View) {
        Tensor out = empty(want.shape(), {.dtype = want.dtype()});
        dispatch_out(c.call(), std::span<const Tensor>(&out, 1));
        EXPECT_TRUE(same_bits(out, want)) << "out=";
      }
      bool fits = op().schema.inplace && c.in[0].shape() == want.shape() && can_cast(want.dtype(), c.in[0].dtype());
      if (!fits) continue;
      c.in[0] = copied(c.in[0]);
      dispatch_inplace(c.call(), c.in[0]);
      EXPECT_TRUE(same_bits(c.in[0], converted(want, c.in[0].dtype()))) << "in place";
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
  }
}

TEST_P(Eager, SameBitsForAnyThreads) {
  // Larger shapes, so that there is something to share out.
  DType t = dtypes_of(op())[dtypes_of(op()).size() > 1 ? 1 : 0];
  std::vector<Sample> large;
  for (Sample s : samples_of(op())) {
    if (!s.bad.empty() || s.in.empty()) continue;
    if (op().tier == Tier::Pointwise) {
      for (SampleTensor& x : s.in) x.shape = {37, 1013};
    }
    large.push_back(s);
    if (op().tier == Tier::Pointwise) break;
  }
  int before = get_num_threads();
  for (const Sample& s : large) {
    TestCall c = make_call(op(), s, t);
    SCOPED_TRACE(c.str());
    try {
      set_num_threads(1);
      Values want = dispatch(c.call());
      for (int threads : {2, 3, 4}) {
        set_num_threads(threads);
        Values got = dispatch(c.call());
        for (size_t r = 0; r < got.size(); ++r)
          EXPECT_TRUE(same_bits(got[r], want[r])) << threads << " threads, result " << r;
      }
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
  }
  set_num_threads(before);
}

INSTANTIATE_TEST_SUITE_P(Ops, Eager, ::testing::Range(0, static_cast<int>(all_ops().size())), [](const auto& p) {
  const OpDef& op = op_by_id(p.param);
  return op.name() + (op.schema.overload.empty() ? "" : "_" + op.schema.overload);
});

}  // namespace
}  // namespace thixo::conformance
