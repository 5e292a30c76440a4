// Handles without a tensor, and functions that are not there: an error at once, everywhere.
#include "thixo/autograd.h"
#include "transform/test_util.h"

namespace thixo {
namespace {

TEST(UndefinedTensor, EveryMemberSaysSo) {
  const Tensor u;
  Tensor w, x = f64({1, 2});
  const std::vector<std::pair<const char*, std::function<void()>>> calls = {
      {"requires_grad", [&] { u.requires_grad(); }},
      {"is_leaf", [&] { u.is_leaf(); }},
      {"grad", [&] { u.grad(); }},
      {"zero_grad", [&] { w.zero_grad(); }},
      {"grad_fn", [&] { u.grad_fn(); }},
      {"backward", [&] { u.backward(); }},
      {"remove_hook", [&] { u.remove_hook(1); }},
      {"detach", [&] { u.detach(); }},
      {"copy_", [&] { w.copy_(x); }},
      {"fill_", [&] { w.fill_(1); }},
      {"the gradient", [&] { autograd::backward({u}); }},
      {"the gradient", [&] { autograd::grad({x}, {u}); }},
  };
  for (const bool recording : {true, false}) {
    GradGuard mode(recording);
    for (const auto& [what, call] : calls) {
      EXPECT_EQ(headline_of(call), "ValueError: " + std::string(what) + " of an undefined tensor");
    }
    EXPECT_THROW(w.retain_grad(), Error);
    EXPECT_THROW(w.requires_grad_(), Error);
    EXPECT_THROW(w.requires_grad_(false), Error);
    EXPECT_THROW(w.detach_(), Error);
    EXPECT_THROW(w.set_grad(x), Error);
    EXPECT_THROW(u.register_hook([](const Tensor& g) { return g; }), Error);
    EXPECT_EQ(headline_of([&] { add_out(w, x, x); }), "ValueError: add: out is an undefined tensor");
    EXPECT_EQ(headline_of([&] { w.add_(x); }), "ValueError: add: what it writes is an undefined tensor");
    EXPECT_EQ(headline_of([&] { x.copy_(u); }), "ValueError: assign: src is missing");
    EXPECT_THROW(x[u], Error);
  }
}

TEST(NullFunction, IsRefusedWhereItIsGiven) {
  Tensor a = leaf({1, 2});
  EXPECT_EQ(headline_of([&] { a.register_hook(nullptr); }), "ValueError: register_hook: the hook is an empty function");
  EXPECT_EQ(headline_of([&] { autograd::register_post_accumulate_grad_hook(a, nullptr); }),
            "ValueError: register_post_accumulate_grad_hook: the hook is an empty function");
  EXPECT_EQ(headline_of([&] { autograd::apply(nullptr, {a}); }), "ValueError: apply: the function is null");
  a.sum().backward();
  expect_values(a.grad(), {1, 1});
}

}  // namespace
}  // namespace thixo
