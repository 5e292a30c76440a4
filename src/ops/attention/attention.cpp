// Scaled dot-product attention. Scores are never kept: the result and one number a row (the logarithm of its sum of
// exponentials) are enough for the gradient, which computes the probabilities again.
#include <cmath>
#include <limits>

#include "ir/dispatch.h"
#include "ops/batching.h"
#include "ops/contract/contract.h"
#include "ops/reduce/reduce.h"
#include "private_ops.h"

namespace thixo::ops {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void check_attention(const Call& c) {
  const char* names[] = {"query", "key", "value"};
  for (int k = 0; k < 3; ++k) {
    if (c.rank(k) >= 2) continue;
    throw c.error(ErrorKind::Shape, std::string(names[k]) + " has " + std::to_string(c.rank(k)) + " dims")
        .need("[..., length, features]");
  }
  auto last = [&](int k, int back) { return c.shape(k)[static_cast<size_t>(c.rank(k) - back)]; };
  if (!(last(0, 1) == last(1, 1))) {
    throw c.error(ErrorKind::Shape, "query has " + last(0, 1).str() + " features but key has " + last(1, 1).str())
        .need("query.shape[-1] == key.shape[-1]");
  }
  if (!(last(1, 2) == last(2, 2))) {
    throw c.error(ErrorKind::Shape, "key has " + last(1, 2).str() + " places but value has " + last(2, 2).str())
        .need("key.shape[-2] == value.shape[-2]");
  }
  for (int k = 1; k < 3; ++k) {
    if (c.dtype(k) == c.dtype(0)) continue;
    throw c.error(ErrorKind::DType, std::string(names[k]) + " is " + std::string(dtype_name(c.dtype(k))) +
                                        " but query is " + std::string(dtype_name(c.dtype(0))));
  }
}

/// The leading dims that several tensors have together; `keep` dims at the end are left out.
Shape common_lead(const Call& c, size_t keep) {
  Shape lead;
  for (size_t k = 0; k < 4 && k < c.in.size(); ++k) {
    if (!c.in[k].defined() || c.in[k].shape().size() < keep) continue;
    const Shape& s = c.in[k].shape();
    lead = broadcast_shapes(lead, Shape(std::span(s.data(), s.size() - keep)), "scaled_dot_product_attention");
  }
  return lead;
}

Tensor with_lead(const Tensor& t, const Shape& lead) {
  Shape s = lead;
  s.push_back(t.shape()[t.shape().size() - 2]);
  s.push_back(t.shape()[t.shape().size() - 1]);
  return t.shape() == s ? t : t.expand(s);
}

/// What is added to the scores: 0 and -inf for a mask of bools; the lower triangle alone when causal. Undefined:
/// nothing.
Tensor added(const Tensor& mask, bool causal, Dim rows, Dim columns, DType t) {
  Tensor bias;
  if (mask.defined())
    bias = mask.dtype() == DType::Bool ? where(mask, Scalar(0.0), Scalar(-kInfinity)).to(t) : mask.to(t);
  if (!causal) return bias;
  Tensor lower = tril(ones(Shape{rows, columns}, {.dtype = DType::Bool}));
  Tensor triangle = where(lower, Scalar(0.0), Scalar(-kInfinity)).to(t);
  return bias.defined() ? bias + triangle : triangle;
}

/// Scores with their mask, in the compute type.
Tensor scores(const Tensor& q, const Tensor& k, const Tensor& mask, bool causal, double scale) {
  Tensor s = widened(matmul(q, k.transpose(-2, -1))) * scale;
  Tensor bias = added(mask, causal, q.shape()[q.shape().size() - 2], k.shape()[k.shape().size() - 2], s.dtype());
  return bias.defined() ? s + bias : s;
}

/// Rows in which everything is masked give zeros, not nan: their maximum counts as 0 and their sum as 1.
struct Rows {
  Tensor probabilities, lse;
};
Rows softmax_rows(const Tensor& s) {
  Tensor most = s.amax(-1, true);
  most = where(eq(most, Scalar(-kInfinity)), Scalar(0.0), most).to(s.dtype());
  Tensor e = exp(s - most), sum = e.sum(-1, true);
  sum = where(eq(sum, Scalar(0.0)), Scalar(1.0), sum).to(s.dtype());
  return {e / sum, (log(sum) + most).squeeze(-1)};
}

Values attention_by_scores(const Call& c) {
  const Rows r = softmax_rows(scores(c.in[0], c.in[1], c.in[3], c.flag("is_causal"), c.number("scale")));
  return {matmul(r.probabilities.to(c.dtype(0)), c.in[2]), r.lse};
}

/// The gradients by whole matrices of scores: for the mask's, and for gradients of gradients.
void gradients_by_scores(GradCtx& c, Values& out) {
  const Call& call = c.call();
  const double scale = call.number("scale");
  const Tensor q = c.in(0), k = c.in(1), v = c.in(2), mask = call.has(3) ? c.in(3) : Tensor(), g = c.g();
  Tensor p = softmax_rows(scores(q, k, mask, call.flag("is_causal"), scale)).probabilities;
  if (c.needs(2)) out[2] = matmul(p.to(g.dtype()).transpose(-2, -1), g);
  Tensor dp = widened(matmul(g, v.transpose(-2, -1))), ds = p * (dp - (dp * p).sum(-1, true));
  Tensor scaled = (ds * scale).to(q.dtype());
  if (c.needs(0)) out[0] = matmul(scaled, k);
  if (c.needs(1)) out[1] = matmul(scaled.transpose(-2, -1), q);
  if (call.has(3) && c.needs(3)) out[3] = sum_to(ds, mask.shape()).to(mask.dtype());
}

std::vector<Sample> attention_samples(bool open) {
  std::vector<Sample> out;
  auto add = [&](Shape q, Shape k, Shape v, std::optional<Shape> mask, std::optional<DType> mask_type, bool causal,
                 std::string bad = {}) {
    Sample& s = out.emplace_back();
    s.in.resize(4);
    s.in[0].shape = std::move(q);
    s.in[1].shape = std::move(k);
    s.in[2].shape = std::move(v);
    s.in[3].absent = !mask;
    if (mask) s.in[3].shape = *mask;
    s.in[3].dtype = mask_type;
    if (mask_type == DType::Bool) s.in[3].values = {1, 0, 1, 1, 0};
    s.attrs = {{"is_causal", causal}};
    if (!open) s.attrs.emplace_back("scale", Attr(0.5));
    s.bad = std::move(bad);
  };
  add({2, 3, 5, 4}, {2, 3, 7, 4}, {2, 3, 7, 6}, {}, {}, false);
  add({2, 3, 6, 4}, {2, 3, 6, 4}, {2, 3, 6, 4}, {}, {}, true);
  add({2, 5, 8}, {2, 9, 8}, {2, 9, 8}, Shape{5, 9}, DType::Bool, false);
  add({2, 3, 5, 4}, {2, 3, 7, 4}, {2, 3, 7, 4}, Shape{3, 5, 7}, {}, false);
  add({2, 2, 2}, {2, 3, 2}, {2, 3, 1}, {}, {}, true);
  if (!open) return out;
  add({70, 16}, {90, 16}, {90, 16}, {}, {}, true);
  add({2, 5, 8}, {9, 8}, {1, 9, 8}, {}, {}, false);
  add({2, 5, 8}, {2, 5, 7}, {2, 5, 8}, {}, {}, false, "query has 8 features but key has 7");
  add({2, 5, 8}, {2, 6, 8}, {2, 5, 8}, {}, {}, false, "key has 6 places but value has 5");
  add({8}, {8}, {8}, {}, {}, false, "query has 1 dims");
  add({5, 8}, {5, 8}, {5, 8}, {}, {}, false, "key is int64 but query is");
  out.back().in[1].dtype = DType::I64;
  add({5, 8}, {5, 8}, {5, 8}, {}, {}, false, "value is float32 but query is float64");
  out.back().in[2].dtype = DType::F32;
  out.back().in[0].dtype = out.back().in[1].dtype = DType::F64;
  return out;
}

}  // namespace

