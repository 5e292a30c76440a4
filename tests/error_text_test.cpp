// Bad input: kind and first line of the error, the same as from Python (python/tests/test_errors.py).
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>

#include "thixo/thixo.h"

namespace thixo {
namespace {

using Case = std::pair<const char*, std::function<void()>>;

std::map<std::string, std::string> golden() {
  std::map<std::string, std::string> out;
  std::ifstream in("tests/golden/error_texts.txt");
  for (std::string line; std::getline(in, line);) {
    const size_t bar = line.find(" | ");
    if (!line.empty() && line[0] != '#' && bar != line.npos) out[line.substr(0, bar)] = line.substr(bar + 3);
  }
  return out;
}

std::string first_line(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    const std::string text = e.what();
    return text.substr(0, text.find('\n'));
  }
  return "no error";
}

std::string safetensors(const std::string& header, const std::string& data = "") {
  std::string bytes(8, '\0');
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(header.size() >> (8 * i));
  return bytes + header + data;
}

std::string entry(const std::string& name, const std::string& begin, const std::string& end,
                  const std::string& shape = "2", const std::string& dtype = "F32") {
  return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":[)" + shape + R"(],"data_offsets":[)" + begin + "," +
         end + "]}";
}

const std::vector<Case>& calls() {
  static const std::vector<Case> cases = {
      {"broadcast", [] { ones({2, 3}) + ones({4}); }},
      {"matmul", [] { matmul(ones({2, 3}), ones({4, 5})); }},
      {"conv2d", [] { conv2d(ones({1, 3, 8, 8}), ones({4, 5, 3, 3})); }},
      {"linear", [] { nn::Linear(3, 2)(ones({4, 5})); }},
      {"view", [] { ones({2, 3}).view({4}); }},
      {"cat", [] { cat({ones({2, 3}), ones({2, 4})}, 0); }},
      {"expand", [] { ones({2}).expand({3, 4}); }},
      {"layer_norm", [] { layer_norm(ones({2, 3}), {4}); }},
      {"mean of integers", [] { arange(3).mean(); }},
      {"float mask", [] { ones({2}).masked_fill(ones({2}), 0); }},
      {"index", [] { ones({3})[5]; }},
      {"index tensor", [] { ones({3})[tensor(std::vector<int64_t>{0, 7}, {2})]; }},
      {"dim", [] { ones({2, 3}).sum(4); }},
      {"embedding", [] { embedding(tensor(std::vector<int64_t>{3}, {1}), ones({3, 2})); }},
      {"label", [] { cross_entropy(ones({1, 3}), tensor(std::vector<int64_t>{3}, {1})); }},
      {"label of nll_loss", [] { nll_loss(ones({1, 3}), tensor(std::vector<int64_t>{3}, {1})); }},
      {"take_along_dim", [] { take_along_dim(ones({1, 3}), tensor(std::vector<int64_t>{3}, {1, 1}), 1); }},
      {"index_add", [] { ones({3, 2}).index_add(0, tensor(std::vector<int64_t>{3}, {1}), ones({1, 2})); }},
      {"scatter_add", [] { ones({3, 2}).scatter_add(0, tensor(std::vector<int64_t>{3, 0}, {1, 2}), ones({1, 2})); }},
      {"empty max", [] { max(empty({0})); }},
      {"item", [] { ones({2}).item(); }},
      {"backward", [] { ones({1}).backward(); }},
      {"leaf in place", [] { ones({1}).requires_grad_().add_(1); }},
      {"negative size", [] { ones({-1}); }},
      {"compiled item",
       [] { compile([](const TensorList& a) -> TensorList { return {a[0] * a[0].sum().item()}; })({ones({2})}); }},
      {"compiled seed", [] { compile([](const TensorList& a) { return manual_seed(0), a; })({ones({2})}); }},
  };
  return cases;
}

std::vector<std::pair<const char*, std::string>> files() {
  std::string huge(8, '\0');
  huge[7] = 0x10;
  return {
      {"file: empty", ""},
      {"file: huge header", huge + "{}"},
      {"file: no json", safetensors("{nonsense")},
      {"file: truncated", safetensors("{" + entry("a", "0", "8") + "}", "1234")},
      {"file: out of range",
       safetensors("{" + entry("a", "0", "8") + "," + entry("b", "8", "1099511627776") + "}", "12345678")},
      {"file: overlap", safetensors("{" + entry("a", "0", "8") + "," + entry("b", "4", "12") + "}", "123456789012")},
      {"file: duplicate",
       safetensors("{" + entry("a", "0", "4", "1") + "," + entry("a", "4", "8", "1") + "}", "12345678")},
      {"file: wrong size", safetensors("{" + entry("a", "0", "8", "3") + "}", "12345678")},
      {"file: dtype", safetensors("{" + entry("a", "0", "8", "2", "F33") + "}", "12345678")},
      {"file: negative", safetensors("{" + entry("a", "-8", "0") + "}")},
  };
}

TEST(ErrorText, OfBadCalls) {
  auto want = golden();
  for (const auto& [name, f] : calls()) EXPECT_EQ(first_line(f), want[name]) << name;
}

TEST(ErrorText, AnIndexNamesTheCallersLine) {
  Tensor x = ones({3});
  const Tensor seven = tensor(std::vector<int64_t>{7}, {1});
  const std::vector<std::function<void()>> bad = {[&] { x[5]; },
                                                  [&] { x[Slice(0, 2, 0)]; },
                                                  [&] { x[seven]; },
                                                  [&] { x[ones({2}) > 0]; },
                                                  [&] { x.index({0, 1}); },
                                                  [&] { x.index_put_({7}, 1); },
                                                  [&] { x.index_put_({seven}, 1); }};
  for (size_t i = 0; i < bad.size(); ++i) {
    try {
      bad[i]();
      ADD_FAILURE() << i;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find("\n  at    error_text_test.cpp:"), std::string::npos) << e.what();
    }
  }
}

TEST(ErrorText, OfHostileFiles) {
  auto want = golden();
  const auto home = std::filesystem::current_path();
  const auto folder = std::filesystem::temp_directory_path() / ("thixo_error_text_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::filesystem::current_path(folder);
  for (const auto& [name, bytes] : files()) {
    std::ofstream("bad.safetensors", std::ios::binary) << bytes;
    EXPECT_EQ(first_line([] { load_file("bad.safetensors"); }), want[name]) << name;
  }
  std::filesystem::current_path(home);
  std::filesystem::remove_all(folder);
}

TEST(ErrorText, NoCaseIsLeftOut) { EXPECT_EQ(golden().size(), calls().size() + files().size()); }

}  // namespace
}  // namespace thixo
