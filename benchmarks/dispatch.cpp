// What one call costs before it computes anything. benchmarks/libtorch/dispatch.cpp is the same against LibTorch.
#include <benchmark/benchmark.h>

#include "thixo/thixo.h"

namespace {

using namespace thixo;

Tensor leaf() { return ones({1}).requires_grad_(); }

template <class F> void repeat(benchmark::State& state, F&& f) {
  const SerialThread one;
  for (auto _ : state) benchmark::DoNotOptimize(f());
}

void dispatch_add(benchmark::State& state) {
  const Tensor a = ones({1}), b = ones({1});
  repeat(state, [&] { return a + b; });
}

void dispatch_add_no_grad(benchmark::State& state) {
  const NoGrad guard;
  const Tensor a = ones({1}), b = ones({1});
  repeat(state, [&] { return a + b; });
}

void dispatch_add_recorded(benchmark::State& state) {
  const Tensor a = leaf(), b = ones({1});
  repeat(state, [&] { return a + b; });
}

void dispatch_add_in_place(benchmark::State& state) {
  Tensor a = ones({1});
  const Tensor b = ones({1});
  repeat(state, [&] { return a.add_(b); });
}

void dispatch_empty(benchmark::State& state) {
  repeat(state, [&] { return empty({1}); });
}

void dispatch_view(benchmark::State& state) {
  const Tensor x = rand({64, 1});
  repeat(state, [&] { return x.view({8, 8}); });
}

void dispatch_matmul_64(benchmark::State& state) {
  const Tensor a = rand({64, 64}), b = rand({64, 64});
  repeat(state, [&] { return matmul(a, b); });
}

void dispatch_backward(benchmark::State& state) {
  Tensor a = leaf(), b = leaf();
  repeat(state, [&] {
    a.set_grad(Tensor());
    b.set_grad(Tensor());
    Tensor loss = (a * b).sum();
    loss.backward();
    return loss;
  });
}

BENCHMARK(dispatch_add);
BENCHMARK(dispatch_add_no_grad);
BENCHMARK(dispatch_add_recorded);
BENCHMARK(dispatch_add_in_place);
BENCHMARK(dispatch_empty);
BENCHMARK(dispatch_view);
BENCHMARK(dispatch_matmul_64);
BENCHMARK(dispatch_backward);

}  // namespace
