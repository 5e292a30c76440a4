// The registry of ops, the builder, and reading the attributes of a call.
#include "ir/op.h"

#include <algorithm>
#include <deque>
#include <unordered_map>

namespace thixo {
namespace ops {
extern void (*const kDefinitions[])(Op&);
extern const int kDefinitionCount;
}  // namespace ops

namespace {

struct Registry {
  std::vector<OpDef> ops;
  std::unordered_map<std::string_view, const OpDef*> by_name;
  Registry() {
    ops.resize(static_cast<size_t>(ops::kDefinitionCount));
    for (int i = 0; i < ops::kDefinitionCount; ++i) {
      OpDef& d = ops[static_cast<size_t>(i)];
      d.id = i;
      Op op(d);
      ops::kDefinitions[i](op);
      d.checks_kinds = d.tier == Tier::Composite && !d.infer &&
                       std::any_of(d.schema.operands.begin(), d.schema.operands.end(),
                                   [](const OperandDecl& o) { return o.kind != TensorKind::Tensor; });
      names.push_back(d.schema.full_name());
    }
    for (int i = 0; i < ops::kDefinitionCount; ++i)
      by_name[names[static_cast<size_t>(i)]] = &ops[static_cast<size_t>(i)];
  }
  std::deque<std::string> names;
};

const Registry& registry() {
  static const Registry r;
  return r;
}

std::string operand_text(const Tensor& t) {
  return std::string(dtype_short_name(t.dtype())) + shape_str(t.shape()) + " " + t.device().str();
}

}  // namespace

const std::vector<OpDef>& all_ops() { return registry().ops; }
const OpDef& op_by_id(int id) { return registry().ops[static_cast<size_t>(id)]; }
const OpDef* find_op(std::string_view full_name) {
  auto it = registry().by_name.find(full_name);
  return it == registry().by_name.end() ? nullptr : it->second;
}

Op& Op::schema(std::string_view text) {
  d_.schema = parse_schema(text);
  return *this;
}
Op& Op::doc(std::string_view text) {
  d_.doc = text;
  return *this;
}
Op& Op::source(std::string_view text) {
  d_.source = text;
  return *this;
}
Op& Op::example(std::string_view text) {
  d_.example = text;
  return *this;
}
Op& Op::expr(std::function<Expr(ExprCtx&)> f) {
  d_.expr = std::move(f);
  d_.tier = Tier::Pointwise;
  return *this;
}
Op& Op::infer(std::function<void(Infer&)> f) {
  d_.infer = std::move(f);
  return *this;
}
Op& Op::nest(std::function<void(NestCtx&)> f) {
  d_.nest = std::move(f);
  if (d_.tier == Tier::Composite) d_.tier = Tier::Nest;
  return *this;
}
Op& Op::view(std::function<ViewSpec(const Call&)> f) {
  d_.view = std::move(f);
  d_.tier = Tier::View;
  return *this;
}
Op& Op::compose(std::function<Values(const Call&)> f) {
  d_.compose = std::move(f);
  d_.tier = Tier::Composite;
  return *this;
}
Op& Op::kernel(std::string_view backend_entry) {
  d_.kernel = backend_entry;
  d_.tier = Tier::Structured;
  return *this;
}
Op& Op::index_bounds(std::function<std::vector<IndexBound>(const Call&)> f) {
  d_.index_bounds = std::move(f);
  return *this;
}
Op& Op::grad(std::function<Values(GradCtx&)> f) {
  d_.grad = std::move(f);
  return *this;
}
Op& Op::no_grad() {
  d_.differentiable = false;
  return *this;
}
Op& Op::batch(std::function<BatchResult(const BatchArgs&)> f) {
  d_.batch = std::move(f);
  return *this;
}
Op& Op::samples(std::function<std::vector<Sample>()> f) {
  d_.samples = std::move(f);
  return *this;
}
Op& Op::bool_result() {
  d_.bool_result = true;
  d_.differentiable = false;
  return *this;
}
Op& Op::promotes() {
  d_.promotes = true;
  return *this;
}
Op& Op::commutative() {
  d_.commutative = true;
  return *this;
}
Op& Op::numbers_promote() {
  d_.numbers_promote = true;
  return *this;
}
Op& Op::fused_rows() {
  d_.fused_rows = true;
  return *this;
}
Op& Op::ulps_complex(double c128) {
  d_.ulps_c128 = c128;
  return *this;
}
Op& Op::ulps(double f32, double f64, double floor) {
  d_.ulps_f32 = f32;
  d_.ulps_f64 = f64;
  d_.ulps_floor = floor;
  return *this;
}

const Attr& Call::attr(std::string_view name) const {
  const std::vector<AttrDecl>& decls = op->schema.attrs;
  for (size_t i = 0; i < decls.size(); ++i) {
    if (decls[i].name == name) return attrs[i];
  }
  throw InternalError(op->name() + ": its definition asks for an attribute '" + std::string(name) +
                      "' that its schema lacks");
}

int Call::dim(std::string_view name, int rank) const {
  int64_t d = integer(name), n = std::max(rank, 1);
  if (d < -n || d >= n) {
    throw error(ErrorKind::Index, std::string(name) + " " + std::to_string(d) +
                                      " is out of range for a tensor of rank " + std::to_string(rank))
        .need(std::to_string(-n) + " <= " + std::string(name) + " <= " + std::to_string(n - 1));
  }
  return static_cast<int>(d < 0 ? d + n : d);
}

SmallVec<int, kMaxRank> Call::dims(std::string_view name, int rank) const {
  SmallVec<int, kMaxRank> out;
  const Attr& a = attr(name);
  if (a.index() == 0 || std::get<Shape>(a).empty()) {
    for (int d = 0; d < rank; ++d) out.push_back(d);
    return out;
  }
  int64_t n = std::max(rank, 1);
  for (Dim v : std::get<Shape>(a)) {
    int64_t d = v;
    if (d < -n || d >= n) {
      throw error(ErrorKind::Index, std::string(name) + " " + std::to_string(d) +
                                        " is out of range for a tensor of rank " + std::to_string(rank))
          .need(std::to_string(-n) + " <= " + std::string(name) + " <= " + std::to_string(n - 1));
    }
    int wrapped = static_cast<int>(d < 0 ? d + n : d);
    if (std::find(out.begin(), out.end(), wrapped) != out.end()) {
      throw error(ErrorKind::Value, std::string(name) + " " + std::to_string(wrapped) + " appears twice");
    }
    if (rank > 0) out.push_back(wrapped);
  }
  std::sort(out.begin(), out.end());
  return out;
}

Error Call::error(ErrorKind kind, std::string_view what) const {
  Error e(kind, op->name() + ": " + std::string(what));
  std::string got;
  for (size_t i = 0; i < in.size(); ++i) {
    size_t decl = op->schema.operand_at(i, in.size());
    std::string name = op->schema.operands[decl].name;
    if (op->schema.operands[decl].list) name += "[" + std::to_string(i - decl) + "]";
    got += (i > 0 ? "   " : "") + name + ": " + (in[i].defined() ? operand_text(in[i]) : "None");
  }
  if (!got.empty()) e.got(got);
  e.at(at);
  return e;
}

void Infer::require_fits(const Scalar& v, DType t) const {
  require(v.fits(t), ErrorKind::Value,
          v.str() + " cannot be converted to " + std::string(dtype_name(t)) + " without overflow");
}

void Infer::require(bool ok, ErrorKind kind, std::string_view what, std::string_view need, std::string_view fix) const {
  if (ok) return;
  Error e = error(kind, what);
  if (!need.empty()) e.need(need);
  if (!fix.empty()) e.fix(fix);
  throw e;
}

}  // namespace thixo
