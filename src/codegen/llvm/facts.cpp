#include "codegen/llvm/facts.h"

#include <set>

#include "thixo/error.h"

namespace thixo::codegen {

namespace {

void each_expr(const Stmt& s, const std::function<void(Expr)>& f) {
  const auto call = [&](Expr e) {
    if (e) f(e);
  };
  call(s.extent);
  call(s.index);
  call(s.predicate);
  call(s.value);
  for (const AccDecl& a : s.accs) call(a.init);
  for (Expr e : s.acc_index) call(e);
}

void find_loads(const Block& body, std::set<int>& loaded) {
  for (const Stmt& s : body) {
    each_expr(s, [&](Expr e) {
      visit(e, [&](Expr n) {
        if (n->op == ExprOp::Load) loaded.insert(n->i);
      });
    });
    find_loads(s.body, loaded);
  }
}

}  // namespace

KernelFacts::KernelFacts(const Kernel& k) {
  std::set<int> loaded;
  find_loads(k.body, loaded);
  for (int b : loaded) {
    if (k.buffers[static_cast<size_t>(b)].kind != BufferKind::In) buffers_[b] = fresh_state();
  }
  axes_[k.par_axis] = 0;
  number_statements(k.body);
}

size_t KernelFacts::fresh_state() {
  if (states_ == StateSet().size()) throw NotImplementedError("a kernel with more than 256 accumulators and buffers");
  return states_++;
}

void KernelFacts::number_statements(const Block& body) {
  for (const Stmt& s : body) {
    if (s.kind == Stmt::Loop) {
      axes_.try_emplace(s.axis, axes_.size());
      if (axes_.size() > AxisSet().size()) throw NotImplementedError("a kernel with more than 64 loops");
      for (const AccDecl& a : s.accs) {
        if (!accs_.count(a.id)) accs_[a.id] = fresh_state();
      }
    }
    number_statements(s.body);
  }
}

const Deps& KernelFacts::deps(Expr root) {
  const auto found = deps_.find(root.get());
  if (found != deps_.end()) return found->second;
  Deps d;
  for (Expr a : root->args) {
    const Deps& of = deps(a);
    d.axes |= of.axes;
    d.states |= of.states;
    d.loads |= of.loads;
  }
  if (root->op == ExprOp::Axis) d.axes.set(axis_slot(root->i));
  if (root->op == ExprOp::Acc) d.states.set(acc_state(root->i));
  if (root->op == ExprOp::Load) {
    d.loads = true;
    if (ordered(root->i)) d.states.set(buffer_state(root->i));
  }
  return deps_.emplace(root.get(), d).first->second;
}

StateSet KernelFacts::writes(const Block& body) const {
  StateSet w;
  for (const Stmt& s : body) {
    if (s.kind == Stmt::Update || s.kind == Stmt::Assign) w.set(acc_state(s.acc));
    if ((s.kind == Stmt::Store || s.kind == Stmt::Add) && ordered(s.buffer)) w.set(buffer_state(s.buffer));
    for (const AccDecl& a : s.accs) w.set(acc_state(a.id));
    w |= writes(s.body);
  }
  return w;
}

}  // namespace thixo::codegen