void def_scaled_dot_product_attention(Op& op) {
  op.schema(
        "scaled_dot_product_attention(query: Float, key: Float, value: Float, attn_mask: Tensor?, dropout_p: float = "
        "0, "
        "is_causal: bool = false, *, scale: float? = None) -> Float @nn")
      .doc(
          "softmax(query @ key^T * scale + mask) @ value; scale is 1 / sqrt(features) when None; a mask of bools says "
          "what takes part, one of floats is added; a row in which nothing takes part gives zeros.")
      .source(
          "Vaswani et al. 2017, https://arxiv.org/abs/1706.03762; Dao et al. 2022, https://arxiv.org/abs/2205.14135")
      .example(
          ">>> x = thixo.ones(1, 2, 2)\n>>> thixo.nn.functional.scaled_dot_product_attention(x, x, x)\ntensor([[[1., "
          "1.], "
          "[1., 1.]]])")
      .compose([](const Call& c) {
        check_attention(c);
        const double features = static_cast<double>(c.shape(0)[static_cast<size_t>(c.rank(0)) - 1].value());
        const double scale = c.none("scale") ? 1 / std::sqrt(std::max(features, 1.0)) : c.number("scale");
        const Shape lead = common_lead(c, 2);
        Tensor q = with_lead(c.in[0], lead), k = with_lead(c.in[1], lead), v = with_lead(c.in[2], lead);
        const double p = c.number("dropout_p");
        if (p == 0) return Values{attention(q, k, v, c.in[3], c.flag("is_causal"), scale)};
        Tensor kept = dropout(softmax_rows(scores(q, k, c.in[3], c.flag("is_causal"), scale)).probabilities, p);
        return Values{matmul(kept.to(q.dtype()), v)};
      })
      .samples([] { return attention_samples(true); });
}

