#include "ir/graph.h"

#include <gtest/gtest.h>

#include "base/error_text.h"

namespace thixo {
namespace {

using test::error_of;

std::string parse_error(const std::string& text) {
  return error_of([&] { parse_graph(text); });
}

/// Texts in the form that str() prints.
const char* const kTexts[] = {
    "graph nothing() {\n  return\n}\n",
    "graph f(%0: f32[] arg) {\n  return %0\n}\n",
    R"(graph step(%0: f32[64, 784] arg, %1: f32[512, 784] state, %2: f32[512] constant) {
  %3: f32[64, 512] = linear(%0, %1, %2)
  %4: f32[64, 512] = gelu(%3) {approximate = tanh}
  %5: f32[64] = sum(%4) {dim = [-1]}
  %6: f32[64, 1] = unsqueeze(%5) {dim = 1}
  return %6, %4
}
)",
    R"(graph updates(%0: f32[3] state, %1: f32[3] arg, %2: i64[2] state) {
  %3: f32[3] = mul(%0, %1) @0
  %4: f32[3] = add(%3, %1) {alpha = 0.5} @0
  %5: i64[2] = add(%2, %2)
  return %4
  update %0 = %4
  update %2 = %5
}
)",
    R"(graph numbers(%0: f64[2, 2] strides [1, 2] arg) {
  %1: f64[] weak = number() {value = 2.5}
  %2: i64[] weak = number() {value = -3}
  %3: bool[] weak = number() {value = true}
  %4: f64[] weak = number() {value = 1e-300}
  %5: f64[] weak = number() {value = inf}
  %6: c128[] weak = number() {value = complex(1, -2.5)}
  %7: f64[2, 2] = mul(%0, %1)
  return %7
}
)",
    R"(graph results(%0: f32[4, 5] arg) {
  %1: f32[4], %2: i64[4] = max.dim(%0) {dim = 1}
  %3: f32[4, 5] = dropout(%0) {p = 0.25, generator = rng(18446744073709551615, 7, 2)}
  %4: f16[4, 5] = to_dtype(%3) {dtype = f16}
  return %1, %2, %4
}
)",
    R"(graph writes(%0: f32[4, 5] state, %1: f32[2] arg) {
  %2: f32[4, 5] = write(%0, %1) {chain = [select(dim = 0, index = 1), slice(start = 1, stop = 3)]}
  return
  update %0 = %2
}
)",
    R"(graph empty(%0: f32[0, 5] arg, %1: f32[5] arg) {
  %2: f32[0, 5], %3: f32[0, 1], %4: f32[0, 1] = layer_norm(%0, %1, none) {normalized_shape = [5]}
  return %2
}
)",
};

TEST(GraphText, PrintsWhatItRead) {
  int read = 0;
  for (const std::string text : kTexts) {
    std::string printed = error_of([&] { EXPECT_EQ(parse_graph(text).str(), text); });
    ++read;
    EXPECT_EQ(printed, "no error") << text;
  }
  EXPECT_EQ(read, 8);
}

TEST(GraphText, NumbersNeedNotBeDenseNorSpaced) {
  const Graph g = parse_graph("graph f(%7:f32[2]arg,%3 : f32[2] arg)\n{%9:f32[2]=add(%7,%3)return %9}");
  EXPECT_EQ(g.str(), "graph f(%0: f32[2] arg, %1: f32[2] arg) {\n  %2: f32[2] = add(%0, %1)\n  return %2\n}\n");
}

TEST(GraphText, ErrorsNameLineAndColumn) {
  auto in = [](const std::string& node) { return "graph f(%0: f32[2, 3] arg) {\n  " + node + "\n  return %0\n}\n"; };
  const std::pair<std::string, std::string> cases[] = {
      {"", "expected a name at line 1, column 1"},
      {"grape f() {\n}", "expected 'graph' at line 1, column 6"},
      {"graph f(", "expected '%' at line 1, column 9"},
      {"graph f(%0: f33[2] arg) {}", "unknown dtype 'f33' at line 1, column 13"},
      {"graph f(%0: f32[2] thing) {}", "unknown kind of input 'thing' at line 1, column 25"},
      {"graph f(%0: f32[-2] arg) {}", "a size out of range at line 1, column 19"},
      {"graph f(%0: f32[99999999999999999999] arg) {}", "expected an integer at line 1, column 17"},
      {"graph f(%0: f32[2] arg, %0: f32[2] arg) {}", "%0 is made twice at line 1, column 35"},
      {"graph f(%0: f32[2] arg strides [1, 2]) {}", "expected ',' or ')' at line 1, column 24"},
      {"graph f(%0: f32[2] strides [1, 2] arg) {}", "as many strides as sizes are needed at line 1, column 34"},
      {"graph f() {\n} tail", "text after the end at line 2, column 3"},
      {in("%1: f32[2, 3] = nonsense(%0)"), "unknown op 'nonsense' at line 2, column 27"},
      {in("%1: f32[2, 3] = exp(%5)"), "%5 is used before it is made at line 2, column 25"},
      {in("%1: f32[2, 3] = exp(%1)"), "%1 is used before it is made at line 2, column 25"},
      {in("%1: f32[2, 3] = exp(%0"), "expected ',' or ')' at line 3, column 3"},
      {in("%1: f32[2, 3] = gelu(%0) {approximate = some}"),
       "'some' is no choice of 'approximate' at line 2, column 47"},
      {in("%1: f32[2, 3] = gelu(%0) {approximate = tanh, approximate = none}"),
       "attribute 'approximate' is given twice at line 2, column 60"},
      {in("%1: f32[2, 3] = gelu(%0) {speed = 2}"), "gelu has no attribute 'speed' at line 2, column 34"},
      {in("%1: f32[2, 3] = unsqueeze(%0)"), "unsqueeze needs the attribute 'dim'"},
      {in("= exp(%0)"), "a node without results"},
      {in("%1: f32[2, 3] = dropout(%0) {generator = rng(-1, 2)}"), "expected a natural number at line 2, column 48"},
  };
  for (const auto& [text, want] : cases) {
    const std::string e = parse_error(text);
    EXPECT_TRUE(e.starts_with("ValueError: parse_graph: ")) << e << "\n" << text;
    EXPECT_NE(e.find(want), std::string::npos) << "want: " << want << "\ngot:  " << e << "\n" << text;
  }
}

