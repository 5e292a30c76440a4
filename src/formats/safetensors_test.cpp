#include "formats/safetensors.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "base/files.h"
#include "core/record.h"

namespace thixo {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

struct Folder {
  Folder() {
    std::string name = fs::temp_directory_path() / "thixo-safetensors-XXXXXX";
    path = mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const char* name) const { return path / name; }
  fs::path path;
};

std::string file_text(std::string header, const std::string& data) {
  std::string length(8, '\0');
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i));
  return length + header + data;
}

Bytes in_memory(const std::string& text) {
  auto owner = std::make_shared<std::vector<std::byte>>(text.size());
  if (!text.empty()) std::memcpy(owner->data(), text.data(), text.size());
  const std::span<std::byte> data(*owner);
  return {data, std::move(owner), "x.safetensors"};
}

/// The reason for which a file is refused.
std::string refused(const std::string& text) {
  try {
    read_safetensors(in_memory(text));
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Io);
    const std::string prefix = "'x.safetensors' is no valid safetensors file: ";
    return e.headline().starts_with(prefix) ? e.headline().substr(prefix.size()) : e.headline();
  }
  return "read";
}
std::string refused(const std::string& header, size_t data) {
  return refused(file_text(header, std::string(data, 'x')));
}

Tensor counted(const Shape& shape, DType dtype) {
  Tensor t = empty(shape, {.dtype = dtype});
  auto* p = static_cast<unsigned char*>(t.raw_data());
  for (size_t i = 0; i < t.nbytes(); ++i) p[i] = dtype == DType::Bool ? i % 2 : static_cast<unsigned char>(i * 7 + 1);
  return t;
}

TEST(Safetensors, EveryDTypeComesBack) {
  Folder folder;
  TensorMap saved;
  for (int i = 0; i < kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    if (dtype != DType::C128) saved[std::string(dtype_name(dtype))] = counted({2, 3, i % 3}, dtype);
  }
  saved["scalar"] = counted({}, float64);
  saved["empty"] = counted({0, 4}, int16);
  const Metadata metadata{{"format", "pt"}, {"note", "\"quotes\", \xc3\xa4 and \n"}};
  save_file(saved, folder / "a", metadata);
  EXPECT_EQ(load_metadata(folder / "a"), metadata);
  const TensorMap loaded = load_file(folder / "a");
  ASSERT_EQ(loaded.size(), saved.size());
  for (const auto& [name, t] : saved) {
    const Tensor& l = loaded.at(name);
    EXPECT_EQ(l.dtype(), t.dtype()) << name;
    EXPECT_EQ(l.shape(), t.shape()) << name;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(l.numel() > 0 ? l.raw_data() : nullptr) % item_size(real_type(t.dtype())),
              0u);
    if (t.numel() > 0) {
      EXPECT_EQ(std::memcmp(l.raw_data(), t.raw_data(), t.nbytes()), 0) << name;
    }
  }
}

TEST(Safetensors, ExactBytes) {
  Folder folder;
  save_file({{"b", counted({1}, uint8)}, {"a", counted({1}, int16)}}, folder / "x");
  std::string header =
      R"({"a":{"dtype":"I16","shape":[1],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})";
  header.append((64 - (8 + header.size()) % 64) % 64, ' ');
  EXPECT_EQ(read_file(folder / "x"), file_text(header, "\x01\x08\x01"));
}

TEST(Safetensors, StridedTensorsAreWrittenInOrder) {
  Folder folder;
  Tensor t = tensor<int32_t>({0, 1, 2, 3, 4, 5}, {2, 3});
  save_file({{"t", make_view(t, {3, 2}, {1, 3}, 0, {.op = nullptr, .attrs = {}})},
             {"wide", make_view(t, {2, 1 << 16}, {3, 0}, 1, {.op = nullptr, .attrs = {}})}},
            folder / "x");
  TensorMap loaded = load_file(folder / "x");
  const int32_t* p = loaded["t"].data<int32_t>();
  EXPECT_EQ(std::vector<int32_t>(p, p + 6), (std::vector<int32_t>{0, 3, 1, 4, 2, 5}));
  p = loaded["wide"].data<int32_t>();
  EXPECT_EQ(p[0], 1);
  EXPECT_EQ(p[(1 << 16) - 1], 1);
  EXPECT_EQ(p[1 << 16], 4);
}

