// Cross entropy over class scores. The rows form holds all of the work: one pass over [N, C] for the losses, one for
// the gradient; what stands around it is of size N.
#include "ir/dispatch.h"
#include "ops/reduce/reduce.h"
#include "private_ops.h"

namespace thixo::ops {
namespace {

struct Targets {
  Tensor valid, safe;  // [N, 1]: which rows count, and their class (0 where they do not)
};

Targets read_targets(const Call& c, const Tensor& target) {
  int64_t ignore = c.integer("ignore_index");
  Tensor t = target.unsqueeze(1), valid = ne(t, ignore);
  return {valid, where(valid, t, 0)};
}

/// The class weight of each row, [N, 1]; undefined without weights.
Tensor row_weight(const Tensor& weight, const Targets& t) {
  return weight.defined() ? widened(weight.index_select(0, t.safe.squeeze(1))).unsqueeze(1) : Tensor();
}

Tensor reduce_loss(const Tensor& loss, const std::string& reduction, const std::function<Tensor()>& count) {
  if (reduction == "none") return loss;
  Tensor total = loss.sum();
  return reduction == "sum" ? total : total / count();
}

Error target_error(const Call& c, const Shape& want) {
  return c
      .error(ErrorKind::Shape,
             "target has shape " + shape_str(c.shape(1)) + " but the input's classes leave " + shape_str(want))
      .need("target: input's shape without the class dim (dim 1, or dim 0 of one row)");
}

/// Scores as rows [N, C] and targets as [N]; throws unless they fit.
std::pair<Tensor, Tensor> as_rows(const Call& c) {
  Tensor x = c.in[0], t = c.in[1];
  if (x.dim() == 0) throw c.error(ErrorKind::Shape, "input needs a class dim: [C], [N, C] or [N, C, d1, ...]");
  Shape want = x.shape();
  want.erase(x.dim() == 1 ? 0 : 1);
  if (!(t.shape() == want)) throw target_error(c, want);
  Dim classes = x.shape()[x.dim() == 1 ? 0 : 1];
  if (c.has(2) && !(c.shape(2) == Shape{classes})) {
    throw c.error(ErrorKind::Shape,
                  "weight has shape " + shape_str(c.shape(2)) + " but there are " + classes.str() + " classes");
  }
  if (x.dim() == 1) return {x.unsqueeze(0), t.unsqueeze(0)};
  if (x.dim() == 2) return {x, t};
  return {x.movedim(1, -1).reshape({-1, classes}), t.reshape({-1})};
}

/// What the mean over rows divides by: rows that count, or the sum of their weights.
Tensor row_total(const Call& c, const Tensor& rows, const Tensor& weight) {
  Targets t = read_targets(c, rows);
  Tensor valid = t.valid.to(weight.defined() ? compute_type(weight.dtype()) : DType::F32);
  return weight.defined() ? (row_weight(weight, t) * valid).sum() : valid.sum();
}

/// Targets given as probabilities: the plain formula.
Values soft_cross_entropy(const Call& c) {
  const Tensor &x = c.in[0], &t = c.in[1];
  if (!(t.shape() == x.shape())) throw target_error(c, x.shape());
  int64_t d = x.dim() == 1 ? 0 : 1;
  double smooth = c.number("label_smoothing");
  Tensor p = widened(t), y = widened(x).log_softmax(d);
  if (smooth > 0) p = p * (1 - smooth) + smooth / static_cast<double>(x.size(d).value());
  if (c.has(2)) {
    Shape along(static_cast<size_t>(x.dim()), Dim(1));
    along[static_cast<size_t>(d)] = x.size(d);
    p = p * widened(c.in[2]).view(along);
  }
  Tensor loss = -(p * y).sum(d);
  double rows = static_cast<double>(loss.numel().value());
  const std::string& reduction = c.text("reduction");
  if (reduction == "sum") return {loss.sum().to(c.dtype(0))};
  return {(reduction == "none" ? loss : loss.sum() / rows).to(c.dtype(0))};
}

/// The gradient of cross_entropy_rows for its class weights, in which it is linear.
Tensor weight_gradient(GradCtx& c, const Tensor& lse) {
  const Call& k = c.call();
  const double smooth = k.number("label_smoothing");
  const Tensor x = widened(c.in(0));
  const Targets t = read_targets(k, c.in(1));
  Tensor away = (lse - x) * where(t.valid, widened(c.g()).unsqueeze(1), 0);
  Tensor here = eq(iota(x.size(1)).unsqueeze(0), t.safe);
  Tensor own = where(here, away * (1 - smooth), 0).sum(0);
  if (smooth > 0) own = own + away.sum(0) * (smooth / static_cast<double>(x.size(1).value()));
  return own.to(k.dtype(2));
}

std::vector<std::pair<std::string, Attr>> options(const char* reduction, int64_t ignore = -100, double smooth = 0) {
  return {{"ignore_index", Dim(ignore)}, {"reduction", std::string(reduction)}, {"label_smoothing", smooth}};
}
SampleTensor classes(Shape shape, std::vector<double> values) {
  return {.shape = std::move(shape), .dtype = DType::I64, .values = std::move(values)};
}

}  // namespace

void def_cross_entropy(Op& op) {
  op.schema(
        "cross_entropy(input: Float, target: Tensor, weight: Float?, *, ignore_index: int = -100, "
        "reduction: none|mean|sum = mean, label_smoothing: float = 0) -> Float @nn")
      .doc(
          "-log(softmax(input)[target]) over class scores [N, C, ...]: the mean, the sum, or one loss for each target; "
          "targets are "
          "class indices or probabilities.")
      .example(">>> thixo.nn.functional.cross_entropy(thixo.zeros(1, 4), thixo.tensor([2]))\ntensor(1.3863)")
      .compose([](const Call& c) {
        double smooth = c.number("label_smoothing");
        if (!(smooth >= 0 && smooth <= 1))
          throw c.error(ErrorKind::Value, "label_smoothing must lie in [0, 1], got " + Scalar(smooth).str());
        if (is_float(c.dtype(1))) return soft_cross_entropy(c);
        if (!accepts(TensorKind::Index, c.dtype(1))) {
          throw c.error(ErrorKind::DType, "target is " + std::string(dtype_name(c.dtype(1))) +
                                              " but must be int64 or int32 (classes), or floats (probabilities)");
        }
        auto [x, t] = as_rows(c);
        Tensor loss = cross_entropy_rows(x, t, c.in[2], c.integer("ignore_index"), smooth);
        Tensor out = reduce_loss(loss, c.text("reduction"), [&] { return row_total(c, t, c.in[2]); });
        return Values{(c.text("reduction") == "none" ? out.reshape(c.shape(1)) : out).to(c.dtype(0))};
      })
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{3, 5}}, classes({3}, {0, 4, 2}), {.absent = true}}, .attrs = options("mean")},
            {.in = {{{3, 5}}, classes({3}, {0, -100, 2}), {.shape = {5}, .low = 0.5, .high = 2}},
             .attrs = options("mean", -100, 0.1)},
            {.in = {{{3, 5}}, classes({3}, {1, 1, 3}), {.shape = {5}, .low = 0.5, .high = 2}},
             .attrs = options("none", 1)},
            {.in = {{{2, 4, 3}}, classes({2, 3}, {0, 1, 2, 3, 0, 1}), {.absent = true}},
             .attrs = options("sum", -100, 0.2)},
            {.in = {{{4}}, classes({}, {3}), {.absent = true}}, .attrs = options("mean")},
            {.in = {{{3, 5}}, {.shape = {3, 5}, .low = 0, .high = 1}, {.absent = true}},
             .attrs = options("mean", -100, 0.1)},
            {.in = {{{3, 5}}, classes({2}, {0, 1}), {.absent = true}},
             .attrs = options("mean"),
             .bad = "target has shape [2] but the input's classes leave [3]"},
            {.in = {{{2, 5}}, classes({2}, {0, 5}), {.absent = true}},
             .attrs = options("mean"),
             .bad = "index 5 is out of range for dim 1 of size 5"},
            {.in = {{{2, 5}}, classes({2}, {0, 1}), {{4}}},
             .attrs = options("mean"),
             .bad = "weight has shape [4] but there are 5 classes"},
            {.in = {{{}}, classes({}, {0}), {.absent = true}},
             .attrs = options("mean"),
             .bad = "input needs a class dim"},
            {.in = {{{2, 5}}, {.shape = {2}, .dtype = DType::Bool}, {.absent = true}},
             .attrs = options("mean"),
             .bad = "target is bool but must be int64 or int32"},
            {.in = {{{2, 5}}, classes({2}, {0, 1}), {.absent = true}},
             .attrs = options("mean", -100, 2),
             .bad = "label_smoothing must lie in [0, 1]"}};
      });
}

