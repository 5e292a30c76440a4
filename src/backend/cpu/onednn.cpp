#include "backend/cpu/onednn.h"

#include <pthread.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "backend/cpu/lru_cache.h"
#include "backend/cpu/onednn_internal.h"
#include "backend/cpu/scratch.h"
#include "base/env.h"
#include "base/signals.h"
#include "thixo/error.h"
#include "thixo/parallel.h"

#ifdef THIXO_WITH_ONEDNN

namespace thixo::cpu {

using dnnl::memory;

const dnnl::engine& onednn_engine() {
  static const dnnl::engine& e = *new dnnl::engine(dnnl::engine::kind::cpu, 0);  // outlives every thread's stream
  return e;
}

dnnl::stream& onednn_stream() {
  thread_local dnnl::stream s(onednn_engine());
  return s;
}

bool onednn_present() {
  static const bool yes = env_flag(Env::OneDnn);
  return yes;
}
bool onednn_avx512() {
  static const bool yes =
      (static_cast<unsigned>(dnnl_get_effective_cpu_isa()) & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
  return yes;
}
bool onednn_bf16() {
  static const bool yes = (static_cast<unsigned>(dnnl_get_effective_cpu_isa()) & dnnl_cpu_isa_avx512_core_bf16) ==
                          dnnl_cpu_isa_avx512_core_bf16;
  return yes;
}

const char* onednn_version() {
  static const std::string text = [] {
    const dnnl_version_t* v = dnnl_version();
    return std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch) +
           (onednn_bf16()     ? ", avx512 with bf16"
            : onednn_avx512() ? ", avx512"
                              : ", avx2 or less");
  }();
  return text.c_str();
}

namespace {

/// Consecutive along one dim; a dim of size 1 has no stride.
bool dense(const Matrix& m, int64_t rows, int64_t columns) {
  return (m.column_stride == 1 && (rows <= 1 || m.row_stride >= columns)) ||
         (m.row_stride == 1 && (columns <= 1 || m.column_stride >= rows));
}

/// Of a deeper product the kernel makes a block of memory its stack, and a signal's frame would destroy what lies
/// below. (oneDNN: 84 with AVX-512, more with AVX.)
constexpr int64_t kOnStack = 64;

void fill_rows(const Gemm& g) {
  auto* c = static_cast<float*>(g.c.data);
  const auto* bias = static_cast<const float*>(g.bias);
  for (int64_t i = 0; i < g.m; ++i) {
    for (int64_t j = 0; j < g.n; ++j) c[i * g.c.row_stride + j] = bias == nullptr ? 0.0F : bias[j * g.bias_stride];
  }
}

}  // namespace

bool onednn_takes(const Gemm& g) {
  return dense(g.a, g.m, g.k) && dense(g.b, g.k, g.n) && g.c.column_stride == 1 &&
         (g.m <= 1 || g.c.row_stride >= g.n) && (g.bias == nullptr || g.n == 1 || g.bias_stride == 1);
}

void onednn_sgemm(const Gemm& g) {
  if (g.k == 0) return g.accumulate ? void() : fill_rows(g);
  if (g.bias != nullptr) fill_rows(g);
  const OneThread one;
  std::optional<HoldSignals> hold;
  if (g.k > kOnStack) hold.emplace();
  // A leading dimension must be at least a row's length, also where there is one row only.
  auto leading = [](const Matrix& m, bool transposed, int64_t rows, int64_t columns) {
    return transposed ? std::max(m.column_stride, rows) : std::max(m.row_stride, columns);
  };
  const bool ta = g.a.column_stride != 1 || (g.m > 1 && g.a.row_stride < g.k),
             tb = g.b.column_stride != 1 || (g.k > 1 && g.b.row_stride < g.n);
  const float beta = g.bias != nullptr || g.accumulate ? 1.0F : 0.0F;
  dnnl_status_t status =
      dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', g.m, g.n, g.k, 1.0F, static_cast<const float*>(g.a.data),
                 leading(g.a, ta, g.m, g.k), static_cast<const float*>(g.b.data), leading(g.b, tb, g.k, g.n), beta,
                 static_cast<float*>(g.c.data), std::max(g.c.row_stride, g.n));
  if (status != dnnl_success) throw InternalError("oneDNN: sgemm failed with status " + std::to_string(status));
}

namespace {

/// A small product on a thread of its own. It must be over before the process forks or its exit handlers run: oneDNN's
/// tables, made on that thread, are destroyed by them.
class FirstProduct {
 public:
  static FirstProduct& the() {
    static FirstProduct& p = *new FirstProduct;
    return p;
  }
  void start() {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(started_, true)) thread_ = quiet_thread(run);
  }
  void join() {
    const std::lock_guard lock(mutex_);
    if (thread_.joinable()) thread_.join();
  }

