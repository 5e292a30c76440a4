#include "formats/npy.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/files.h"
#include "core/record.h"
#include "core/values.h"
#include "formats/npy_header.h"
#include "formats/zip.h"
#include "thixo/npy.h"

namespace thixo {
namespace {

constexpr const char* kGolden = "tests/golden/npy.npz";

Bytes in_memory(const std::string& text) {
  auto owner = std::make_shared<std::vector<std::byte>>(text.size());
  if (!text.empty()) std::memcpy(owner->data(), text.data(), text.size());
  const std::span<std::byte> data(*owner);
  return {data, std::move(owner), "x.npy"};
}

std::string npy_text(const std::string& header, size_t data, char version = 1) {
  std::string text = std::string("\x93NUMPY") + version + '\0';
  text += static_cast<char>(header.size() & 255);
  text += static_cast<char>(header.size() >> 8);
  if (version > 1) text += std::string(2, '\0');
  return text + header + std::string(data, '\0');
}

std::string refused(const std::string& text) {
  try {
    const Bytes file = in_memory(text);
    read_npy(file, 0, file.data.size());
  } catch (const Error& e) {
    return e.headline();
  }
  return "read";
}
std::string refused_header(const std::string& header) { return refused(npy_text(header, 24)); }

/// The elements in logical order.
std::vector<std::complex<double>> values_of(const Tensor& t) {
  std::vector<std::complex<double>> result;
  const int64_t n = t.numel().value();
  for (int64_t i = 0; i < n; ++i) {
    int64_t rest = i, at = 0;
    for (size_t d = t.shape().size(); d-- > 0;) {
      at += rest % t.shape()[d].value() * t.strides()[d].value();
      rest /= t.shape()[d].value();
    }
    const auto* p = static_cast<const char*>(t.raw_data()) + at * static_cast<int64_t>(item_size(t.dtype()));
    result.push_back(load_scalar(p, t.dtype()).to_complex());
  }
  return result;
}

TEST(Npz, WhatNumPyWrote) {
  const TensorMap arrays = load_npz(kGolden);
  EXPECT_EQ(arrays.size(), 19u);
  const std::pair<const char*, DType> dtypes[] = {{"f8", float64},
                                                  {"f4", float32},
                                                  {"f2", float16},
                                                  {"i8", int64},
                                                  {"i4", int32},
                                                  {"i2", int16},
                                                  {"i1", int8},
                                                  {"u8", uint64},
                                                  {"u4", uint32},
                                                  {"u2", uint16},
                                                  {"u1", uint8},
                                                  {"b1", boolean},
                                                  {"c8", complex64},
                                                  {"c16", complex128},
                                                  {"fortran", int32},
                                                  {"big", float32},
                                                  {"big_complex", complex128},
                                                  {"scalar", float64},
                                                  {"empty", int64}};
  for (auto [name, dtype] : dtypes) {
    const Tensor& t = arrays.at(name);
    EXPECT_EQ(t.dtype(), dtype) << name;
    const auto values = values_of(t);
    for (size_t i = 0; i < values.size(); ++i) {
      const double v = dtype == boolean ? static_cast<double>(i % 2) : static_cast<double>(i);
      EXPECT_EQ(values[i], std::complex<double>(v, is_complex(dtype) ? -v : 0)) << name << " " << i;
    }
  }
  EXPECT_EQ(arrays.at("f8").shape(), (Shape{2, 3}));
  EXPECT_EQ(arrays.at("fortran").shape(), (Shape{2, 3, 4}));
  EXPECT_EQ(arrays.at("fortran").strides(), (Strides{1, 2, 6})) << "no copy";
  EXPECT_EQ(arrays.at("scalar").dim(), 0);
  EXPECT_EQ(arrays.at("empty").shape(), (Shape{0, 3}));
}

TEST(Npz, CompressedIsRefusedWithHelp) {
  try {
    load_npz("tests/golden/npy_compressed.npz");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::NotImplemented);
    EXPECT_NE(std::string(e.what()).find("fix   write it with numpy.savez"), std::string::npos) << e.what();
  }
}

TEST(Npz, DamageIsFound) {
  const std::string whole = read_file(kGolden);
  const auto result = [](const std::string& text) -> std::string {
    try {
      read_npz(in_memory(text));
    } catch (const Error& e) {
      return e.headline();
    }
    return "read";
  };
  EXPECT_EQ(result(whole), "read");
  EXPECT_EQ(result(""), "'x.npy' is no valid npz file: it is no ZIP archive");
  EXPECT_EQ(result(whole.substr(0, whole.size() - 30)),
            "'x.npy' is no valid npz file: it is no ZIP archive, or cut off");
  std::string flipped = whole;
  flipped[150] = static_cast<char>(flipped[150] ^ 1);
  EXPECT_NE(result(flipped).find("do not fit their checksum"), std::string::npos) << result(flipped);
  for (size_t n = 1; n < whole.size(); n += 97) EXPECT_NE(result(whole.substr(n)), "read") << n;
}

TEST(Npz, NamesAreUtf8) {
  std::string file = read_file(kGolden);
  const std::string name = "fortran.npy";
  for (size_t at = file.find(name); at != file.npos; at = file.find(name, at)) file[at] = '\xff';
  try {
    read_npz(in_memory(file));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.headline(), "'x.npy' is no valid npz file: a name in it is no UTF-8");
  }
}

