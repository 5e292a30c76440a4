// Which modules run on this thread, so that an error can say in which of them it arose.
#include <algorithm>

#include "nn/names.h"
#include "thixo/nn_module.h"

namespace thixo::nn::detail {
namespace {

constexpr int kDepth = 64;  // deeper nesting is noted no more: paths in errors then end there
struct Stack {
  const Module* at[kDepth];
  int depth = 0;
};
Stack& stack() {
  thread_local Stack s;
  return s;
}

/// The dotted name of `m` below `root`; false when it is not there.
bool path_below(const Module& root, const Module* m, std::string* path) {
  for (const auto& [name, child] : root.named_children()) {
    std::string rest;
    if (child.get() != m && !path_below(*child, m, &rest)) continue;
    *path = rest.empty() ? name : join(name, rest);
    return true;
  }
  return false;
}

}  // namespace

Running::Running(const Module* m) noexcept {
  Stack& s = stack();
  if (s.depth < kDepth) s.at[s.depth] = m;
  ++s.depth;
}
Running::~Running() { --stack().depth; }

void Running::locate(Error& e) {
  if (e.in_module()) return;
  const Stack& s = stack();
  std::string path;
  for (int i = 1; i < std::min(s.depth, kDepth); ++i) {
    std::string step;
    // A module that is not below the one that called it starts a path of its own.
    if (s.at[i] == s.at[i - 1]) continue;
    path = path_below(*s.at[i - 1], s.at[i], &step) ? join(path, step) : s.at[i]->type_name();
  }
  if (path.empty()) path = s.at[0]->type_name();
  e.in_module(path);
}

}  // namespace thixo::nn::detail
