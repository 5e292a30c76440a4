// KernelIR as bytes: the compiler plugin's input and the disk cache's key.
//
// Numbers are LEB128 (signed ones zigzag), reals eight bytes, strings a length and bytes. All expressions of
// the kernel stand in one table, arguments before users; statements name them by number + 1, 0 is none.
#include <bit>
#include <unordered_map>

#include "ir/kernel_ir.h"
#include "thixo/error.h"

namespace thixo {

namespace {

constexpr std::string_view kMagic = "thixoKI1";
constexpr int kMaxDepth = 64;  // of statements and of size expressions: hostile bytes cannot exhaust the stack

class Writer {
 public:
  std::string kernel(const Kernel& k) {
    Writer body;  // fills the table first
    body.table_ = table_;
    body.statements(k.body);
    out_ = kMagic;
    string(k.name);
    number(k.buffers.size());
    for (const KernelBuffer& b : k.buffers) {
      string(b.name);
      number(static_cast<uint64_t>(b.dtype));
      number(static_cast<uint64_t>(b.kind));
      dim(b.scratch_size);
    }
    number(k.sizes.size());
    for (Dim d : k.sizes) dim(d);
    number(static_cast<uint64_t>(k.params));
    integer(k.par_axis);
    number(k.vector_par);
    number(table_->count);
    out_ += table_->bytes + body.out_;
    return std::move(out_);
  }

 private:
  struct Table {
    std::unordered_map<const ExprNode*, uint64_t> index;
    uint64_t count = 0;
    std::string bytes;
  };

  void number(uint64_t v) {
    for (; v >= 0x80; v >>= 7) out_ += static_cast<char>(v | 0x80);
    out_ += static_cast<char>(v);
  }
  void integer(int64_t v) { number((static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63)); }
  void real(double v) {
    const uint64_t bits = std::bit_cast<uint64_t>(v);
    for (int i = 0; i < 8; ++i) out_ += static_cast<char>(bits >> (8 * i));
  }
  void string(std::string_view s) {
    number(s.size());
    out_ += s;
  }
  void dim(Dim d) {
    if (!d.is_symbolic()) {
      out_ += '#';
      integer(d.raw());
      return;
    }
    const DimNode& n = dim_node(d);
    out_ += n.op;
    if (n.op == 'n') return string(n.name);
    dim(n.a);
    dim(n.b);
  }

  void expr(Expr root) {
    if (!root) return number(0);
    visit(root, [&](Expr e) {
      if (!table_->index.emplace(e.get(), table_->count).second) return;
      Writer w;
      w.table_ = table_;
      w.node(*e.get());
      table_->bytes += w.out_;
      ++table_->count;
    });
    number(table_->index.at(root.get()) + 1);
  }
  void node(const ExprNode& n) {
    number(static_cast<uint64_t>(n.op));
    number(static_cast<uint64_t>(n.dtype) * 2 + n.guarded);
    integer(n.i);
    if (n.op == ExprOp::Const) {
      integer(n.ivalue);
      real(n.f);
      real(n.f2);
    }
    if (n.op == ExprOp::Size) dim(n.dim);
    number(n.args.size());
    for (Expr a : n.args) number(table_->index.at(a.get()));
  }
  void exprs(const std::vector<Expr>& list) {
    number(list.size());
    for (Expr e : list) expr(e);
  }

  void statements(const Block& body) {
    number(body.size());
    for (const Stmt& s : body) statement(s);
  }
  void statement(const Stmt& s) {
    number(s.kind);
    switch (s.kind) {
      case Stmt::Loop:
        integer(s.axis);
        expr(s.extent);
        number(static_cast<uint64_t>(s.loop));
        number(s.accs.size());
        for (const AccDecl& a : s.accs) acc_decl(a);
        break;
      case Stmt::Update:
      case Stmt::Assign:
        integer(s.acc);
        exprs(s.acc_index);
        expr(s.value);
        break;
      case Stmt::Store:
      case Stmt::Add:
        number(static_cast<uint64_t>(s.buffer));
        expr(s.index);
        expr(s.predicate);
        expr(s.value);
        break;
      case Stmt::If: expr(s.predicate); break;
    }
    if (s.kind == Stmt::Loop || s.kind == Stmt::If) statements(s.body);
  }
  void acc_decl(const AccDecl& a) {
    integer(a.id);
    number(static_cast<uint64_t>(a.dtype));
    number(static_cast<uint64_t>(a.combine));
    expr(a.init);
    number(a.tile.size());
    for (int n : a.tile) number(static_cast<uint64_t>(n));
  }

  std::string out_;
  std::shared_ptr<Table> table_ = std::make_shared<Table>();
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : in_(bytes) {}

  Kernel kernel() {
    if (in_.substr(0, kMagic.size()) != kMagic) bad("they do not begin as a kernel does");
    at_ = kMagic.size();
    Kernel k;
    k.name = string();
    k.buffers.resize(count());
    for (KernelBuffer& b : k.buffers) {
      b.name = string();
      b.dtype = choice<DType>(kDTypeCount);
      b.kind = choice<BufferKind>(4);
      b.scratch_size = dim(0);
    }
    k.sizes.resize(count());
    for (Dim& d : k.sizes) d = dim(0);
    k.params = small();
    k.par_axis = static_cast<int>(integer());
    k.vector_par = number() != 0;
    const size_t nodes = count();
    for (size_t i = 0; i < nodes; ++i) table_.push_back(node());
    k.body = statements(0);
    if (at_ != in_.size()) bad("bytes are left over");
    return k;
  }

