// Compiled programs against eager: every op alone, and random chains of ops with their gradients. A program is recorded
// with one set of values and run with another, so nothing that depends on them may have been frozen.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "backend/reference/reference.h"
#include "cases.h"
#include "ir/front.h"
#include "thixo/autograd.h"
#include "thixo/compile.h"

namespace thixo::conformance {
namespace {

/// Floats in reverse order and half as large; indices, masks and numbers that mean something stay.
Tensor other_values(const Tensor& x) {
  if (!x.defined() || !is_differentiable(x.dtype())) return x;
  Tensor y = copied(x);
  const int64_t n = x.numel().value();
  for (int64_t i = 0; i < n; ++i) reference::write_element(y, i, reference::read_element(x, n - 1 - i) * 0.5L);
  return y;
}

/// The call with the defined operands replaced by `x`, and a new key where it takes one.
Values run(const TestCall& c, const TensorList& x) {
  TestCall now = c;
  size_t next = 0;
  for (Tensor& t : now.in) {
    if (t.defined()) t = x[next++];
  }
  for (size_t a = 0; a < now.attrs.size(); ++a) {
    if (now.op->schema.attrs[a].kind == AttrKind::Rng) now.attrs[a] = draw_key(now.call(), nullptr);
  }
  return dispatch(now.call());
}

TensorList visible(const OpDef& op, const Values& all) {
  size_t n = op.schema.results[0].list ? all.size() : static_cast<size_t>(op.schema.visible_results());
  return TensorList(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n));
}

/// Sums may be blocked in another way when they are fused; everything else has the same bits.
Tolerance compiled_tolerance(const OpDef& op, DType t, const TensorList& in) {
  const bool exact = op.tier == Tier::Pointwise || op.tier == Tier::View || !op.differentiable;
  return exact ? Tolerance{} : tolerance_of(op, t, in);
}

class Compiled : public ::testing::TestWithParam<int> {
 protected:
  const OpDef& op() const { return op_by_id(GetParam()); }
};

TEST_P(Compiled, Alone) {
  for (TestCall& c : good_calls(op())) {
    SCOPED_TRACE(c.str());
    TensorList first, second;
    for (const Tensor& x : c.in) {
      if (!x.defined()) continue;
      first.push_back(x);
      second.push_back(other_values(x));
    }
    try {
      thixo::Compiled f = compile([&](const TensorList& x) { return visible(op(), run(c, x)); });
      f(first);
      manual_seed(7);
      TensorList want = visible(op(), run(c, second));
      manual_seed(7);
      TensorList got = f(second);
      ASSERT_EQ(f.function().recordings(), 1u);
      ASSERT_EQ(got.size(), want.size());
      for (size_t r = 0; r < got.size(); ++r) {
        EXPECT_EQ(got[r].dtype(), want[r].dtype());
        EXPECT_EQ(difference(got[r], want[r], compiled_tolerance(op(), got[r].dtype(), c.in)), "") << "result " << r;
      }
    } catch (const Error& e) {
      // What an op makes may depend on values: those it says it cannot do.
      if (e.kind() == ErrorKind::NotImplemented && std::string(e.what()).starts_with("NotImplementedError: compile:"))
        continue;
      ADD_FAILURE() << e.what();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, Compiled, ::testing::Range(0, static_cast<int>(all_ops().size())), [](const auto& p) {
  const OpDef& op = op_by_id(p.param);
  return op.name() + (op.schema.overload.empty() ? "" : "_" + op.schema.overload);
});

// ---- chains

/// One step of a chain: the op, its operands besides the first, and whether it is done in place.
struct Link {
  TestCall call;
  bool in_place = false;
};

/// Ops that take one float tensor to another, so that they can stand anywhere in a chain.
bool is_link(const OpDef& op) {
  return !op.schema.operands.empty() && !op.schema.operands[0].list && !op.schema.operands[0].optional &&
         !is_random(op) && !op.schema.creation && op.differentiable && !op.schema.results[0].list &&
         op.schema.results[0].kind != TensorKind::Bool && accepts(op.schema.operands[0].kind, DType::F64) &&
         !op.schema.is_private && op.name() != "as_strided";  // it speaks of strides, which programs may choose
}

/// A call of `op` on x made out of one of its samples: operands of the sample's first shape get x's. Undefined when
/// none of a few fits.
std::optional<Link> link_to(const OpDef& op, const Tensor& x, std::mt19937& g) {
  const std::vector<Sample> samples = samples_of(op);
  for (int tries = 0; tries < 4; ++tries) {
    Sample s = samples[g() % samples.size()];
    if (!s.bad.empty() || s.in.empty()) continue;
    const Shape before = s.in[0].shape;
    for (SampleTensor& t : s.in) {
      t.values.clear();
      t.low = 0.25;
      t.high = 1.5;
      if (op.tier == Tier::Pointwise || t.shape == before) t.shape = x.shape();
      if (t.dtype) return std::nullopt;  // indices into the sample's own shape
    }
    Link l{make_smooth_call(op, s, x.dtype()), false};
    l.call.in[0] = x;
    try {
      const auto specs = infer(l.call.call());
      if (!is_float(specs[0].dtype) || numel_of(specs[0].shape).value() > 4096) continue;
      l.in_place = op.schema.inplace && specs[0].shape == x.shape() && specs[0].dtype == x.dtype() && g() % 3 == 0;
      return l;
    } catch (const Error&) {
      continue;
    }
  }
  return std::nullopt;
}

struct Chain {
  TensorList extra;  // the operands of all links besides the first ones, as arguments of the program
  std::vector<Link> links;

  std::string str() const {
    std::string s;
    for (const Link& l : links) s += (s.empty() ? "" : " -> ") + l.call.str() + (l.in_place ? " in place" : "");
    return s;
  }

  Tensor operator()(const Tensor& x, const TensorList& args) const {
    Tensor y = x;
    size_t next = 0;
    for (const Link& l : links) {
      TestCall c = l.call;
      c.in[0] = l.in_place ? y.clone() : y;
      for (size_t k = 1; k < c.in.size(); ++k) {
        if (c.in[k].defined()) c.in[k] = args[next++];
      }
      if (l.in_place) {
        y = c.in[0];
        dispatch_inplace(c.call(), y);
      } else {
        y = dispatch(c.call())[0];
      }
    }
    return y;
  }
};

Chain random_chain(std::mt19937& g, const Tensor& x) {
  static const std::vector<const OpDef*> ops = [] {
    std::vector<const OpDef*> out;
    for (const OpDef& op : all_ops()) {
      if (is_link(op)) out.push_back(&op);
    }
    return out;
  }();
  Chain c;
  Tensor y = x;
  const size_t length = 2 + g() % 5;
  while (c.links.size() < length) {
    std::optional<Link> l = link_to(*ops[g() % ops.size()], y, g);
    if (!l) continue;
    Tensor next;
    try {
      next = dispatch(l->call.call())[0];
    } catch (const Error&) {
      continue;  // what infer does not see: memory formats and the like
    }
    if (!next.isfinite().all().item<bool>()) continue;
    for (size_t k = 1; k < l->call.in.size(); ++k) {
      if (l->call.in[k].defined()) c.extra.push_back(l->call.in[k]);
    }
    y = next;
    c.links.push_back(std::move(*l));
  }
  return c;
}

/// The largest error of `got` against `want`, which is of f64.
double worst(const Tensor& got, const Tensor& want) {
  double most = 0;
  const Tensor g = copied(got.contiguous()), w = copied(want.contiguous());
  for (int64_t i = 0; i < g.numel().value(); ++i) {
    auto a = static_cast<double>(reference::read_element(g, i).real());
    auto b = static_cast<double>(reference::read_element(w, i).real());
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    const double apart = std::fabs(a - b);
    most = std::isnan(apart) ? INFINITY : std::max(most, apart);
  }
  return most;
}

double size_of(const Tensor& t) {
  double most = 0;
  const Tensor x = copied(t.contiguous());
  for (int64_t i = 0; i < x.numel().value(); ++i) {
    auto v = std::fabs(static_cast<double>(reference::read_element(x, i).real()));
    if (std::isfinite(v)) most = std::max(most, v);
  }
  return most;
}

/// A chain as a program that gives its value and the gradients of the value's weighted sum.
TensorList value_and_gradients(const Chain& chain, const TensorList& args, bool gradients) {
  const TensorList extra(args.begin() + 1, args.end());
  if (!gradients) return {chain(args[0], extra)};
  TensorList all, leaves;
  for (const Tensor& t : args) {
    all.push_back(is_float(t.dtype()) ? t.detach().requires_grad_() : t);
    if (is_float(t.dtype())) leaves.push_back(all.back());
  }
  Tensor y = chain(all[0], TensorList(all.begin() + 1, all.end()));
  TensorList out = autograd::grad({(y * y).sum()}, leaves, {.materialize_grads = true});
  out.insert(out.begin(), y.detach());
  return out;
}

class CompiledChain : public ::testing::TestWithParam<int> {};

/// Compiled code is as exact as eager: against the same chain in f64, its error is at most a few times eager's.
TEST_P(CompiledChain, IsAsExactAsEager) {
  for (int k = 0; k < 25; ++k) {
    const unsigned seed = static_cast<unsigned>(GetParam() * 1000 + k);
    std::mt19937 g(seed);
    const Shape shapes[] = {{3, 4}, {2, 3, 5}, {40, 24}, {7}, {16, 3, 5, 4}, {16, 16}, {20, 20, 20}};
    const OpDef& add = *find_op("relu");
    Sample start;
    start.in = {{.shape = shapes[g() % std::size(shapes)], .low = 0.25, .high = 1.5}};
    const Tensor x = make_smooth_call(add, start, DType::F32).in[0];
    const bool gradients = g() % 2 == 0;
    const Chain chain = random_chain(g, x);
    SCOPED_TRACE("seed " + std::to_string(seed) + (gradients ? " with gradients: " : ": ") + chain.str());
    TensorList args{x}, second, wide;
    args.insert(args.end(), chain.extra.begin(), chain.extra.end());
    for (const Tensor& t : args) {
      second.push_back(other_values(t));
      wide.push_back(is_float(t.dtype()) ? converted(second.back(), DType::F64) : second.back());
    }
    try {
      thixo::Compiled f = compile([&](const TensorList& a) { return value_and_gradients(chain, a, gradients); });
      f(args);
      const TensorList got = f(second), eager = value_and_gradients(chain, second, gradients);
      const TensorList truth = value_and_gradients(chain, wide, gradients);
      ASSERT_EQ(got.size(), eager.size());
      for (size_t r = 0; r < got.size(); ++r) {
        ASSERT_EQ(shape_str(got[r].shape()), shape_str(eager[r].shape()));
        ASSERT_EQ(got[r].dtype(), eager[r].dtype());
        const double allowed = 8 * worst(eager[r], truth[r]) + 16 * size_of(truth[r]) * 0x1p-24;
        EXPECT_LE(worst(got[r], truth[r]), allowed) << "result " << r << "\n" << f.function().explain(second);
      }
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, CompiledChain, ::testing::Range(0, 16));

}  // namespace
}  // namespace thixo::conformance