void def_cross_entropy_rows(Op& op) {
  op.schema(
        "cross_entropy_rows(input: Float, target: Index, weight: Float?, ignore_index: int, label_smoothing: float) -> "
        "(loss: Float, _lse: Float) @private")
      .doc("One loss for each row of scores [N, C], zero where the target is ignore_index.")
      .fused_rows()
      .index_bounds([](const Call& c) {
        return std::vector<IndexBound>{{1, 1, c.shape(0)[1], false, c.integer("ignore_index").value()}};
      })
      .compose([](const Call& c) {
        Tensor x = widened(c.in[0]);
        double smooth = c.number("label_smoothing");
        Targets t = read_targets(c, c.in[1]);
        Tensor m = x.amax(1, true);
        Tensor lse = log(exp(x - m).sum(1, true)) + m, w = row_weight(c.in[2], t);
        Tensor loss = lse - widened(c.in[0].gather(1, t.safe));
        if (w.defined()) loss = loss * w;
        if (smooth > 0) {
          Tensor away = lse - x;
          loss = loss * (1 - smooth) + (c.has(2) ? away * widened(c.in[2]) : away).mean(1, true) * smooth;
        }
        return Values{where(t.valid, loss, 0).squeeze(1), lse};
      })
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        Tensor x = c.in(0);
        // Saved results count as constants, so a gradient that is differentiated again needs its own lse.
        Tensor lse = dispatch_state().grad_enabled ? widened(x).logsumexp(1, true) : c.out(1);
        Values out(k.in.size());
        out[0] = cross_entropy_backward(c.g(), x, c.in(1), k.has(2) ? c.in(2) : Tensor(), lse,
                                        k.integer("ignore_index"), k.number("label_smoothing"));
        if (k.has(2) && c.needs(2)) out[2] = weight_gradient(c, lse);
        return out;
      })
      .samples([] {
        auto with = [](double smooth) {
          return std::vector<std::pair<std::string, Attr>>{{"ignore_index", Dim(1)}, {"label_smoothing", smooth}};
        };
        return std::vector<Sample>{
            {.in = {{{3, 5}}, classes({3}, {0, 1, 4}), {.absent = true}}, .attrs = with(0)},
            {.in = {{{3, 5}}, classes({3}, {0, 1, 4}), {.absent = true}}, .attrs = with(0.1)},
            {.in = {{{3, 40}}, classes({3}, {0, 39, 4}), {.shape = {40}, .low = 0.5, .high = 2}}, .attrs = with(0.1)}};
      });
}

