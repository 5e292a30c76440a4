// A number as it stands in a recorded program (x * 2): made by the recorder, folded into kernels by fusion.
#include "ir/op.h"

namespace thixo::ops {

void def_number(Op& op) {
  op.schema("number(*, value: scalar) -> Tensor @creation @private")
      .doc("A 0-d tensor with all digits of the number, weak in promotion.")
      .infer([](Infer& c) { c.out.push_back({c.scalar("value").kind(), {}, {}}); })
      .nest([](NestCtx& c) { c.values = {c.param("value", compute_type(c.out[0].dtype))}; })
      .no_grad()
      .samples([] {
        return std::vector<Sample>{{.attrs = {{"value", Scalar(2)}}},
                                   {.attrs = {{"value", Scalar(0.1)}}},
                                   {.attrs = {{"value", Scalar(true)}}}};
      });
}

}  // namespace thixo::ops
