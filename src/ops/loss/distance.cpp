// Losses that compare elements: their mean, sum, or all of them.
#include "ops/reduce/reduce.h"
#include "private_ops.h"

namespace thixo::ops {
namespace {

Tensor reduced(const Call& c, const Tensor& loss) {
  const std::string& reduction = c.text("reduction");
  Tensor out = reduction == "none" ? loss : reduction == "sum" ? loss.sum() : loss.mean();
  return out.to(promote_types(c.dtype(0), c.dtype(1)));
}

std::vector<Sample> loss_samples() {
  auto with = [](const char* reduction) {
    return std::vector<std::pair<std::string, Attr>>{{"reduction", std::string(reduction)}};
  };
  return {{.in = {{{3, 4}}, {{3, 4}}}, .attrs = with("mean")},
          {.in = {{{3, 4}}, {{4}}}, .attrs = with("sum")},
          {.in = {{{3}}, {{3}}}, .attrs = with("none")},
          {.in = {{{}}, {{}}}, .attrs = with("mean")},
          {.in = {{{3}}, {{4}}}, .attrs = with("mean"), .bad = "do not broadcast"}};
}

}  // namespace

void def_mse_loss(Op& op) {
  op.schema("mse_loss(input: Float, target: Float, *, reduction: none|mean|sum = mean) -> Float @nn")
      .doc("(input - target)^2: the mean, the sum, or all.")
      .example(">>> thixo.nn.functional.mse_loss(thixo.tensor([1., 3.]), thixo.tensor([1., 1.]))\ntensor(2.)")
      .compose([](const Call& c) { return Values{reduced(c, square(widened(c.in[0]) - widened(c.in[1])))}; })
      .samples(loss_samples);
}

void def_l1_loss(Op& op) {
  op.schema("l1_loss(input: Float, target: Float, *, reduction: none|mean|sum = mean) -> Float @nn")
      .doc("|input - target|: the mean, the sum, or all.")
      .example(">>> thixo.nn.functional.l1_loss(thixo.tensor([1., 3.]), thixo.tensor([1., 1.]))\ntensor(1.)")
      .compose([](const Call& c) { return Values{reduced(c, abs(widened(c.in[0]) - widened(c.in[1])))}; })
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
        Tensor x = widened(c.in[0]), t = widened(c.in[1]);
        if (!(c.shape(0) == c.shape(1))) {
          throw c.error(ErrorKind::Shape,
                        "target has shape " + shape_str(c.shape(1)) + " but input has " + shape_str(c.shape(0)));
        }
        Tensor soft = log1p(exp(-abs(x))) + relu(-x);  // -log(sigmoid(x))
        if (c.has(3)) soft = soft * (t * (widened(c.in[3]) - 1) + 1);
        Tensor loss = (1 - t) * x + soft;
        if (c.has(2)) loss = loss * widened(c.in[2]);
        return Values{reduced(c, loss)};
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
            {.in = {{{3}}, {{3, 1}}, none, none},
             .attrs = with("mean"),
             .bad = "target has shape [3, 1] but input has [3]"}};
      });
}

}  // namespace thixo::ops
