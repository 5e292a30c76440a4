// write: the one form of mutation. x[1].mul_(2) means x = write(x, [select 0 1], x[1] * 2).
#include <optional>

#include "ir/dispatch.h"
#include "ir/op.h"
#include "thixo/tensor.h"

namespace thixo::ops {
namespace {

using Steps = std::span<const ViewStep>;

Steps chain_of(const Call& c) { return *std::get<ViewChain>(c.attr("chain")); }

/// The view that a step makes of t; none where it is a `view` and t, a copy or a gradient of what it was made for, does
/// not lie in the order that it needs.
std::optional<Tensor> view_of(const Tensor& t, const ViewStep& step, const SourceLoc& at) {
  static const OpDef* view = find_op("view");
  try {
    return dispatch1(Call{step.op, std::span<const Tensor>(&t, 1), step.attrs, at});
  } catch (const Error& e) {
    if (step.op != view || e.kind() != ErrorKind::Shape) throw;
    return std::nullopt;
  }
}

Tensor reshaped(const Tensor& t, const ViewStep& step) { return t.reshape(std::get<Shape>(step.attrs[0])); }

Tensor read(Tensor t, const Call& c) {
  for (const ViewStep& step : chain_of(c)) {
    std::optional<Tensor> v = view_of(t, step, c.at);
    t = v ? std::move(*v) : reshaped(t, step);
  }
  return t;
}

void put(Tensor t, Steps steps, const Tensor& value, const SourceLoc& at) {
  for (; !steps.empty(); steps = steps.subspan(1)) {
    std::optional<Tensor> v = view_of(t, steps[0], at);
    if (!v) {
      const Tensor copy = reshaped(t, steps[0]);
      put(copy, steps.subspan(1), value, at);
      t.copy_(copy.reshape(t.shape()));
      return;
    }
    t = std::move(*v);
  }
  t.copy_(value);
}

}  // namespace

void def_write(Op& op) {
  op.schema("write(base: Tensor, value: Tensor, chain: chain) -> Tensor @private")
      .doc("base with value, broadcast and converted, in the place that the views of `chain` show.")
      .infer([](Infer& c) { c.result(c.dtype(0), c.shape(0)); })
      .compose([](const Call& c) {
        Tensor out = c.in[0].clone(MemoryFormat::Preserve);
        put(out, chain_of(c), c.in[1], c.at);
        return Values{out};
      })
      .grad([](GradCtx& c) {
        const Call& k = c.call();
        const Tensor g = c.g();
        Values out(2);
        if (c.needs(0)) {
          const Tensor in[] = {g, Tensor(Scalar(0.0)).to(g.dtype())};
          out[0] = dispatch1(Call{k.op, in, k.attrs, k.at});
        }
        if (c.needs(1)) out[1] = read(g, k);
        return out;
      })
      .samples([] {
        auto call = [](Shape base, Shape value, std::vector<ViewStep> steps) {
          return Sample{{{std::move(base)}, {std::move(value)}},
                        {{"chain", ViewChain(std::make_shared<const std::vector<ViewStep>>(std::move(steps)))}}};
        };
        const ViewStep row{find_op("select"), {Dim(0), Dim(1)}}, turn{find_op("transpose"), {Dim(0), Dim(1)}};
        return std::vector<Sample>{call({3, 4}, {4}, {row}), call({3, 4, 2}, {2, 4}, {row, turn}),
                                   call({3, 4}, {4, 3}, {turn}), call({2, 3}, {2, 3}, {})};
      });
}

}  // namespace thixo::ops