void def_attention(Op& op) {
  op.schema(
        "attention(query: Float, key: Float, value: Float, mask: Tensor?, is_causal: bool, scale: float) -> (out: "
        "Float, "
        "_lse: Float) @private")
      .doc("scaled_dot_product_attention of operands with equal leading dims, and each row's log-sum of exponentials.")
      .infer([](Infer& c) {
        Shape out = c.shape(0), lse = c.shape(0);
        out[out.size() - 1] = c.shape(2)[static_cast<size_t>(c.rank(2)) - 1];
        lse.pop_back();
        c.result(c.dtype(0), std::move(out));
        c.result(compute_type(c.dtype(0)), std::move(lse));
      })
      .compose(attention_by_scores)
      .kernel("attention")
      .grad([](GradCtx& c) {
        Values out(4);
        const Call& k = c.call();
        if (dispatch_state().grad_enabled || (k.has(3) && c.needs(3))) {
          gradients_by_scores(c, out);
          return out;
        }
        auto [dq, dk, dv] = attention_backward(c.g(), c.in(0), c.in(1), c.in(2), c.out(0), c.out(1),
                                               k.has(3) ? c.in(3) : Tensor(), k.flag("is_causal"), k.number("scale"));
        out[0] = dq;
        out[1] = dk;
        out[2] = dv;
        return out;
      })
      .ulps(64, 64)
      .samples([] { return attention_samples(false); });
}

void def_attention_backward(Op& op) {
  op.schema(
        "attention_backward(g: Float, query: Float, key: Float, value: Float, out: Float, lse: Float, mask: Tensor?, "
        "is_causal: bool, scale: float) -> (query_grad: Float, key_grad: Float, value_grad: Float) @private")
      .doc("The gradients of attention: probabilities are computed again from the scores and lse.")
      .infer([](Infer& c) {
        for (int k = 1; k < 4; ++k) c.result(c.dtype(k), c.shape(k));
      })
      .compose([](const Call& c) {
        const Tensor &g = c.in[0], &q = c.in[1], &k = c.in[2], &v = c.in[3];
        const double scale = c.number("scale");
        Tensor p = exp(scores(q, k, c.in[6], c.flag("is_causal"), scale) - c.in[5].unsqueeze(-1));
        Tensor share = (widened(g) * widened(c.in[4])).sum(-1, true);
        Tensor ds = (p * (widened(matmul(g, v.transpose(-2, -1))) - share) * scale).to(q.dtype());
        return Values{matmul(ds, k), matmul(ds.transpose(-2, -1), q), matmul(p.to(g.dtype()).transpose(-2, -1), g)};
      })
      .kernel("attention_backward")
      .no_grad()
      .ulps(256, 256)
      .samples([] {
        // lse well above every score, so that the probabilities stay in range whatever the values are.
        auto call = [](Shape q, Shape k, bool causal) {
          Shape lse = q;
          lse.pop_back();
          Sample s{{{q}, {q}, {k}, {k}, {q}, {lse, 9, 11}, {}}, {{"is_causal", causal}, {"scale", Attr(0.2)}}, {}};
          s.in[6].absent = true;
          return s;
        };
        return std::vector<Sample>{call({2, 5, 4}, {2, 7, 4}, false), call({2, 2, 6, 4}, {2, 2, 6, 4}, true)};
      });
}

}  // namespace thixo::ops