TEST(Utf8, GoodAndBad) {
  for (const char* good : {"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const char* bad : {"\xff", "\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                          "\xe2\x82", "\xf8\x88\x80\x80\x80", "a\xc3z"}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
  }
}

TEST(Npy, TensorsDoNotChangeWithTheFile) {
  std::string name = std::filesystem::temp_directory_path() / "thixo-npy-XXXXXX";
  const std::filesystem::path folder = mkdtemp(name.data());
  const std::string path = folder / "a.npy";
  save_npy(path, ones({1000}));
  const Tensor x = load_npy(path);
  std::filesystem::resize_file(path, 0);
  EXPECT_EQ(x.sum().item(), 1000);
  std::filesystem::remove_all(folder);
}

TEST(Crc32, KnownAnswer) {
  const std::string text = "123456789";
  EXPECT_EQ(crc32(std::as_bytes(std::span(text))), 0xcbf43926u);
}

TEST(Npy, WritesWhatNumPyWrites) {
  std::string name = std::filesystem::temp_directory_path() / "thixo-npy-XXXXXX";
  const std::filesystem::path folder = mkdtemp(name.data());
  const Bytes golden = map_file(kGolden);
  for (const ZipEntry& e : read_zip(golden)) {
    if (e.name == "fortran.npy" || e.name.starts_with("big")) continue;  // written in another order
    const std::string path = folder / e.name;
    save_npy(path, read_npy(golden, e.begin, e.end));
    EXPECT_EQ(read_file(path), golden.text(e.begin, e.end - e.begin)) << e.name;
  }
  const Tensor fortran = load_npz(kGolden).at("fortran");
  save_npy(folder / "f.npy", fortran);
  EXPECT_EQ(values_of(load_npy(folder / "f.npy")), values_of(fortran));
  EXPECT_THROW(save_npy(folder / "b.npy", empty({1}, {.dtype = bfloat16})), Error);
  EXPECT_FALSE(std::filesystem::exists(folder / "b.npy"));
  std::filesystem::remove_all(folder);
}

TEST(Npy, HeadersOfAllVersionsAndSpellings) {
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  EXPECT_EQ(refused(npy_text(header, 24)), "read");
  EXPECT_EQ(refused(npy_text(header, 24, 2)), "read");
  EXPECT_EQ(refused(npy_text(header, 24, 3)), "read");
  EXPECT_EQ(refused_header("{\"shape\":(6L,),\"descr\":\"=f4\",\"fortran_order\":True}\n"), "read");
  EXPECT_EQ(refused_header("{'descr': '<f4', 'fortran_order': False, 'shape': ()}"), "read");
}

TEST(Npy, HostileHeaders) {
  const auto with = [](const std::string& descr, const std::string& shape) {
    return refused_header("{'descr': " + descr + ", 'fortran_order': False, 'shape': " + shape + "}");
  };
  const std::string invalid = "'x.npy' is no valid npy file: ";
  EXPECT_EQ(refused(""), invalid + "it does not begin with the bytes \\x93NUMPY");
  EXPECT_EQ(refused(npy_text("{}", 0, 9)), invalid + "its version is 9, not 1, 2 or 3");
  EXPECT_EQ(refused(npy_text("{}", 0).substr(0, 11)), invalid + "it ends inside its header");
  EXPECT_EQ(with("'<f4'", "(7,)"),
            invalid + "it has 24 bytes of values, too few for f32[7]; the file is cut off or damaged");
  EXPECT_EQ(
      with("'<f8'", "(4294967296, 4294967296)"),
      invalid + "it has 24 bytes of values, too few for f64[4294967296, 4294967296]; the file is cut off or damaged");
  EXPECT_EQ(with("'<f4'", "(-1,)"), invalid + "a size in its header is no number from 0 to 2^63 - 1");
  EXPECT_EQ(with("'<f4'", "(99999999999999999999,)"), invalid + "a size in its header is no number from 0 to 2^63 - 1");
  EXPECT_EQ(with("'<f4'", "(1,1,1,1,1,1,1,1,1)"), "'x.npy' has more than 8 dims");
  EXPECT_EQ(with("'|O'", "(1,)"), "'x.npy' holds Python objects");
  EXPECT_EQ(with("'<U5'", "(1,)"), "'x.npy' holds elements of the type '<U5'");
  EXPECT_EQ(with("[('a', '<f4')]", "(1,)"), "'x.npy' holds records (a structured array)");
  EXPECT_EQ(with("'<f4", "(1,)"), "'x.npy' holds elements of the type '<f4, '");
  EXPECT_EQ(refused_header("{'descr': '<f4', 'shape': ()}"),
            invalid + "its header needs descr, fortran_order and shape");
  EXPECT_EQ(refused_header("{'descr': '<f4', 'descr': '<f4'}"),
            invalid + "its header has an unknown field or one twice");
  EXPECT_EQ(refused_header("{'run': '<f4'}"), invalid + "its header has an unknown field or one twice");
  EXPECT_EQ(refused_header("{'descr': '<f4', 'fortran_order': False, 'shape': ()} x"),
            invalid + "something follows the dict in its header");
}

}  // namespace
}  // namespace thixo
