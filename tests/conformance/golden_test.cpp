// Values that NumPy, SciPy and mpmath computed (tools/golden.py) against the definitions, and against eager.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "backend/reference/reference.h"
#include "cases.h"
#include "json.h"
#include "thixo/npy.h"

namespace thixo::conformance {
namespace {

using testing::Json;

class File {
 public:
  explicit File(const std::string& path) : arrays_(load_npz(path)) {
    const Tensor& text = arrays_.at("cases");
    cases_ = testing::parse_json(
        {reinterpret_cast<const char*>(text.data<uint8_t>()), static_cast<size_t>(text.numel().value())});
  }
  const Json::List& cases() const { return cases_.list(); }

  Tensor tensor(const Json& j) const {
    if (j.null()) return {};
    DType t = dtype_from_name(j["dtype"].text());
    const Tensor& values = arrays_.at(is_float(t) ? "f64" : is_complex(t) ? "c128" : "i64");
    Shape shape;
    for (const Json& n : j["shape"].list()) shape.push_back(n.integer);
    Tensor x = empty(shape, {.dtype = t});
    int64_t at = j["at"].integer;
    for (int64_t i = 0; i < x.numel().value(); ++i)
      reference::write_element(x, i, reference::read_element(values, at + i));
    return x;
  }

 private:
  std::map<std::string, Tensor> arrays_;
  Json cases_;
};

double float_of(const Json& j) {
  if (const std::string* s = std::get_if<std::string>(&j.value))
    return *s == "nan" ? NAN : *s == "inf" ? INFINITY : -INFINITY;
  return j.number();
}

Shape shape_of(const Json& j) {
  if (j.is_integer) return {j.integer};
  Shape s;
  for (const Json& n : j.list()) s.push_back(n.integer);
  return s;
}

Attr attr_of(const Json& j, const AttrDecl& decl) {
  if (j.null()) return {};
  switch (decl.kind) {
    case AttrKind::Bool: return std::get<bool>(j.value);
    case AttrKind::Int:
    case AttrKind::Dim: return Dim(j.integer);
    case AttrKind::Float: return float_of(j);
    case AttrKind::Scalar: return j.is_integer ? Scalar(j.integer) : Scalar(float_of(j));
    case AttrKind::Dims:
    case AttrKind::Size: return shape_of(j);
    case AttrKind::DType: return dtype_from_name(j.text());
    case AttrKind::Rng:
      return RngKey{static_cast<uint64_t>(j["key"].integer), static_cast<uint64_t>(j["counter"].integer)};
    default: return j.text();
  }
}

TestCall call_of(const File& file, const Json& j) {
  TestCall c;
  c.op = find_op(j["op"].text());
  if (c.op == nullptr) throw InternalError("golden values of an unknown op: " + j["op"].text());
  for (const Json& x : j["in"].list()) c.in.push_back(file.tensor(x));
  for (const AttrDecl& a : c.op->schema.attrs) {
    auto found = j["attrs"].object().find(a.name);
    c.attrs.push_back(found == j["attrs"].object().end() ? a.def : attr_of(found->second, a));
  }
  return c;
}

/// Both sides are rounded to double here and there, and sums have other orders.
Tolerance golden_tolerance(const TestCall& c) {
  Tolerance t = tolerance_of(*c.op, DType::F64, c.in);
  t.ulps = c.op->tier == Tier::Pointwise ? std::max(4.0, t.ulps) : 64;
  return t;
}

/// What eager gives, for tests/python/test_conformance.py: with THIXO_GOLDEN_OUT=<folder>, result r of case n of a
/// family is <family>.<n>.<r>.npy there, and <family>.bounds has a line "ulps floor" for each case.
class Written {
 public:
  explicit Written(const std::string& family) {
    const char* folder = std::getenv("THIXO_GOLDEN_OUT");
    if (folder == nullptr) return;
    path_ = std::string(folder) + "/" + family;
    bounds_.open(path_ + ".bounds");
    bounds_.precision(17);
  }
  void add(const TestCall& c, const Values& got, size_t shown) {
    if (path_.empty()) return;
    const Tolerance t = golden_tolerance(c);
    bounds_ << t.ulps << ' ' << t.floor << '\n';
    for (size_t r = 0; r < shown; ++r)
      save_npy(path_ + "." + std::to_string(cases_) + "." + std::to_string(r) + ".npy", got[r]);
    ++cases_;
  }

 private:
  std::string path_;
  std::ofstream bounds_;
  int64_t cases_ = 0;
};

void check_case(const File& file, const Json& j, const char* how, Written* written = nullptr) {
  TestCall c = call_of(file, j);
  SCOPED_TRACE(std::string(how) + " " + c.str());
  Values got = dispatch(c.call());
  const Json::List& want = j["out"].list();
  ASSERT_GE(got.size(), want.size());
  if (written != nullptr) written->add(c, got, want.size());
  for (size_t r = 0; r < want.size(); ++r) {
    Tensor w = file.tensor(want[r]);
    EXPECT_EQ(is_float(got[r].dtype()), is_float(w.dtype()));
    EXPECT_EQ(difference(got[r], w, golden_tolerance(c)), "");
  }
}

class Golden : public ::testing::TestWithParam<std::string> {};

TEST_P(Golden, ReferenceAgrees) {
  File file("tests/golden/ops/" + GetParam() + ".npz");
  reference::Scope scope;
  for (const Json& j : file.cases()) {
    try {
      check_case(file, j, "reference:");
    } catch (const Error& e) {
      ADD_FAILURE() << j["op"].text() << ": " << e.what();
    }
  }
}

TEST_P(Golden, EagerAgrees) {
  File file("tests/golden/ops/" + GetParam() + ".npz");
  Written written(GetParam());
  for (const Json& j : file.cases()) {
    try {
      check_case(file, j, "eager:", &written);
    } catch (const Error& e) {
      ADD_FAILURE() << j["op"].text() << ": " << e.what();
    }
  }
}

std::vector<std::string> families() {
  std::vector<std::string> out;
  for (const auto& f : std::filesystem::directory_iterator("tests/golden/ops")) out.push_back(f.path().stem().string());
  std::sort(out.begin(), out.end());
  return out;
}

INSTANTIATE_TEST_SUITE_P(Family, Golden, ::testing::ValuesIn(families()), [](const auto& p) { return p.param; });

}  // namespace
}  // namespace thixo::conformance