 private:
  [[noreturn]] static void bad(const char* why) {
    throw ValueError("kernel bytes are damaged: " + std::string(why)).fix("delete the cache file they came from");
  }

  uint8_t byte() {
    if (at_ >= in_.size()) bad("they end too early");
    return static_cast<uint8_t>(in_[at_++]);
  }
  uint64_t number() {
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t b = byte();
      v |= static_cast<uint64_t>(b & 0x7f) << shift;
      if (b < 0x80) return v;
    }
    bad("a number is too long");
  }
  int64_t integer() {
    const uint64_t v = number();
    return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1);
  }
  int small() {
    const uint64_t v = number();
    if (v > INT32_MAX) bad("a number is too large");
    return static_cast<int>(v);
  }
  /// A count of things that take at least one byte each.
  size_t count() {
    const uint64_t v = number();
    if (v > in_.size() - at_) bad("a count is larger than what follows");
    return static_cast<size_t>(v);
  }
  template <class E> E choice(int n) {
    const uint64_t v = number();
    if (v >= static_cast<uint64_t>(n)) bad("a choice is out of range");
    return static_cast<E>(v);
  }
  double real() {
    uint64_t bits = 0;
    for (int i = 0; i < 8; ++i) bits |= static_cast<uint64_t>(byte()) << (8 * i);
    return std::bit_cast<double>(bits);
  }
  std::string string() {
    const size_t n = count();
    at_ += n;
    return std::string(in_.substr(at_ - n, n));
  }
  Dim dim(int depth) {
    if (depth > kMaxDepth) bad("a size is nested too deeply");
    const char op = static_cast<char>(byte());
    if (op == '#') {
      const Dim d = integer();
      if (d.is_symbolic()) bad("a size is out of range");
      return d;
    }
    if (op == 'n') return Dim::named(string());
    const Dim a = dim(depth + 1), b = dim(depth + 1);
    switch (op) {
      case '+': return a + b;
      case '-': return a - b;
      case '*': return a * b;
      case '/': return a / b;
      case '%': return a % b;
      default: bad("a size has an unknown operator");
    }
  }

  Expr entry(uint64_t i) {
    if (i >= table_.size()) bad("an expression names a later one");
    return table_[static_cast<size_t>(i)];
  }
  Expr expr() {
    const uint64_t i = number();
    return i == 0 ? Expr() : entry(i - 1);
  }
  Expr node() {
    ExprNode n{};
    n.op = choice<ExprOp>(static_cast<int>(ExprOp::Conj) + 1);
    const int type = choice<int>(2 * kDTypeCount);
    n.dtype = static_cast<DType>(type / 2);
    n.guarded = type % 2 != 0;
    n.i = static_cast<int32_t>(integer());
    if (n.op == ExprOp::Const) {
      n.ivalue = integer();
      n.f = real();
      n.f2 = real();
    }
    if (n.op == ExprOp::Size) n.dim = dim(0);
    n.args.resize(count());
    for (Expr& a : n.args) a = entry(number());
    return make_expr(std::move(n));
  }
  std::vector<Expr> exprs() {
    std::vector<Expr> list(count());
    for (Expr& e : list) e = some_expr();
    return list;
  }
  Expr some_expr() {
    const Expr e = expr();
    if (!e) bad("an expression is missing");
    return e;
  }

  Block statements(int depth) {
    if (depth > kMaxDepth) bad("loops are nested too deeply");
    Block body;
    const size_t n = count();
    for (size_t i = 0; i < n; ++i) body.push_back(statement(depth));
    return body;
  }
  Stmt statement(int depth) {
    Stmt s;
    s.kind = choice<Stmt::Kind>(Stmt::If + 1);
    switch (s.kind) {
      case Stmt::Loop:
        s.axis = static_cast<int>(integer());
        s.extent = some_expr();
        s.loop = choice<LoopKind>(3);
        s.accs.resize(count());
        for (AccDecl& a : s.accs) a = acc_decl();
        break;
      case Stmt::Update:
      case Stmt::Assign:
        s.acc = static_cast<int>(integer());
        s.acc_index = exprs();
        s.value = some_expr();
        break;
      case Stmt::Store:
      case Stmt::Add:
        s.buffer = small();
        s.index = some_expr();
        s.predicate = expr();
        s.value = some_expr();
        break;
      case Stmt::If: s.predicate = some_expr(); break;
    }
    if (s.kind == Stmt::Loop || s.kind == Stmt::If) s.body = statements(depth + 1);
    return s;
  }
  AccDecl acc_decl() {
    AccDecl a{};
    a.id = static_cast<int>(integer());
    a.dtype = choice<DType>(kDTypeCount);
    a.combine = choice<Combine>(6);
    a.init = expr();
    a.tile.resize(count());
    for (int& n : a.tile) n = small();
    return a;
  }

  std::string_view in_;
  size_t at_ = 0;
  std::vector<Expr> table_;
};

}  // namespace

std::string serialize(const Kernel& k) { return Writer().kernel(k); }

Kernel deserialize(std::string_view bytes) {
  try {
    return Reader(bytes).kernel();
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::Value) throw;
    throw ValueError("kernel bytes are damaged: an expression is none").got(e.headline());
  }
}

}  // namespace thixo
