#include "codegen/schedule.h"

#include <algorithm>

#include "codegen/cast_kernels.h"
#include "codegen/schedule_nodes.h"
#include "codegen/schedule_values.h"

namespace thixo::codegen {
namespace {

/// The sizes that the kernel's expressions and scratch are made of, each once, in the order of their use.
class SizesOf {
 public:
  explicit SizesOf(Kernel& k) : kernel_(k) {}

  void note(Dim d) {
    if (!d.is_symbolic()) return;
    std::vector<Dim> todo = {d};
    while (!todo.empty()) {
      Dim x = todo.back();
      todo.pop_back();
      if (!x.is_symbolic()) continue;
      const DimNode& n = dim_node(x);
      if (n.op != 'n') {
        todo.push_back(n.a);
        todo.push_back(n.b);
      } else if (std::none_of(kernel_.sizes.begin(), kernel_.sizes.end(), [&](Dim s) { return s.raw() == x.raw(); })) {
        kernel_.sizes.push_back(x);
      }
    }
  }
  void note(const Block& b) {
    for (const Stmt& s : b) {
      for (Expr e : {s.extent, s.index, s.predicate, s.value}) note(e);
      note(s.body);
    }
  }

 private:
  void note(Expr e) {
    if (!e) return;
    visit(e, [&](Expr n) {
      if (n->op == ExprOp::Size) note(n->dim);
    });
  }

  Kernel& kernel_;
};

/// Writes the kernel: passes over a row, each of which computes and stores what became ready.
class Scheduler {
 public:
  Scheduler(const NodeGroup& group, const std::string& name)
      : group_(group), domain_(group, ids_), values_(group, domain_, ids_, out_) {
    out_.kernel.name = name;
    out_.kernel.par_axis = domain_.par_axis();
  }

  Scheduled run() {
    for (int n : group_.nodes()) values_.add_node(n);
    out_.kernel.vector_par = domain_.flat();
    out_.extent = domain_.flat() ? domain_.rows() * domain_.columns() : domain_.rows();
    out_.row = domain_.columns();
    emit();
    out_.kernel.params = static_cast<int>(out_.params.size());
    collect_sizes();
    verify(out_.kernel);
    return std::move(out_);
  }

 private:
  /// An expression that is kept in row scratch, and how it is read there after its pass.
  struct Kept {
    Expr expr, load;
    int pass;
  };

  void emit() {
    int passes = 0;
    for (ValueId v : values_.order()) passes = std::max(passes, values_[v].level);
    for (const auto& r : values_.reductions()) passes = std::max(passes, r.level);
    if (domain_.flat()) {
      for (ValueId v : values_.order()) {
        if (group_.stored(v)) store(v, domain_.par());
      }
    } else {
      for (int pass = 0; pass <= passes; ++pass) emit_pass(pass);
    }
    out_.kernel.body = std::move(block_);
  }

  void emit_pass(int pass) {
    for (ValueId v : values_.order()) {  // row values that are ready before the pass over the columns
      const auto& x = values_[v];
      if (!x.full && x.level == pass && group_.stored(v)) store(v, domain_.par());
    }
    Block body;
    std::swap(body, block_);
    std::vector<AccDecl> accs;
    for (const auto& r : values_.reductions()) {
      if (r.level != pass) continue;
      accs.push_back({r.id, r.value.dtype(), r.combine, {}});
    }
    const Expr columns = size(domain_.columns());
    for (ValueId v : values_.order()) {
      const auto& x = values_[v];
      if (x.full && x.level == pass && group_.stored(v)) store(v, domain_.par() * columns + domain_.column());
    }
    keep_expensive(pass);
    for (const auto& r : values_.reductions()) {
      if (r.level == pass) block_.push_back(make_update(r.id, replaced(r.value, pass)));
    }
    std::swap(body, block_);
    if (body.empty()) return;
    block_.push_back(make_loop(domain_.column_axis(), columns, LoopKind::Vector, std::move(accs), std::move(body)));
  }

  /// Expensive values of this pass that later passes read go to row scratch (or are read back from their output).
  void keep_expensive(int pass) {
    for (ValueId v : values_.order()) {
      const auto& x = values_[v];
      if (!x.full || x.level != pass || !expensive(x.expr) || !read_after(x.expr, pass)) continue;
      auto id = static_cast<int>(out_.kernel.buffers.size());
      DType t = x.expr.dtype();
      if (is_complex(t) || t == DType::Bool) continue;
      out_.kernel.buffers.push_back(
          {"scratch" + std::to_string(scratch_.size()), t, BufferKind::Scratch, domain_.columns()});
      out_.buffers.push_back(-1);
      block_.push_back(make_store(id, domain_.column(), replaced(x.expr, pass)));
      scratch_.push_back({x.expr, load(id, t, domain_.column()), pass});
    }
  }
  bool read_after(Expr e, int pass) const {
    auto contains = [&](Expr whole) {
      bool found = false;
      visit(whole, [&](Expr n) { found = found || n == e; });
      return found;
    };
    for (const auto& r : values_.reductions()) {
      if (r.level > pass && contains(r.value)) return true;
    }
    for (ValueId v : values_.order()) {
      const auto& x = values_[v];
      if (x.full && x.level > pass && group_.stored(v) && contains(x.expr)) return true;
    }
    return false;
  }
  Expr replaced(Expr e, int pass) const {
    return substitute(e, [&](Expr n) -> Expr {
      for (const Kept& k : scratch_) {
        if (k.pass < pass && n == k.expr) return k.load;
      }
      return {};
    });
  }

  void store(ValueId v, Expr index) {
    const auto& x = values_[v];
    int b = values_.buffer(v, BufferKind::Out);
    block_.push_back(make_store(b, index, convert(replaced(x.expr, x.level), loaded_type(group_.gv(v).dtype))));
  }

  void collect_sizes() {
    SizesOf sizes(out_.kernel);
    sizes.note(domain_.rows());
    sizes.note(domain_.columns());
    for (const KernelBuffer& b : out_.kernel.buffers) sizes.note(b.scratch_size);
    sizes.note(out_.kernel.body);
  }

  const NodeGroup& group_;
  KernelIds ids_;
  Scheduled out_;
  Domain domain_;
  NodeValues values_;
  std::vector<Kept> scratch_;
  Block block_;
};

}  // namespace

std::optional<Scheduled> schedule(const Graph& g, std::span<const int> nodes,
                                  const std::function<bool(ValueId)>& stored, const LayoutOf& layout,
                                  const std::string& name, std::string* why) {
  try {
    const NodeGroup group(g, nodes, stored, layout);
    return Scheduler(group, name).run();
  } catch (const CannotSchedule& c) {
    if (why != nullptr) *why = c.why;
    return std::nullopt;
  }
}

}  // namespace thixo::codegen
