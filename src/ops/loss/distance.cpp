// Losses that compare elements: their mean, sum, or all of them. Long ones are added up row by row in the kernel that
// compares (loss_rows), so that nothing as large as the operands is written.
#include "ops/reduce/reduce.h"
#include "private_ops.h"

namespace thixo::ops {
namespace {

Tensor compared(const std::string& by, const Tensor& x, const Tensor& t) {
  if (by == "squares") return square(x - t);
  if (by == "distances") return abs(x - t);
  return (1 - t) * x - logsigmoid(x);
}

Tensor reduced(const Call& c, const Tensor& loss) {
  const std::string& reduction = c.text("reduction");
  Tensor out = reduction == "none" ? loss : reduction == "sum" ? loss.sum() : loss.mean();
  return out.to(promote_types(c.dtype(0), c.dtype(1)));
}

/// x in rows worth a kernel that adds them up; undefined when there are none.
Tensor in_rows(const Tensor& x) {
  constexpr int64_t kLong = 1 << 14, kLeast = 64, kMost = 1 << 14;
  const Dim n = x.numel();
  if (n.is_symbolic() || n.value() < kLong) return {};
  const Dim last = x.shape()[x.shape().size() - 1];
  if (x.dim() > 1 && last >= kLeast && last <= kMost) return x;
  const int64_t piece = std::min<int64_t>(n.value() & -n.value(), 1 << 12);  // a power of two that divides n
  return piece < kLeast ? Tensor() : x.reshape({-1, piece});
}

Values loss(const Call& c, const std::string& by) {
  const std::string& reduction = c.text("reduction");
  if (reduction != "none" && c.shape(0) == c.shape(1)) {
    if (const Tensor x = in_rows(c.in[0]); x.defined()) {
      Tensor total = loss_rows(x, in_rows(c.in[1]), by).sum();
      if (reduction == "mean") total = total / static_cast<double>(c.in[0].numel().value());
      return {total.to(promote_types(c.dtype(0), c.dtype(1)))};
    }
  }
  return {reduced(c, compared(by, widened(c.in[0]), widened(c.in[1])))};
}

std::vector<Sample> loss_samples() {
  auto with = [](const char* reduction) {
    return std::vector<std::pair<std::string, Attr>>{{"reduction", std::string(reduction)}};
  };
  return {{.in = {{{3, 4}}, {{3, 4}}}, .attrs = with("mean")},
          {.in = {{{3, 4}}, {{4}}}, .attrs = with("sum")},
          {.in = {{{3}}, {{3}}}, .attrs = with("none")},
          {.in = {{{}}, {{}}}, .attrs = with("mean")},
          {.in = {{{192, 100}}, {{192, 100}}}, .attrs = with("mean")},
          {.in = {{{3 << 13}}, {{3 << 13}}}, .attrs = with("sum")},
          {.in = {{{3}}, {{4}}}, .attrs = with("mean"), .bad = "do not broadcast"}};
}

std::vector<Sample> row_samples() {
  std::vector<Sample> all;
  for (const char* by : {"squares", "distances", "logits"}) {
    all.push_back({.in = {{{3, 5}}, {.shape = {3, 5}, .low = 0, .high = 1}}, .attrs = {{"by", std::string(by)}}});
  }
  return all;
}

}  // namespace

void def_mse_loss(Op& op) {
  op.schema("mse_loss(input: Float, target: Float, *, reduction: none|mean|sum = mean) -> Float @nn")
      .doc("(input - target)^2: the mean, the sum, or all.")
      .example(">>> thixo.nn.functional.mse_loss(thixo.tensor([1., 3.]), thixo.tensor([1., 1.]))\ntensor(2.)")
      .compose([](const Call& c) { return loss(c, "squares"); })
      .samples(loss_samples);
}

void def_l1_loss(Op& op) {
  op.schema("l1_loss(input: Float, target: Float, *, reduction: none|mean|sum = mean) -> Float @nn")
      .doc("|input - target|: the mean, the sum, or all.")
      .example(">>> thixo.nn.functional.l1_loss(thixo.tensor([1., 3.]), thixo.tensor([1., 1.]))\ntensor(1.)")
      .compose([](const Call& c) { return loss(c, "distances"); })
      .samples(loss_samples);
}

void def_binary_cross_entropy_with_logits(Op& op) {
  op.schema(
        "binary_cross_entropy_with_logits(input: Float, target: Float, weight: Float?, pos_weight: Float?, *, "
        "reduction: none|mean|sum = mean) -> Float @nn")
      .doc(
          "-(p * t * log(sigmoid(x)) + (1 - t) * log(1 - sigmoid(x))) * weight without overflow, p being pos_weight: "
          "the mean, the sum, or all.")
      .example(
          ">>> thixo.nn.functional.binary_cross_entropy_with_logits(thixo.tensor([0.]), "
          "thixo.tensor([1.]))\ntensor(0.6931)")
      .compose([](const Call& c) {
        if (!(c.shape(0) == c.shape(1))) {
          throw c.error(ErrorKind::Shape,
                        "target has shape " + shape_str(c.shape(1)) + " but input has " + shape_str(c.shape(0)));
        }
        if (!c.has(2) && !c.has(3)) return loss(c, "logits");
        Tensor x = widened(c.in[0]), t = widened(c.in[1]), soft = logsigmoid(x);
        if (c.has(3)) soft = soft * (t * (widened(c.in[3]) - 1) + 1);
        Tensor each = (1 - t) * x - soft;
        if (c.has(2)) each = each * widened(c.in[2]);
        return Values{reduced(c, each)};
      })
      .samples([] {
        auto with = [](const char* reduction) {
          return std::vector<std::pair<std::string, Attr>>{{"reduction", std::string(reduction)}};
        };
        SampleTensor share{.shape = {3, 4}, .low = 0, .high = 1}, none{.absent = true};
        return std::vector<Sample>{
            {.in = {{{3, 4}}, share, none, none}, .attrs = with("mean")},
            {.in = {{{3, 4}}, share, {.shape = {4}, .low = 0.5, .high = 2}, {.shape = {4}, .low = 0.5, .high = 2}},
             .attrs = with("none")},
            {.in = {{.shape = {3, 4}, .low = -400, .high = 400}, share, none, none}, .attrs = with("sum")},
            {.in = {{{200, 100}}, {.shape = {200, 100}, .low = 0, .high = 1}, none, none}, .attrs = with("mean")},
            {.in = {{{3}}, {{3, 1}}, none, none},
             .attrs = with("mean"),
             .bad = "target has shape [3, 1] but input has [3]"}};
      });
}

void def_loss_rows(Op& op) {
  op.schema("loss_rows(input: Float, target: Float, by: squares|distances|logits) -> Float @private")
      .doc(
          "The sum over the last dim of what mse_loss, l1_loss or binary_cross_entropy_with_logits says of an element.")
      .fused_rows()
      .compose([](const Call& c) { return Values{compared(c.text("by"), widened(c.in[0]), widened(c.in[1])).sum(-1)}; })
      .grad([](GradCtx& c) {
        const std::string& by = c.call().text("by");
        const bool logits = by == "logits";
        Values out(2);
        if (c.needs(0) || !logits) out[0] = loss_rows_backward(c.g(), c.in(0), c.in(1), by);
        if (c.needs(1)) {
          Tensor g = logits ? widened(c.in(0)) * (-c.g()).unsqueeze(-1) : -out[0];
          out[1] = g.to(c.call().dtype(1));
        }
        return out;
      })
      .samples(row_samples);
}

void def_loss_rows_backward(Op& op) {
  op.schema(
        "loss_rows_backward(grad: Float, input: Float, target: Float, by: squares|distances|logits) -> Float @private")
      .doc("The gradient of loss_rows for its input: grad, one number a row, times the slope at each element.")
      .fused_rows()
      .compose([](const Call& c) {
        const std::string& by = c.text("by");
        Tensor g = widened(c.in[0].unsqueeze(-1)), x = widened(c.in[1]), t = widened(c.in[2]);
        Tensor slope = by == "squares" ? (x - t) * (g * 2) : by == "distances" ? sign(x - t) * g : (sigmoid(x) - t) * g;
        return Values{slope.to(c.dtype(1))};
      })
      .samples([] {
        std::vector<Sample> all = row_samples();
        for (Sample& s : all) s.in.insert(s.in.begin(), {.shape = {3}, .wide = true});
        return all;
      });
}

}  // namespace thixo::ops
