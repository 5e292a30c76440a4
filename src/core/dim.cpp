// Symbolic sizes. Every expression is kept in one canonical form, so that equal sizes are the same
// handle: a polynomial over atoms (names, quotients and remainders), written as a tree of DimNodes.
#include "thixo/dim.h"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <numeric>
#include <tuple>
#include <vector>

#include "core/dim_hook.h"
#include "thixo/error.h"

namespace thixo {

// --- the table of interned nodes

struct DimTable {
  struct Interned {
    DimNode node;
    std::string text;
  };
  std::mutex mutex;
  std::deque<Interned> nodes;  // addresses stay
  std::map<std::tuple<char, std::string, int64_t, int64_t>, Dim> index;

  static Dim handle(size_t place) { return Dim(Dim::Raw{Dim::kFirst + static_cast<int64_t>(place)}); }
  static size_t place(Dim handle) { return static_cast<size_t>(handle.raw() - Dim::kFirst); }
  bool full() const { return nodes.size() >= Dim::kHandles; }
};

namespace {

using Interned = DimTable::Interned;

DimTable& table() {
  static DimTable* t = new DimTable;  // sizes in static objects outlive everything else
  return *t;
}

thread_local DimResolver resolver_of_thread = nullptr;

const Interned& interned(Dim d) {
  DimTable& t = table();
  std::lock_guard lock(t.mutex);
  return t.nodes[DimTable::place(d)];
}

int precedence(Dim d) {
  if (!d.is_symbolic()) return d.raw() < 0 ? 0 : 3;
  char op = interned(d).node.op;
  return op == 'n' ? 3 : op == '+' || op == '-' ? 1 : 2;
}

std::string in_parentheses_below(int level, Dim d) { return precedence(d) < level ? "(" + d.str() + ")" : d.str(); }

std::string node_text(const DimNode& n) {
  switch (n.op) {
    case 'n': return n.name;
    case '+': return in_parentheses_below(1, n.a) + " + " + in_parentheses_below(1, n.b);
    case '-': return in_parentheses_below(1, n.a) + " - " + in_parentheses_below(2, n.b);
    default: return in_parentheses_below(2, n.a) + n.op + in_parentheses_below(3, n.b);
  }
}

Dim intern(DimNode node) {
  std::string text = node_text(node);
  DimTable& t = table();
  std::lock_guard lock(t.mutex);
  auto key = std::make_tuple(node.op, node.name, node.a.raw(), node.b.raw());
  if (auto known = t.index.find(key); known != t.index.end()) return known->second;
  if (t.full()) throw InternalError("too many symbolic sizes").got(std::to_string(t.nodes.size()));
  Dim made = DimTable::handle(t.nodes.size());
  t.nodes.push_back({std::move(node), std::move(text)});
  t.index.emplace(std::move(key), made);
  return made;
}

// --- numbers

[[noreturn]] void overflow(const std::string& what) {
  throw ValueError("integer overflow in sizes").got(what).need("results from -2^63 to 2^63 - 1");
}

int64_t floor_divide(int64_t a, int64_t b) {
  if (b == -1) return a == INT64_MIN ? INT64_MAX : -a;  // its callers look for INT64_MIN first
  int64_t q = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

int64_t floor_remainder(int64_t a, int64_t b) {
  int64_t r = b == -1 ? 0 : a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/// a op b of plain numbers; the divisor is not 0.
Dim compute(char op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool lost = false;
  switch (op) {
    case '+': lost = __builtin_add_overflow(a, b, &result); break;
    case '-': lost = __builtin_sub_overflow(a, b, &result); break;
    case '*': lost = __builtin_mul_overflow(a, b, &result); break;
    case '/':
      lost = a == INT64_MIN && b == -1;
      result = lost ? 0 : floor_divide(a, b);
      break;
    default: result = floor_remainder(a, b); break;
  }
  if (lost) overflow(std::to_string(a) + " " + op + " " + std::to_string(b));
  return result;
}

// --- polynomials

struct ByText {
  bool operator()(Dim a, Dim b) const { return a.raw() != b.raw() && a.str() < b.str(); }
};
using Monomial = std::vector<Dim>;  // sorted atoms

struct MonomialOrder {  // higher degree first, then by text: the same in every process
  bool operator()(const Monomial& a, const Monomial& b) const {
    if (a.size() != b.size()) return a.size() > b.size();
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), ByText());
  }
};
using Poly = std::map<Monomial, int64_t, MonomialOrder>;

void add_term(Poly& p, const Monomial& m, int64_t c) {
  auto it = p.try_emplace(m, 0).first;
  // The most negative number has no negative of its own, which gcd and the text of a difference need.
  if (__builtin_add_overflow(it->second, c, &it->second) || it->second == INT64_MIN)
    overflow("a coefficient of a symbolic size");
  if (it->second == 0) p.erase(it);
}

Poly add(const Poly& a, const Poly& b, int64_t scale) {
  Poly out = a;
  for (const auto& [m, c] : b) add_term(out, m, c * scale);  // scale is 1 or -1
  return out;
}

Poly multiply(const Poly& a, const Poly& b) {
  Poly out;
  for (const auto& [ma, ca] : a) {
    for (const auto& [mb, cb] : b) {
      Monomial m = ma;
      m.insert(m.end(), mb.begin(), mb.end());
      std::sort(m.begin(), m.end(), ByText());
      add_term(out, m, compute('*', ca, cb).value());
    }
  }
  return out;
}

Poly to_poly(Dim d) {
  Poly p;
  if (!d.is_symbolic()) {
    add_term(p, {}, d.raw());
    return p;
  }
  const DimNode& n = interned(d).node;
  switch (n.op) {
    case '+': return add(to_poly(n.a), to_poly(n.b), 1);
    case '-': return add(to_poly(n.a), to_poly(n.b), -1);
    case '*': return multiply(to_poly(n.a), to_poly(n.b));
    default: add_term(p, {d}, 1); return p;
  }
}

Dim term(const Monomial& m, int64_t c) {
  if (m.empty()) return Dim(c);
  Dim d = m[0];
  for (size_t i = 1; i < m.size(); ++i) d = intern({'*', "", d, m[i]});
  return c == 1 ? d : intern({'*', "", d, Dim(c)});
}

Dim from_poly(const Poly& p) {
  Dim sum;
  bool first = true;
  auto append = [&](const Monomial& m, int64_t c) {
    if (first) {
      sum = term(m, c);
      first = false;
    } else {
      sum = c < 0 ? intern({'-', "", sum, term(m, -c)}) : intern({'+', "", sum, term(m, c)});
    }
  };
  for (const auto& [m, c] : p) {
    if (c > 0) append(m, c);
  }
  for (const auto& [m, c] : p) {
    if (c < 0) append(m, c);
  }
  return sum;
}

// --- division

bool remove_atoms(Monomial& m, const Monomial& atoms) {
  for (Dim a : atoms) {
    auto it = std::find_if(m.begin(), m.end(), [&](Dim x) { return x.raw() == a.raw(); });
    if (it == m.end()) return false;
    m.erase(it);
  }
  return true;
}

// Only a constant or a product of names (which are at least 1) is known not to be zero.
bool divides_safely(const Poly& q) {
  if (q.size() != 1) return false;
  for (Dim atom : q.begin()->first) {
    if (interned(atom).node.op != 'n') return false;
  }
  return true;
}

// p = q * quotient + rest, exactly; so p/q = quotient + rest/q and p%q = rest%q.
struct Split {
  Poly quotient, rest;
};
Split split_by(const Poly& p, const Poly& q) {
  if (!divides_safely(q)) return {{}, p};
  const auto& [atoms, divisor] = *q.begin();
  Split out;
  for (const auto& [m, c] : p) {
    Monomial m_over_q = m;
    if (!remove_atoms(m_over_q, atoms)) {
      add_term(out.rest, m, c);
      continue;
    }
    int64_t k = floor_divide(c, divisor);
    add_term(out.quotient, m_over_q, k);
    add_term(out.rest, m, floor_remainder(c, divisor));
  }
  return out;
}

bool is_number(const Poly& p) { return p.empty() || (p.size() == 1 && p.begin()->first.empty()); }
int64_t number(const Poly& p) { return p.empty() ? 0 : p.begin()->second; }

Dim divide(Dim a, Dim b) {
  Poly q = to_poly(b);
  auto [quotient, rest] = split_by(to_poly(a), q);
  if (is_number(rest) && is_number(q)) {
    add_term(quotient, {}, floor_divide(number(rest), number(q)));
  } else if (!rest.empty()) {
    int64_t g = 0;
    for (const auto& entry : rest) g = std::gcd(g, entry.second);
    for (const auto& entry : q) g = std::gcd(g, entry.second);
    for (auto& entry : rest) entry.second /= g;
    for (auto& entry : q) entry.second /= g;
    add_term(quotient, {intern({'/', "", from_poly(rest), from_poly(q)})}, 1);
  }
  return from_poly(quotient);
}

Dim remainder(Dim a, Dim b) {
  Poly q = to_poly(b);
  Poly rest = split_by(to_poly(a), q).rest;
  if (rest.empty()) return 0;
  if (is_number(rest) && is_number(q)) return floor_remainder(number(rest), number(q));
  return intern({'%', "", from_poly(rest), from_poly(q)});
}

}  // namespace

Dim Dim::named(const std::string& name) { return intern({'n', name, {}, {}}); }

Dim Dim::combine(char op, Dim a, Dim b) {
  if ((op == '/' || op == '%') && b.v_ == 0) {
    throw ValueError("division of a size by zero").got(a.str() + " " + op + " 0");
  }
  if (!a.is_symbolic() && !b.is_symbolic()) return compute(op, a.v_, b.v_);
  switch (op) {
    case '+': return from_poly(add(to_poly(a), to_poly(b), 1));
    case '-': return from_poly(add(to_poly(a), to_poly(b), -1));
    case '*': return from_poly(multiply(to_poly(a), to_poly(b)));
    case '/': return divide(a, b);
    default: return remainder(a, b);
  }
}

void Dim::reject(int64_t v, bool is_unsigned) {
  const bool large = is_unsigned && v < 0;
  throw ValueError("the number " + (large ? std::to_string(static_cast<uint64_t>(v)) : std::to_string(v)) +
                   " cannot be a size or an index")
      .need(large ? "at most 2^63 - 1" : "a number outside of those that stand for symbolic sizes");
}

int64_t Dim::resolve() const {
  if (resolver_of_thread) return resolver_of_thread(*this);
  throw ValueError("the size " + str() + " is not known here")
      .fix("ask for its value only where the shapes are given, or while a function is recorded");
}

std::string Dim::str() const { return is_symbolic() ? interned(*this).text : std::to_string(v_); }

const DimNode& dim_node(Dim symbolic) {
  if (!symbolic.is_symbolic()) throw InternalError("dim_node: not a symbolic size").got(symbolic.str());
  return interned(symbolic).node;
}

DimResolver set_dim_resolver(DimResolver resolver) { return std::exchange(resolver_of_thread, resolver); }

std::string shape_str(const Shape& s) {
  std::string text = "[";
  for (size_t i = 0; i < s.size(); ++i) text += (i ? ", " : "") + s[i].str();
  return text + "]";
}

Dim numel_of(const Shape& s) {
  Dim n = 1;
  for (Dim d : s) n *= d;
  return n;
}

Strides contiguous_strides(const Shape& s) {
  Strides strides(s.size());
  Dim step = 1;
  for (size_t i = s.size(); i-- > 0;) {
    strides[i] = step;
    // A size of 0 leaves no element to step over, and must not make the outer strides 0.
    if (s[i].raw() != 0) step *= s[i];
  }
  return strides;
}

Shape broadcast_shapes(const Shape& a, const Shape& b, const char* op) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape out = longer;
  size_t offset = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    Dim x = longer[offset + i], y = shorter[i];
    if (x.raw() == y.raw() || y.raw() == 1) continue;
    if (x.raw() == 1) {
      out[offset + i] = y;
    } else if (!(x == y)) {
      std::string from_end = std::to_string(shorter.size() - i);
      throw ShapeError(std::string(op) + ": sizes " + a[a.size() - (shorter.size() - i)].str() + " and " +
                       b[b.size() - (shorter.size() - i)].str() + " do not broadcast")
          .got("shapes " + shape_str(a) + " and " + shape_str(b) + ", dimension -" + from_end)
          .need("equal sizes, or one of them 1, counted from the last dimension");
    }
  }
  return out;
}

}  // namespace thixo