void def_cross_entropy_backward(Op& op) {
  op.schema(
        "cross_entropy_backward(grad: Float, input: Float, target: Index, weight: Float?, lse: Float, ignore_index: "
        "int, label_smoothing: float) -> Float @private")
      .doc(
          "The gradient of cross_entropy_rows: g * (softmax(x) * a - b * onehot - s * weight), one pass over the "
          "scores.")
      .fused_rows()
      .compose([](const Call& c) {
        Tensor x = widened(c.in[1]);
        double smooth = c.number("label_smoothing");
        Targets t = read_targets(c, c.in[2]);
        Tensor p = exp(x - c.in[4]), here = eq(iota(x.size(1)).unsqueeze(0), t.safe), w = row_weight(c.in[3], t);
        Tensor g = where(t.valid, widened(c.in[0].unsqueeze(1)), 0);
        Tensor pull = w.defined() ? g * w * (1 - smooth) : g * (1 - smooth);  // on the target's score
        Tensor push = pull;                                                  // on all, by their probability
        if (smooth > 0) push = pull + (c.has(3) ? g * (widened(c.in[3]).mean() * smooth) : g * smooth);
        Tensor gx = p * push - where(here, pull, 0);
        if (smooth > 0) {  // 1 / C, in a form of which a kernel for any C can be made
          Tensor share = full_like(x, 1).sum(1, true).reciprocal() * smooth;
          gx = gx - (c.has(3) ? g * (widened(c.in[3]) * share) : g * share);
        }
        return Values{gx.to(c.dtype(1))};
      })
      .samples([] {
        auto with = [](double smooth) {
          return std::vector<std::pair<std::string, Attr>>{{"ignore_index", Dim(1)}, {"label_smoothing", smooth}};
        };
        SampleTensor g{.shape = {3}, .wide = true}, lse{.shape = {3, 1}, .low = 3, .high = 5, .wide = true};
        return std::vector<Sample>{
            {.in = {g, {{3, 5}}, classes({3}, {0, 1, 4}), {.absent = true}, lse}, .attrs = with(0)},
            {.in = {g, {{3, 5}}, classes({3}, {0, 1, 4}), {.absent = true}, lse}, .attrs = with(0.1)},
            {.in = {g, {{3, 5}}, classes({3}, {0, 1, 4}), {.shape = {5}, .low = 0.5, .high = 2}, lse},
             .attrs = with(0.1)}};
      });
}

