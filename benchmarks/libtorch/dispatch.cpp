// benchmarks/dispatch.cpp against LibTorch. run.py builds it with the headers of the peer's torch package, if there is
// one; nothing else of the repository knows it. Prints one line of JSON a figure.
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace {

double since(std::chrono::steady_clock::time_point t) {
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - t).count();
}

/// The median of the batches' times of one call.
template <class F> void report(const char* name, F f) {
  constexpr int kBatch = 2000, kBatches = 25;
  for (int i = 0; i < kBatch; ++i) f();
  double times[kBatches];
  for (double& time : times) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kBatch; ++i) f();
    time = since(start) / kBatch;
  }
  std::sort(times, times + kBatches);
  std::printf("{\"name\": \"%s\", \"real_time\": %.5g}\n", name, times[kBatches / 2]);
}

}  // namespace

int main() {
  torch::set_num_threads(1);
  const auto wants_grad = torch::TensorOptions().requires_grad(true);
  auto a = torch::ones({1}), b = torch::ones({1}), m = torch::rand({64, 64}), n = torch::rand({64, 64});
  auto ga = torch::ones({1}, wants_grad), gb = torch::ones({1}, wants_grad), column = torch::rand({64, 1});
  report("dispatch_add", [&] { return a + b; });
  {
    const torch::NoGradGuard guard;
    report("dispatch_add_no_grad", [&] { return a + b; });
  }
  report("dispatch_add_recorded", [&] { return ga + b; });
  report("dispatch_add_in_place", [&] { return a.add_(b); });
  report("dispatch_empty", [&] { return torch::empty({1}); });
  report("dispatch_view", [&] { return column.view({8, 8}); });
  report("dispatch_matmul_64", [&] { return torch::matmul(m, n); });
  report("dispatch_backward", [&] {
    ga.mutable_grad().reset();
    gb.mutable_grad().reset();
    auto loss = (ga * gb).sum();
    loss.backward();
    return loss;
  });
}
