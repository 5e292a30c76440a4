// write: the one form of mutation. x[1].mul_(2) means x = write(x, [select 0 1], x[1] * 2).
#include "ir/dispatch.h"
#include "ir/op.h"
#include "thixo/tensor.h"

namespace thixo::ops {
namespace {

Tensor replay(Tensor t, const Call& c) {
  for (const ViewStep& step : *std::get<ViewChain>(c.attr("chain"))) {
    t = dispatch1(Call{step.op, std::span<const Tensor>(&t, 1), step.attrs, c.at});
  }
  return t;
}

}  // namespace

void def_write(Op& op) {
  op.schema("write(base: Tensor, value: Tensor, chain: chain) -> Tensor @private")
      .doc("base with value, broadcast and converted, in the place that the views of `chain` show.")
      .infer([](Infer& c) { c.result(c.dtype(0), c.shape(0)); })
      .compose([](const Call& c) {
        Tensor out = c.in[0].clone(MemoryFormat::Preserve);
        replay(out, c).copy_(c.in[1]);
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
        if (c.needs(1)) out[1] = replay(g, k);
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
