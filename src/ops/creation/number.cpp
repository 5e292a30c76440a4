// A number as it stands in a recorded program (x * 2): made by the recorder, folded into kernels by fusion.
#include "ir/op.h"

namespace thixo::ops {

void def_number(Op& op) {
  op.schema("number(*, value: scalar) -> Tensor @creation @private")
      .doc("A 0-d tensor of the number's own dtype, weak in promotion.")
      .infer([](Infer& c) {
        DType t = c.scalar("value").kind();
        c.out.push_back({t == DType::F64    ? default_dtype()
                         : t == DType::C128 ? complex_type(default_dtype())
                                            : t,
                         {},
                         {}});
      })
      .nest([](NestCtx& c) { c.values = {c.param("value", compute_type(c.out[0].dtype))}; })
      .samples([] {
        return std::vector<Sample>{{.in = {}, .attrs = {{"value", Scalar(2.5)}}},
                                   {.in = {}, .attrs = {{"value", Scalar(3)}}},
                                   {.in = {}, .attrs = {{"value", Scalar(true)}}}};
      })
      .no_grad()
      .samples([] {
        return std::vector<Sample>{{.attrs = {{"value", Scalar(2)}}},
                                   {.attrs = {{"value", Scalar(0.1)}}},
                                   {.attrs = {{"value", Scalar(true)}}}};
      });
}

}  // namespace thixo::ops