TEST(Safetensors, LoadedTensorsShowTheFileAndMayBeWritten) {
  Folder folder;
  save_file({{"t", counted({1000}, float32)}}, folder / "x");
  const std::string before = read_file(folder / "x");
  Tensor t = load_file(folder / "x").at("t");
  save_file({{"t", counted({3}, uint8)}}, folder / "x");  // the name is another file's now
  t.data<float>()[0] = 5;
  EXPECT_EQ(t.data<float>()[0], 5);
  EXPECT_EQ(std::memcmp(t.data<float>() + 1, before.data() + before.size() - 999 * 4, 999 * 4), 0);
  EXPECT_EQ(load_file(folder / "x").at("t").numel(), 3);
}

TEST(Safetensors, UnalignedDataIsCopied) {
  Tensor t =
      read_safetensors(in_memory(file_text(R"({"t":{"dtype":"I32","shape":[1],"data_offsets":[0,4]} })", "\1\0\0\0"s)))
          .at("t");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(t.raw_data()) % 4, 0u);
  EXPECT_EQ(t.item<int>(), 1);
}

TEST(Safetensors, Truncated) {
  EXPECT_EQ(refused(""), "it has 0 bytes, too few for a header");
  EXPECT_EQ(refused(std::string(8, '\xff')), "its header would have 18446744073709551615 bytes");
  EXPECT_EQ(refused(file_text("{}", "").substr(0, 9)), "it ends inside its header (2 bytes, 1 there)");
  const std::string whole = file_text(R"({"t":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", "abc");
  EXPECT_EQ(refused(whole), "read");
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_NE(refused(whole.substr(0, n)), "read") << n;
}

TEST(Safetensors, AValidFileOfTooManyDimsIsNotImplemented) {
  try {
    read_safetensors(
        in_memory(file_text(R"({"t":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})", "\0\0\0\0"s)));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::NotImplemented);
    EXPECT_EQ(e.headline(), "tensor 't' of 'x.safetensors' has more than 8 dims");
  }
}

TEST(Safetensors, HostileOffsets) {
  const auto two = [](const char* a, const char* b) {
    return std::string(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)") + a +
           R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + b + "}}";
  };
  EXPECT_EQ(refused(two("[0,4]", "[4,8]"), 8), "read");
  EXPECT_EQ(refused(two("[4,8]", "[0,4]"), 8), "read") << "the order in the header is free";
  EXPECT_EQ(refused(two("[0,4]", "[2,6]"), 8),
            "tensor 'b' overlaps the one before it: data_offsets [2, 6] after byte 4");
  EXPECT_EQ(refused(two("[0,4]", "[0,4]"), 8),
            "tensor 'b' overlaps the one before it: data_offsets [0, 4] after byte 4");
  EXPECT_EQ(refused(two("[0,4]", "[5,9]"), 9), "tensor 'b' leaves a hole before it: data_offsets [5, 9] after byte 4");
  EXPECT_EQ(refused(two("[0,4]", "[8,4]"), 8), "tensor 'b' ends before it begins: data_offsets [8, 4]");
  EXPECT_EQ(refused(two("[0,4]", "[4,8]"), 7),
            "tensor 'b' reaches beyond the end: data_offsets [4, 8] of 7 bytes; the file is cut off or damaged");
  EXPECT_EQ(refused(two("[0,4]", "[4,18446744073709551615]"), 8),
            "tensor 'b' reaches beyond the end: data_offsets [4, 18446744073709551615] of 8 bytes; the file is cut off "
            "or damaged");
  EXPECT_EQ(refused(two("[0,4]", "[4,8]"), 9), "1 bytes at its end belong to no tensor");
  EXPECT_EQ(refused(two("[0,4]", "[4]"), 8), "tensor 'b' has 1 data_offsets in the place of 2");
  EXPECT_EQ(refused(two("[0,4]", "[4,6,8]"), 8), "tensor 'b' has more than 2 data_offsets");
}

