#include "thixo/object.h"

namespace thixo {
namespace {

BindingHooks g_hooks{};

}  // namespace

void set_binding_hooks(BindingHooks hooks) { g_hooks = hooks; }

void wait_outside_binding(void (*block)(void*), void* arg) {
  g_hooks.wait != nullptr ? g_hooks.wait(block, arg) : block(arg);
}

Object::~Object() = default;

void Object::retain_bound(uintptr_t s) noexcept { g_hooks.retain(reinterpret_cast<void*>(s)); }
void Object::release_bound(uintptr_t s) noexcept { g_hooks.release(reinterpret_cast<void*>(s)); }

}  // namespace thixo
