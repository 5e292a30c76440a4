#include "transform/passes/test_pass.h"

namespace thixo {
namespace {

const test::PassCase kCases[] = {
    {"numbers that change nothing", R"(graph f(%0: f32[2, 3] arg) {
  %1: i64[] weak = number() {value = 1}
  %2: f64[] weak = number() {value = 0.0}
  %3: f32[2, 3] = mul(%0, %1)
  %4: f32[2, 3] = mul(%1, %3)
  %5: f32[2, 3] = div(%4, %1)
  %6: f32[2, 3] = sub(%5, %2)
  %7: f32[2, 3] = add(%6, %2)
  return %7
}
)",
     R"(graph f(%0: f32[2, 3] arg) {
  %1: i64[] weak = number() {value = 1}
  %2: f64[] weak = number() {value = 0.0}
  %3: f32[2, 3] = mul(%0, %1)
  %4: f32[2, 3] = mul(%1, %0)
  %5: f32[2, 3] = div(%0, %1)
  %6: f32[2, 3] = sub(%0, %2)
  %7: f32[2, 3] = add(%0, %2)
  return %7
}
)"},
    {"x * 1 that widens is none of them", R"(graph f(%0: i32[2] arg) {
  %1: f64[] weak = number() {value = 1.0}
  %2: f32[2] = mul(%0, %1)
  return %2
}
)",
     R"(graph f(%0: i32[2] arg) {
  %1: f64[] weak = number() {value = 1.0}
  %2: f32[2] = mul(%0, %1)
  return %2
}
)"},
    {"casts and views that change nothing", R"(graph f(%0: f32[2, 3] arg) {
  %1: f32[2, 3] = to_dtype(%0) {dtype = f32}
  %2: f32[2, 3] = view(%1) {size = [2, 3]}
  %3: f32[2, 3] = expand(%2) {size = [2, 3]}
  %4: f32[3, 2] = permute(%3) {dims = [1, 0]}
  %5: f32[2, 3] = permute(%4) {dims = [1, 0]}
  %6: f16[2, 3] = to_dtype(%5) {dtype = f16}
  %7: f32[3, 2] = view(%5) {size = [3, 2]}
  return %6, %7
}
)",
     R"(graph f(%0: f32[2, 3] arg) {
  %1: f32[2, 3] = to_dtype(%0) {dtype = f32}
  %2: f32[2, 3] = view(%1) {size = [2, 3]}
  %3: f32[2, 3] = expand(%1) {size = [2, 3]}
  %4: f32[3, 2] = permute(%1) {dims = [1, 0]}
  %5: f32[2, 3] = permute(%4) {dims = [1, 0]}
  %6: f16[2, 3] = to_dtype(%1) {dtype = f16}
  %7: f32[3, 2] = view(%1) {size = [3, 2]}
  return %6, %7
}
)"},
    {"permutations that are not each other's inverse stay", R"(graph f(%0: f32[2, 3, 4] arg) {
  %1: f32[3, 4, 2] = permute(%0) {dims = [1, 2, 0]}
  %2: f32[4, 2, 3] = permute(%1) {dims = [1, 2, 0]}
  return %2
}
)",
     R"(graph f(%0: f32[2, 3, 4] arg) {
  %1: f32[3, 4, 2] = permute(%0) {dims = [1, 2, 0]}
  %2: f32[4, 2, 3] = permute(%1) {dims = [1, 2, 0]}
  return %2
}
)"},
    {"a copy of what nobody else sees", R"(graph f(%0: f32[2, 3] arg, %1: f32[2, 3] state) {
  %2: f32[2, 3] = exp(%0)
  %3: f32[2, 3] = clone(%2)
  %4: f32[2, 3] = add(%3, %0)
  %5: f32[2, 3] = clone(%4)
  return %5
  update %1 = %3
}
)",
     R"(graph f(%0: f32[2, 3] arg, %1: f32[2, 3] state) {
  %2: f32[2, 3] = exp(%0)
  %3: f32[2, 3] = clone(%2)
  %4: f32[2, 3] = add(%2, %0)
  %5: f32[2, 3] = clone(%4)
  return %4
  update %1 = %2
}
)"},
    {"a value that is assigned whole is what the state becomes",
     R"(graph f(%0: f32[2, 3] state, %1: f32[3] arg) {
  %2: f32[2, 3] = exp(%0)
  %3: f32[2, 3] = assign(%0, %2)
  %4: f32[2, 3] = assign(%3, %1)
  return %4
  update %0 = %3
}
)",
     R"(graph f(%0: f32[2, 3] state, %1: f32[3] arg) {
  %2: f32[2, 3] = exp(%0)
  %3: f32[2, 3] = assign(%0, %2)
  %4: f32[2, 3] = assign(%2, %1)
  return %4
  update %0 = %2
}
)"},
    {"copies of inputs and of results stay", R"(graph f(%0: f32[2, 3] arg) {
  %1: f32[2, 3] = clone(%0)
  %2: f32[2, 3] = exp(%0)
  %3: f32[2, 3] = clone(%2)
  %4: f32[2, 3] = sin(%0)
  %5: f32[3, 2] = permute(%4) {dims = [1, 0]}
  %6: f32[3, 2] = clone(%5)
  return %1, %2, %3, %6
}
)",
     R"(graph f(%0: f32[2, 3] arg) {
  %1: f32[2, 3] = clone(%0)
  %2: f32[2, 3] = exp(%0)
  %3: f32[2, 3] = clone(%2)
  %4: f32[2, 3] = sin(%0)
  %5: f32[3, 2] = permute(%4) {dims = [1, 0]}
  %6: f32[3, 2] = clone(%5)
  return %1, %2, %3, %6
}
)"},
    {"a copy that makes a view row-major stays", R"(graph f(%0: f32[2, 3] arg) {
  %1: f32[2, 3] = exp(%0)
  %2: f32[3, 2] = permute(%1) {dims = [1, 0]}
  %3: f32[3, 2] = clone(%2)
  %4: f32[6] = view(%3) {size = [6]}
  return %4
}
)",
     R"(graph f(%0: f32[2, 3] arg) {
  %1: f32[2, 3] = exp(%0)
  %2: f32[3, 2] = permute(%1) {dims = [1, 0]}
  %3: f32[3, 2] = clone(%2)
  %4: f32[6] = view(%3) {size = [6]}
  return %4
}
)"},
    {"what only looks like something does not wait for it", R"(graph f(%0: f32[2, 3] arg) {
  %1: f32[2, 3] = exp(%0)
  %2: f32[2, 3] = ones_like(%1)
  %3: i64[2, 3] = full_like(%1) {fill_value = 7, dtype = i64}
  return %2, %3
}
)",
     R"(graph f(%0: f32[2, 3] arg) {
  %1: f32[2, 3] = exp(%0)
  %2: f32[2, 3] = ones() {size = [2, 3], dtype = f32}
  %3: i64[2, 3] = full() {size = [2, 3], fill_value = 7, dtype = i64}
  return %2, %3
}
)"},
};

TEST(Simplify, BeforeAndAfter) { test::expect_pass("simplify", kCases); }

}  // namespace
}  // namespace thixo