 private:
  FirstProduct() {
    pthread_atfork([] { the().join(); }, nullptr, nullptr);
  }
  static void run() {
    const OneThread one;
    const float ones[4] = {1, 1, 1, 1};
    float out[4];
    dnnl_sgemm('N', 'N', 2, 2, 2, 1.0F, ones, 2, ones, 2, 0.0F, out, 2);
  }

  std::mutex mutex_;
  std::thread thread_;
  bool started_ = false;
};

}  // namespace

void onednn_prepare() {
  if (onednn_present() && get_num_threads() > 1) FirstProduct::the().start();
}
void onednn_prepared() { FirstProduct::the().join(); }

namespace {

struct MatmulPlan {
  dnnl::matmul primitive;
  memory::desc a, b, c, bias, scratch;
};

std::shared_ptr<const MatmulPlan> make_matmul(const Gemm& g) {
  const memory::data_type t = onednn_type(g.dtype);
  auto plan = std::make_shared<MatmulPlan>();
  auto desc = [t](const Matrix& m, int64_t rows, int64_t columns) {
    // Strides of dims of size 1 are made up so that the description is dense.
    const int64_t row =
        rows > 1 ? m.row_stride : std::max(m.row_stride, columns * std::max<int64_t>(m.column_stride, 1));
    const int64_t column = columns > 1 ? m.column_stride : m.row_stride == 1 ? std::max(m.column_stride, rows) : 1;
    return memory::desc({rows, columns}, t, {row, column});
  };
  plan->a = desc(g.a, g.m, g.k);
  plan->b = desc(g.b, g.k, g.n);
  plan->c = desc(g.c, g.m, g.n);
  if (g.bias != nullptr) plan->bias = memory::desc({1, g.n}, t, {g.n, 1});
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const auto d = g.bias != nullptr ? dnnl::matmul::desc(plan->a, plan->b, plan->bias, plan->c)
                                   : dnnl::matmul::desc(plan->a, plan->b, plan->c);
  const dnnl::matmul::primitive_desc pd(d, attr, onednn_engine());
  plan->scratch = pd.scratchpad_desc();
  plan->primitive = dnnl::matmul(pd);
  return plan;
}

}  // namespace

void onednn_matmul(const Gemm& g) {
  static LruCache<MatmulPlan>& cache = *new LruCache<MatmulPlan>(512);
  const OneThread one;
  const std::vector<int64_t> key{static_cast<int64_t>(g.dtype),
                                 g.m,
                                 g.n,
                                 g.k,
                                 g.a.row_stride,
                                 g.a.column_stride,
                                 g.b.row_stride,
                                 g.b.column_stride,
                                 g.c.row_stride,
                                 g.bias != nullptr ? 1 : 0};
  const std::shared_ptr<const MatmulPlan> plan = cache.get(key, [&] { return make_matmul(g); });
  const Scratch scratch(plan->scratch.get_size());
  const dnnl::engine& e = onednn_engine();
  std::unordered_map<int, memory> args{{DNNL_ARG_SRC, memory(plan->a, e, g.a.data)},
                                       {DNNL_ARG_WEIGHTS, memory(plan->b, e, g.b.data)},
                                       {DNNL_ARG_DST, memory(plan->c, e, g.c.data)},
                                       {DNNL_ARG_SCRATCHPAD, memory(plan->scratch, e, scratch.data())}};
  if (g.bias != nullptr) args.emplace(DNNL_ARG_BIAS, memory(plan->bias, e, const_cast<void*>(g.bias)));
  plan->primitive.execute(onednn_stream(), args);
}

}  // namespace thixo::cpu

#else  // THIXO_WITH_ONEDNN

namespace thixo::cpu {

namespace {
[[noreturn]] void absent() { throw InternalError("this build has no oneDNN"); }
}  // namespace

bool onednn_present() { return false; }
bool onednn_avx512() { return false; }
bool onednn_bf16() { return false; }
const char* onednn_version() { return ""; }
bool onednn_takes(const Gemm&) { return false; }
void onednn_sgemm(const Gemm&) { absent(); }
void onednn_prepare() {}
void onednn_prepared() {}
void onednn_matmul(const Gemm&) { absent(); }
std::shared_ptr<const ConvPlan> ConvPlan::of(const ConvShape&) { absent(); }

}  // namespace thixo::cpu

#endif