TEST(GraphText, DeeplyNestedTextIsRefused) {
  std::string chain;
  for (int i = 0; i < 5000; ++i) chain += "[write(chain = ";
  EXPECT_NE(
      parse_error("graph f(%0: f32[2] arg) { %1: f32[2] = write(%0, %0) {chain = " + chain).find("nested too deeply"),
      std::string::npos);
}

TEST(GraphVerify, NamesTheNodeAndTheRule) {
  const std::string text = R"(graph f(%0: f32[2, 3] arg, %1: f32[3] state) {
  %2: f32[2, 3] = add(%0, %1)
  %3: f32[2] = sum(%2) {dim = [1]}
  return %3
  update %1 = %1
}
)";
  auto broken = [&](auto change, const std::string& after = "") {
    Graph g = parse_graph(text);
    change(g);
    return error_of([&] { verify(g, after); });
  };
  auto expect = [&](const std::string& e, const std::string& want) {
    EXPECT_TRUE(e.starts_with("InternalError: graph f: ")) << e;
    EXPECT_NE(e.find(want), std::string::npos) << "want: " << want << "\ngot:  " << e;
  };
  EXPECT_EQ(broken([](Graph&) {}), "no error");
  expect(broken([](Graph& g) { g.nodes[0].in[0] = 3; }), "%3 is used before it is made");
  expect(broken([](Graph& g) { g.nodes[0].in[0] = 99; }), "%99 is used before it is made");
  expect(broken([](Graph& g) { g.nodes[0].out[0] = 0; }), "%0 is made twice");
  expect(broken([](Graph& g) { g.nodes[1].out[0] = 7; }), "no value %7");
  expect(broken([](Graph& g) { g.values[3].shape = {3}; }), "result %3: f32[3] should be f32[2]");
  expect(broken([](Graph& g) { g.values[2].dtype = DType::F16; }), "result %2: f16[2, 3] should be f32[2, 3]");
  expect(broken([](Graph& g) { g.nodes[1].out.push_back(g.add_value(DType::F32, {2})); }),
         "a node has 2 results, its op 1");
  expect(broken([](Graph& g) { g.nodes[0].attrs.clear(); }), "a node has the wrong number of attributes");
  expect(broken([](Graph& g) { g.nodes[0].in.pop_back(); }), "a node has the wrong number of operands");
  expect(broken([](Graph& g) { g.outputs[0] = 50; }), "the output %50 is never made");
  expect(broken([](Graph& g) { g.updates[0].input = 2; }), "%2 is updated but is no argument or state");
  expect(broken([](Graph& g) { g.inputs[1].kind = InputKind::Constant; }), "%1 is updated but is no argument or state");
  expect(broken([](Graph& g) { g.updates[0].value = 2; }), "an update changes %1: f32[3] into %2: f32[2, 3]");
  const std::string e = broken([](Graph& g) { g.nodes[0].in[0] = 3; }, "some pass");
  EXPECT_NE(e.find("got   node 0: %2 = add(%3, %1)"), std::string::npos) << e;
  EXPECT_NE(e.find("need  a well-formed graph after the pass 'some pass'"), std::string::npos) << e;
}

TEST(GraphVerify, NumbersThatStandForSymbolicSizesAreRefusedWhenRead) {
  const std::string handle = std::to_string(Dim::named("N").raw());
  for (const std::string& start : {handle, std::string("-9223372036854775808")}) {
    const std::string e =
        parse_error("graph f(%0: f32[3] arg) {\n  %1: f32[3] = slice(%0) {start = " + start + "}\n  return %1\n}");
    EXPECT_EQ(e.starts_with("ValueError: parse_graph: a number that cannot be a size or an index at line 2"),
              start == handle)
        << e;
  }
}

TEST(GraphVerify, ShapesThatDoNotFitAreRefusedWhenRead) {
  const std::string e =
      parse_error("graph f(%0: f32[2, 3] arg, %1: f32[4] arg) {\n  %2: f32[2, 3] = add(%0, %1)\n  return %2\n}");
  EXPECT_TRUE(e.starts_with("ValueError: parse_graph: the text reads well but is no valid graph")) << e;
}

}  // namespace
}  // namespace thixo