void def_nll_loss(Op& op) {
  op.schema(
        "nll_loss(input: Float, target: Index, weight: Float?, *, ignore_index: int = -100, reduction: none|mean|sum = "
        "mean) -> Float @nn")
      .doc("-input[target] over log-probabilities [N, C, ...]: the mean, the sum, or one loss for each target.")
      .example(">>> thixo.nn.functional.nll_loss(thixo.tensor([[-1., -2.]]), thixo.tensor([1]))\ntensor(2.)")
      .compose([](const Call& c) {
        auto [x, t] = as_rows(c);
        Targets targets = read_targets(c, t);
        Tensor loss = -widened(x.gather(1, targets.safe)), w = row_weight(c.in[2], targets);
        if (w.defined()) loss = loss * w;
        loss = where(targets.valid, loss, 0).squeeze(1);
        Tensor out = reduce_loss(loss, c.text("reduction"), [&] { return row_total(c, t, c.in[2]); });
        return Values{(c.text("reduction") == "none" ? out.reshape(c.shape(1)) : out).to(c.dtype(0))};
      })
      .samples([] {
        auto with = [](const char* reduction, int64_t ignore) {
          return std::vector<std::pair<std::string, Attr>>{{"ignore_index", Dim(ignore)},
                                                           {"reduction", std::string(reduction)}};
        };
        return std::vector<Sample>{
            {.in = {{{3, 5}}, classes({3}, {0, 4, 2}), {.absent = true}}, .attrs = with("mean", -100)},
            {.in = {{{3, 5}}, classes({3}, {0, 4, 2}), {.shape = {5}, .low = 0.5, .high = 2}},
             .attrs = with("mean", 4)},
            {.in = {{{2, 4, 3}}, classes({2, 3}, {0, 1, 2, 3, 0, 1}), {.absent = true}}, .attrs = with("none", 0)},
            {.in = {{{2, 5}}, classes({3}, {0, 1, 2}), {.absent = true}},
             .attrs = with("sum", -100),
             .bad = "target has shape [3] but the input's classes leave [2]"}};
      });
}

}  // namespace thixo::ops
