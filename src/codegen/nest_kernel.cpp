// The kernel of a nest that gives each element by itself: its axes merged, operands flat with strides as arguments.
#include <algorithm>

#include "codegen/cast_kernels.h"
#include "codegen/nest_form.h"

namespace thixo::codegen {
namespace {

class NestBuilder {
 public:
  NestBuilder(const NestForm& form, uint32_t merged, bool contiguous) : form_(form), contiguous_(contiguous) {
    int group = 0;
    for (int d = 0; d < form.rank; ++d) {
      group_of_.push_back(group);
      if ((merged >> d & 1) == 0) ++group;
    }
    out_.axes = group_of_.back() + 1;
  }

  NestKernel build() {
    Kernel& k = out_.kernel;
    k.params = static_cast<int>(form_.params.size());
    inner_ = out_.axes - 1;
    k.par_axis = out_.axes > 1 ? kOuter : 0;
    k.vector_par = out_.axes == 1;
    for (size_t i = 0; i < form_.in.size(); ++i) add_buffer(static_cast<int>(i));
    k.buffers.push_back({"out", form_.out, BufferKind::Out, {}});
    Block body;
    Expr value = lower(form_.value);
    if (form_.combine) value = reduced(value, body);
    body.push_back(make_store(static_cast<int>(out_.operands.size()), place(), convert(value, loaded_type(form_.out))));
    if (out_.axes == 1) {
      k.body = std::move(body);
    } else {
      k.body = {make_loop(inner_, extent(inner_), LoopKind::Vector, {}, std::move(body))};
    }
    return std::move(out_);
  }

 private:
  static constexpr int kOuter = 100, kReduce = 200, kAcc = 300;

  /// The kernel's number of a reduced axis, the same for results of any rank.
  int reduced_axis(int id) const { return kReduce + id - form_.rank; }

  /// Puts the loops over the reduced axes into the body; their result, finished.
  Expr reduced(Expr value, Block& body) {
    const DType t = value.dtype();
    Stmt loops = make_update(kAcc, value);
    for (size_t i = form_.reduce.size(); i-- > 0;) {
      std::vector<AccDecl> accs;
      if (i == 0) accs.push_back({kAcc, t, *form_.combine, {}});
      loops = make_loop(reduced_axis(form_.reduce[i].axis), lower(size(form_.reduce[i].extent)), LoopKind::Serial,
                        std::move(accs), {std::move(loops)});
    }
    body.push_back(std::move(loops));
    return form_.finish ? lower(form_.finish(acc(kAcc, t))) : acc(kAcc, t);
  }

  void add_buffer(int operand) {
    const bool read =
        std::any_of(form_.reads.begin(), form_.reads.end(), [&](const NestRead& r) { return r.operand == operand; });
    if (!read) return;
    out_.operands.push_back(operand);
    out_.kernel.buffers.push_back(
        {"x" + std::to_string(operand), form_.in[static_cast<size_t>(operand)], BufferKind::In, {}});
  }
  int buffer_of(int operand) const {
    return static_cast<int>(std::find(out_.operands.begin(), out_.operands.end(), operand) - out_.operands.begin());
  }

  // An integer argument; the same one for the same source.
  Expr argument(const NestSize& s) {
    for (size_t i = 0; i < out_.sizes.size(); ++i) {
      const NestSize& o = out_.sizes[i];
      if (o.kind == s.kind && o.operand == s.operand && o.dim == s.dim && o.value.raw() == s.value.raw()) {
        return size(out_.kernel.sizes[i]);
      }
    }
    out_.sizes.push_back(s);
    out_.kernel.sizes.push_back(Dim::named("z" + std::to_string(out_.kernel.sizes.size())));
    return size(out_.kernel.sizes.back());
  }
  Expr extent(int group) { return argument({NestSize::Extent, 0, group, {}}); }

  /// The index of a merged axis at this point of the loops.
  Expr group_index(int group) {
    if (group == inner_) return axis(inner_);
    Expr i = axis(kOuter);
    if (group + 1 < inner_) {
      Expr below = extent(group + 1);
      for (int g = group + 2; g < inner_; ++g) below = below * extent(g);
      i = floor_div(i, below);
    }
    return group == 0 ? i : mod(i, extent(group));
  }
  Expr place() { return out_.axes == 1 ? axis(0) : axis(kOuter) * extent(inner_) + axis(inner_); }

  Expr lower(Expr e) {
    return substitute(e, [&](Expr n) -> Expr {
      if (n->op == ExprOp::Axis && n->i >= form_.rank && n->i != kPlace) return axis(reduced_axis(n->i));
      if (n->op == ExprOp::Axis) return n->i == kPlace ? place() : group_index(group_of_[static_cast<size_t>(n->i)]);
      if (n->op == ExprOp::Size && n->dim.is_symbolic()) return argument({NestSize::Value, 0, 0, n->dim});
      return n->op == ExprOp::At ? lower_read(n) : Expr();
    });
  }

  Expr lower_read(Expr at) {
    const size_t rank = at->args.size() - (at->guarded ? 2 : 0);
    Expr flat = constant_int(0);
    for (size_t d = 0; d < rank; ++d) {
      const Expr i = at->args[d];
      const bool direct = i->op == ExprOp::Axis && i->i < form_.rank;
      // Of merged neighbours the last one has the stride.
      if (direct && d + 1 < rank && at->args[d + 1] == axis(i->i + 1) && i->i + 1 < form_.rank &&
          group_of_[static_cast<size_t>(i->i) + 1] == group_of_[static_cast<size_t>(i->i)]) {
        continue;
      }
      const bool runs = direct && group_of_[static_cast<size_t>(i->i)] == inner_ && contiguous_;
      const Expr index = lower(i);
      flat = flat + (runs ? index : index * argument({NestSize::Stride, at->i, static_cast<int>(d), {}}));
    }
    const int buffer = buffer_of(at->i);
    const DType type = loaded_type(form_.in[static_cast<size_t>(at->i)]);
    if (!at->guarded) return convert(load(buffer, type, flat), at->dtype);
    const Expr predicate = lower(at->args[rank]), other = convert(lower(at->args[rank + 1]), type);
    return convert(load_if(predicate, buffer, type, flat, other), at->dtype);
  }

  const NestForm& form_;
  bool contiguous_;
  int inner_ = 0;
  std::vector<int> group_of_;
  NestKernel out_;
};

}  // namespace

NestKernel nest_kernel(const NestForm& form, uint32_t merged, bool contiguous) {
  return NestBuilder(form, merged, contiguous).build();
}

}  // namespace thixo::codegen
