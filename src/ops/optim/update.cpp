// Fused optimizer updates. As ops they are pure; eager runs them in place over all parameters at once, and the
// planner of a compiled step gives results the memory of their operands.
#include "ops/optim/update.h"

#include "ir/op.h"

namespace thixo {
namespace {

Expr gradient(std::span<const Expr> x, Expr sign, Expr decay) { return sign * x[1] + decay * x[0]; }

std::vector<Expr> sgd(std::span<const Expr> x, std::span<const Expr> s) {
  using namespace sgd_scalars;
  return {x[0] - s[kRate] * gradient(x, s[kSign], s[kDecay])};
}

// buffer = kMomentum * buffer + kDamp * g; the step follows kDirect * g + kBuffered * buffer (nesterov: 1 and momentum;
// else 0 and 1; the first step of all: momentum 0 and damp 1).
std::vector<Expr> sgd_momentum(std::span<const Expr> x, std::span<const Expr> s) {
  using namespace sgd_scalars;
  Expr g = gradient(x, s[kSign], s[kDecay]);
  Expr buffer = s[kMomentum] * x[2] + s[kDamp] * g;
  return {x[0] - s[kRate] * (s[kDirect] * g + s[kBuffered] * buffer), buffer};
}

// kDecay is added to the gradient (Adam), kKeep scales the parameter (AdamW); kUnbias is 1 / sqrt(1 - beta2^t) and
// kRate is lr / (1 - beta1^t).
std::vector<Expr> adam_with(std::span<const Expr> x, std::span<const Expr> s, bool amsgrad) {
  using namespace adam_scalars;
  Expr g = gradient(x, s[kSign], s[kDecay]);
  Expr average = x[2] + s[kOneMinusBeta1] * (g - x[2]);
  Expr square = s[kBeta2] * x[3] + s[kOneMinusBeta2] * (g * g);
  Expr largest = amsgrad ? max(x[4], square) : square;
  Expr param = s[kKeep] * x[0] - s[kRate] * (average / (sqrt(largest) * s[kUnbias] + s[kEps]));
  if (amsgrad) return {param, average, square, largest};
  return {param, average, square};
}
std::vector<Expr> adam(std::span<const Expr> x, std::span<const Expr> s) { return adam_with(x, s, false); }
std::vector<Expr> adam_amsgrad(std::span<const Expr> x, std::span<const Expr> s) { return adam_with(x, s, true); }

/// Everything of an update op that follows from its rule.
void define_update(Op& op, const char* name) {
  const UpdateRule& rule = *find_update_rule(name);
  op.infer([rule](Infer& f) {
      const auto last = static_cast<size_t>(rule.tensors());
      for (size_t k = 1; k < last; ++k) {
        f.require(f.shape(static_cast<int>(k)) == f.shape(0), ErrorKind::Shape,
                  "gradient and state differ from the parameter in shape", "equal shapes");
        f.require(f.in[k].dtype() == f.in[0].dtype(), ErrorKind::DType,
                  "gradient and state differ from the parameter in dtype", "equal dtypes");
      }
      f.require(f.in[last].dtype() == DType::F64 && f.shape(rule.tensors()) == Shape{rule.scalars}, ErrorKind::Shape,
                "its scalars are not f64[" + std::to_string(rule.scalars) + "]");
      for (int k = 0; k <= rule.states; ++k) f.result(f.dtype(0), f.shape(0));
    })
      .nest([rule](NestCtx& c) {
        std::vector<Expr> index;
        for (int d = 0; d < c.rank(0); ++d) index.push_back(c.out_axis(d));
        std::vector<Expr> x, s;
        for (int k = 0; k < rule.tensors(); ++k) x.push_back(c.load(k, index));
        for (int k = 0; k < rule.scalars; ++k)
          s.push_back(cast(c.load(rule.tensors(), {constant_int(k)}), x[0].dtype()));
        c.values = rule.step(x, s);
      })
      .kernel("update")
      .no_grad()
      .samples([rule] {
        std::vector<Sample> samples;
        for (Shape shape : {Shape{3, 5}, Shape{}, Shape{0}, Shape{4097}}) {
          Sample s;
          for (int k = 0; k < rule.tensors(); ++k) {
            SampleTensor& x = s.in.emplace_back();
            x.shape = shape;
            if (k > 2) x.low = 0.5;  // squares
          }
          SampleTensor& scalars = s.in.emplace_back();
          scalars.shape = {rule.scalars};
          scalars.dtype = DType::F64;
          scalars.values = {1, 0.01, 0.5, 0.9, 0.1, 0.2, 1.5, 0.25, 0.125};
          samples.push_back(s);
        }
        auto bad = [&](std::string text) -> Sample& {
          samples.push_back(samples[0]);
          samples.back().bad = std::move(text);
          return samples.back();
        };
        bad("gradient and state differ from the parameter in shape").in[1].shape = {3, 4};
        Sample& mixed = bad("gradient and state differ from the parameter in dtype");
        mixed.in[0].dtype = DType::F32;
        mixed.in[1].dtype = DType::F64;
        bad("its scalars are not f64[" + std::to_string(rule.scalars) + "]").in.back().shape = {rule.scalars + 1};
        return samples;
      });
}

}  // namespace

std::span<const UpdateRule> update_rules() {
  static constexpr UpdateRule kRules[] = {
      {"sgd_update", 0, sgd_scalars::kMomentum, sgd},
      {"sgd_update.momentum", 1, sgd_scalars::kCount, sgd_momentum},
      {"adam_update", 2, adam_scalars::kCount, adam},
      {"adam_update.amsgrad", 3, adam_scalars::kCount, adam_amsgrad},
  };
  return kRules;
}

const UpdateRule* find_update_rule(std::string_view op) {
  for (const UpdateRule& r : update_rules()) {
    if (op == r.op) return &r;
  }
  return nullptr;
}

namespace ops {

void def_sgd_update(Op& op) {
  op.schema("sgd_update(param: Float, grad: Float, scalars: Tensor) -> Float @private")
      .doc("One step of gradient descent.");
  define_update(op, "sgd_update");
}

void def_sgd_update_momentum(Op& op) {
  op.schema(
        "sgd_update.momentum(param: Float, grad: Float, momentum_buffer: Float, scalars: Tensor) -> (param: Float, "
        "momentum_buffer: Float) @private")
      .doc("One step of gradient descent with (Nesterov) momentum.")
      .source("Sutskever et al. 2013, https://proceedings.mlr.press/v28/sutskever13.html");
  define_update(op, "sgd_update.momentum");
}

void def_adam_update(Op& op) {
  op.schema(
        "adam_update(param: Float, grad: Float, exp_avg: Float, exp_avg_sq: Float, scalars: Tensor) -> (param: Float, "
        "exp_avg: Float, exp_avg_sq: Float) @private")
      .doc("One step of Adam or AdamW.")
      .source(
          "Kingma and Ba 2014, https://arxiv.org/abs/1412.6980; Loshchilov and Hutter 2017, "
          "https://arxiv.org/abs/1711.05101");
  define_update(op, "adam_update");
}

void def_adam_update_amsgrad(Op& op) {
  op.schema(
        "adam_update.amsgrad(param: Float, grad: Float, exp_avg: Float, exp_avg_sq: Float, max_exp_avg_sq: Float, "
        "scalars: Tensor) -> (param: Float, exp_avg: Float, exp_avg_sq: Float, max_exp_avg_sq: Float) @private")
      .doc("One step of Adam or AdamW with the largest second moment so far.")
      .source("Reddi et al. 2018, https://openreview.net/forum?id=ryQu7f-RZ");
  define_update(op, "adam_update.amsgrad");
}

}  // namespace ops
}  // namespace thixo
