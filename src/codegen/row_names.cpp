#include "codegen/row_names.h"

#include <algorithm>

namespace thixo::codegen {
namespace {

constexpr size_t kMostNamings = 64;

std::string size_name(size_t i) { return "v" + std::to_string(i); }
/// Dims of one size are told apart by a letter, counted from the last one.
std::string split_name(size_t i, size_t letter) { return size_name(i) + static_cast<char>('a' + letter); }

const Shape* size_list(const Call& call, size_t attr) {
  return call.op->schema.attrs[attr].kind == AttrKind::Size ? std::get_if<Shape>(&call.attrs[attr]) : nullptr;
}

/// Which of the sizes a dim has; none for 1.
size_t size_index(const SmallVec<int64_t, 8>& sizes, Dim d) {
  return static_cast<size_t>(std::find(sizes.begin(), sizes.end(), d.value()) - sizes.begin());
}

size_t count_of(const Shape& s, int64_t size) {
  return static_cast<size_t>(std::count_if(s.begin(), s.end(), [&](Dim d) { return d == size; }));
}

/// A dim that may have any of the `names` that its size has.
struct Choice {
  bool attr;
  size_t list, dim;  // dim `dim` of operand or attribute `list`
  size_t size, names;
  size_t first;  // what is tried first: the dims of shapes that broadcast lie alike from the end
};

class Splitter {
 public:
  Splitter(const Call& call, const SmallVec<int64_t, 8>& sizes) : call_(call), sizes_(sizes) {
    for (const int64_t n : sizes) {
      size_t most = 0, operand = 0;
      for (size_t k = 0; k < call.in.size(); ++k) {
        const size_t here = call.in[k].defined() ? count_of(call.in[k].shape(), n) : 0;
        if (here > most) most = here, operand = k;
      }
      names_.push_back(most);
      whole_.push_back(operand);
    }
    named_ = name_by_value(call, sizes);
    named_.names.clear();
    for (size_t i = 0; i < sizes.size(); ++i) {
      for (size_t k = 0; k < std::max<size_t>(names_[i], 1); ++k)
        named_.names.push_back({names_[i] > 1 ? split_name(i, k) : size_name(i), i});
    }
    for (size_t k = 0; k < call.in.size(); ++k) {
      if (call.in[k].defined()) add_choices(false, k, call.in[k].shape());
    }
    for (size_t i = 0; i < call.attrs.size(); ++i) {
      if (const Shape* s = size_list(call, i)) add_choices(true, i, *s);
    }
  }

  std::vector<Naming> all() {
    std::vector<Naming> out;
    if (std::none_of(names_.begin(), names_.end(), [](size_t n) { return n > 1; })) return out;
    std::vector<size_t> turn(choices_.size(), 0);
    while (out.size() < kMostNamings) {
      for (size_t i = 0; i < choices_.size(); ++i) set(choices_[i], turn[i]);
      out.push_back(named_);
      size_t i = choices_.size();
      while (i > 0 && ++turn[i - 1] == choices_[i - 1].names) turn[--i] = 0;
      if (i == 0) break;
    }
    return out;
  }

 private:
  void add_choices(bool attr, size_t list, const Shape& s) {
    std::vector<size_t> seen(sizes_.size(), 0);
    for (size_t d = s.size(); d-- > 0;) {
      const size_t size = size_index(sizes_, s[d]);
      if (size == sizes_.size() || names_[size] < 2) continue;
      const Choice c{attr, list, d, size, names_[size], seen[size]++ % names_[size]};
      if (!attr && list == whole_[size]) {
        set(c, 0);  // by this operand the names are meant
      } else {
        choices_.push_back(c);
      }
    }
  }
  void set(const Choice& c, size_t turn) {
    Shape& s = (c.attr ? named_.attrs : named_.operands)[c.list];
    s[c.dim] = Dim::named(split_name(c.size, (c.first + turn) % c.names));
  }

  const Call& call_;
  const SmallVec<int64_t, 8>& sizes_;
  std::vector<size_t> names_, whole_;  // per size: how many names, and the operand that has all of them
  Naming named_;
  std::vector<Choice> choices_;
};

}  // namespace

Naming name_by_value(const Call& call, const SmallVec<int64_t, 8>& sizes) {
  auto named = [&](const Shape& s) {
    Shape out;
    for (Dim d : s) {
      const size_t i = size_index(sizes, d);
      out.push_back(i == sizes.size() ? d : Dim::named(size_name(i)));
    }
    return out;
  };
  Naming n;
  for (const Tensor& t : call.in) n.operands.push_back(t.defined() ? named(t.shape()) : Shape());
  for (size_t i = 0; i < call.attrs.size(); ++i) {
    const Shape* s = size_list(call, i);
    n.attrs.push_back(s != nullptr ? named(*s) : Shape());
  }
  for (size_t i = 0; i < sizes.size(); ++i) n.names.push_back({size_name(i), i});
  return n;
}

std::vector<Naming> split_namings(const Call& call, const SmallVec<int64_t, 8>& sizes) {
  return Splitter(call, sizes).all();
}

std::string merged_text(const Graph& g, const Naming& n) {
  std::string text = g.str();
  for (const RowForm::SizeName& s : n.names) {
    const std::string one = size_name(s.size);
    if (one == s.name) continue;
    for (size_t at = text.find(s.name); at != std::string::npos; at = text.find(s.name, at)) {
      text.replace(at, s.name.size(), one);
    }
  }
  return text;
}

Hints true_hints(const Naming& n, const SmallVec<int64_t, 8>& sizes) {
  Hints h;
  for (const RowForm::SizeName& s : n.names) h.emplace_back(s.name, sizes[s.size]);
  return h;
}

Hints other_hints(const Naming& n, const SmallVec<int64_t, 8>& sizes) {
  // Small, so that the product of as many as a tensor may have dims is still a size.
  constexpr int64_t primes[] = {53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127};
  constexpr size_t count = std::size(primes);
  Hints h;
  size_t next = 0;
  for (const RowForm::SizeName& s : n.names) {
    int64_t v = 0;
    do {
      v = primes[next % count] * static_cast<int64_t>(1 + next / count);
      ++next;
    } while (std::find(sizes.begin(), sizes.end(), v) != sizes.end());
    h.emplace_back(s.name, v);
  }
  return h;
}

}  // namespace thixo::codegen