TEST(Safetensors, HostileEntries) {
  const auto one = [](const char* entry) { return refused(std::string("{\"t\":") + entry + "}", 4); };
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})"), "read");
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})"),
            "tensor 't' has 4 bytes, which is not the size of f32[2]");
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]})"),
            "tensor 't' has a size of 4611686018427387904");
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]})"),
            "tensor 't' has 4 bytes, which is not the size of f32[4294967296, 4294967296]");
  EXPECT_EQ(one(R"({"dtype":"F31","shape":[1],"data_offsets":[0,4]})"),
            "tensor 't' has the dtype 'F31', which this version does not know");
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})"),
            "tensor 't' has the number -1 where it does not belong (shape)");
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[1.0],"data_offsets":[0,4]})"),
            "tensor 't' has the number 1.0 where it does not belong (shape)");
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[[1]],"data_offsets":[0,4]})"),
            "tensor 't' has an array where it does not belong (shape)");
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[1]})"), "tensor 't' needs dtype, shape and data_offsets");
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]})"),
            "tensor 't' has two fields 'shape'");
  EXPECT_EQ(one(R"({"dtype":"F32","pickle":"x"})"), "tensor 't' has an unknown field 'pickle'");
  EXPECT_EQ(one("3"), "tensor 't' is no object");
  EXPECT_EQ(one(R"({"dtype":"BOOL","shape":[4],"data_offsets":[0,4]})"), "a bool that is neither 0 nor 1");
}

TEST(Safetensors, HostileHeaders) {
  EXPECT_EQ(refused("[]", 0), "the header is no JSON object");
  EXPECT_EQ(refused("{", 0), "the header is no JSON (byte 2 of it)");
  EXPECT_EQ(refused("{} x", 0), "the header is no JSON (byte 4 of it)");
  EXPECT_EQ(refused("{\"\xff\":1}", 0), "the header is no JSON (byte 3 of it)");
  EXPECT_EQ(refused(R"({"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"t":{}})", 0),
            "the name 't' stands there twice");
  EXPECT_EQ(refused(R"({"__metadata__":{"a":1}})", 0), "the metadata 'a' is no text");
  EXPECT_EQ(refused(R"({"__metadata__":{"a":"1","a":"2"}})", 0), "the metadata 'a' stands there twice");
  EXPECT_EQ(refused(std::string(100000, '['), 0), "the header is no JSON object");
  EXPECT_EQ(refused("{\"a\":" + std::string(100000, '['), 0), "tensor 'a' is no object");
}

TEST(Safetensors, WhatCannotBeSaved) {
  Folder folder;
  const auto refusal = [&](const TensorMap& tensors, const Metadata& metadata = {}) {
    try {
      save_file(tensors, folder / "x", metadata);
    } catch (const Error& e) {
      EXPECT_FALSE(fs::exists(folder / "x"));
      return e.headline();
    }
    return std::string("saved");
  };
  EXPECT_EQ(refusal({{"c", counted({1}, complex128)}}),
            "save_file: tensor 'c' is complex128, which safetensors does not know");
  EXPECT_EQ(refusal({{"u", Tensor()}}), "save_file: tensor 'u' is undefined");
  EXPECT_EQ(refusal({{"__metadata__", counted({1}, uint8)}}),
            "save_file: tensor '__metadata__' has a name that the format keeps for itself");
  EXPECT_EQ(refusal({{"\xff", counted({1}, uint8)}}), "save_file: a name or a metadata text is not valid UTF-8");
  EXPECT_EQ(refusal({{"m", empty({2}, {.device = "meta"})}}), "data: the tensor has no data");
}

// A real full disk where the test may mount one, else a limit that fails in the same place.
TEST(Safetensors, FullDiskKeepsTheOldFile) {
  Folder folder;
  const bool mounted = mount("tmpfs", folder.path.c_str(), "tmpfs", 0, "size=256k") == 0;
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  save_file({{"old", counted({10}, uint8)}}, folder / "x");
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  if (!mounted) {
    const rlimit small{256 << 10, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
  }
  std::string text;
  try {
    save_file({{"new", counted({1 << 20}, uint8)}}, folder / "x");
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Io);
    text = e.what();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(text.find(mounted ? "No space left on device" : "File too large"), std::string::npos) << text;
  EXPECT_NE(text.find("1.00 MiB to write, "), std::string::npos) << text;
  EXPECT_EQ(load_file(folder / "x").count("old"), 1u);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path), {}), 1) << "no temporary file is left";
  if (mounted) {
    EXPECT_EQ(umount2(folder.path.c_str(), MNT_DETACH), 0);
  }
}

}  // namespace
}  // namespace thixo
