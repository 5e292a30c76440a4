// The optimizers: their settings, and the scalars of each step by PyTorch's formulas.
#include <cmath>

#include "ops/optim/update.h"
#include "thixo/optim.h"

namespace thixo::optim {
namespace {

void require(bool ok, const char* optimizer, const char* name, double value, const char* need) {
  if (ok) return;
  throw ValueError(std::string(optimizer) + ": " + name + " = " + std::to_string(value)).need(need);
}

Update sgd_rule(const ParamGroup& g, int64_t, bool first) {
  using namespace sgd_scalars;
  const double momentum = g["momentum"];
  Update u{momentum != 0 ? "sgd_update.momentum" : "sgd_update", {}};
  u.scalars.resize(momentum != 0 ? kCount : kMomentum);
  u.scalars[kSign] = g["maximize"] != 0 ? -1 : 1;
  u.scalars[kDecay] = g["weight_decay"];
  u.scalars[kRate] = g["lr"];
  if (momentum == 0) return u;
  const bool nesterov = g["nesterov"] != 0;
  u.scalars[kMomentum] = first ? 0 : momentum;
  u.scalars[kDamp] = first ? 1 : 1 - g["dampening"];
  u.scalars[kDirect] = nesterov ? 1 : 0;
  u.scalars[kBuffered] = nesterov ? momentum : 1;
  return u;
}

Update adam_scalars_of(const ParamGroup& g, int64_t step, bool decoupled) {
  using namespace adam_scalars;
  const double beta1 = g["beta1"], beta2 = g["beta2"], lr = g["lr"], decay = g["weight_decay"];
  Update u{g["amsgrad"] != 0 ? "adam_update.amsgrad" : "adam_update", {}};
  u.scalars.resize(kCount);
  u.scalars[kSign] = g["maximize"] != 0 ? -1 : 1;
  u.scalars[kDecay] = decoupled ? 0 : decay;
  u.scalars[kKeep] = decoupled ? 1 - lr * decay : 1;
  u.scalars[kOneMinusBeta1] = 1 - beta1;
  u.scalars[kBeta2] = beta2;
  u.scalars[kOneMinusBeta2] = 1 - beta2;
  u.scalars[kUnbias] = 1 / std::sqrt(1 - std::pow(beta2, static_cast<double>(step)));
  u.scalars[kEps] = g["eps"];
  u.scalars[kRate] = lr / (1 - std::pow(beta1, static_cast<double>(step)));
  return u;
}
Update adam_rule(const ParamGroup& g, int64_t step, bool) { return adam_scalars_of(g, step, false); }
Update adamw_rule(const ParamGroup& g, int64_t step, bool) { return adam_scalars_of(g, step, true); }

Settings sgd_settings(const SGDOptions& o) {
  require(o.lr >= 0, "SGD", "lr", o.lr, "lr >= 0");
  require(o.momentum >= 0, "SGD", "momentum", o.momentum, "momentum >= 0");
  require(o.weight_decay >= 0, "SGD", "weight_decay", o.weight_decay, "weight_decay >= 0");
  if (o.nesterov && (o.momentum <= 0 || o.dampening != 0)) {
    throw ValueError("SGD: nesterov without momentum or with dampening").need("momentum > 0 and dampening == 0");
  }
  return {{"lr", o.lr},
          {"momentum", o.momentum},
          {"dampening", o.dampening},
          {"weight_decay", o.weight_decay},
          {"nesterov", o.nesterov},
          {"maximize", o.maximize}};
}

template <class O> Settings adam_settings(const char* name, const O& o) {
  require(o.lr >= 0, name, "lr", o.lr, "lr >= 0");
  require(o.eps >= 0, name, "eps", o.eps, "eps >= 0");
  require(o.betas.first >= 0 && o.betas.first < 1, name, "betas[0]", o.betas.first, "0 <= betas[0] < 1");
  require(o.betas.second >= 0 && o.betas.second < 1, name, "betas[1]", o.betas.second, "0 <= betas[1] < 1");
  require(o.weight_decay >= 0, name, "weight_decay", o.weight_decay, "weight_decay >= 0");
  return {{"lr", o.lr},
          {"beta1", o.betas.first},
          {"beta2", o.betas.second},
          {"eps", o.eps},
          {"weight_decay", o.weight_decay},
          {"amsgrad", o.amsgrad},
          {"maximize", o.maximize}};
}

}  // namespace

SGD::SGD(std::vector<ParamGroup> groups, const SGDOptions& o)
    : FusedOptimizer(std::move(groups), sgd_settings(o), sgd_rule) {}
Adam::Adam(std::vector<ParamGroup> groups, const AdamOptions& o)
    : FusedOptimizer(std::move(groups), adam_settings("Adam", o), adam_rule) {}
AdamW::AdamW(std::vector<ParamGroup> groups, const AdamWOptions& o)
    : FusedOptimizer(std::move(groups), adam_settings("AdamW", o), adamw_rule) {}

}  // namespace thixo::optim
