// Register tiles: which one this processor takes, and sweeping them over packed panels.
#include <algorithm>
#include <array>
#include <complex>
#include <cstring>
#include <string>

#include "backend/cpu/gemm.h"
#include "base/deterministic.h"
#include "base/half.h"
#include "codegen/pack.h"
#include "thixo/error.h"

namespace thixo::cpu {
namespace {

constexpr DType kTypes[] = {DType::F32, DType::F64, DType::I32, DType::I64};
size_t type_index(DType t) { return t == DType::F32 ? 0 : t == DType::F64 ? 1 : t == DType::I32 ? 2 : 3; }

/// The shape that fills the registers: with 512 bits 24 accumulators and their operands, with 256 bits 12 (8 where one
/// of 16 lanes takes four registers: a ninth would be spilled).
RegisterTile find_tile(DType t, bool deterministic) {
  const codegen::PackTable* pack = codegen::active_pack();
  const std::string isa = pack == nullptr ? "" : pack->isa;
  const bool narrow = item_size(t) == 4;
  RegisterTile r{2, 16};
  if (isa == "avx512") {
    r = narrow ? RegisterTile{12, 32} : RegisterTile{12, 16};
  } else if (narrow && isa != "x86-64-v2") {
    r = {6, 16};
  }
  const std::string key = "gemm." + std::string(dtype_short_name(t)) + "." + std::to_string(r.mr) + "x" +
                          std::to_string(r.nr) + (deterministic && is_float(t) ? ".det" : "");
  r.set = codegen::find_kernel(key + ".set");
  r.add = codegen::find_kernel(key + ".add");
  return r;
}

template <class T>
void merge(const T* tile, int64_t tile_ld, int64_t rows, int64_t columns, bool add, T* c, int64_t ldc) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      T& to = c[i * ldc + j];
      if constexpr (std::is_integral_v<T>) {
        using U = std::make_unsigned_t<T>;
        to = add ? static_cast<T>(static_cast<U>(to) + static_cast<U>(tile[i * tile_ld + j])) : tile[i * tile_ld + j];
      } else {
        to = add ? to + tile[i * tile_ld + j] : tile[i * tile_ld + j];
      }
    }
  }
}

class Sweep {
 public:
  Sweep(DType t, int64_t depth, bool add, int64_t ldc)
      : type_(t),
        tile_(register_tile(t)),
        item_(static_cast<int64_t>(item_size(t))),
        depth_(depth),
        ldc_(ldc),
        add_(add) {}

  /// `rows` of A's panels times one panel of B with `columns` of its columns in use.
  void column(const char* a, const char* b, int64_t rows, int64_t columns, char* c) const {
    const int64_t whole = columns == tile_.nr ? rows / tile_.mr : 0;
    const int64_t panel = depth_ * tile_.nr * item_, share = whole > 0 ? ceil_div(panel, whole) : 0;
    for (int64_t i = 0; i < whole; ++i) {
      // While a tile is computed, the next one of C comes near, and a part of the next panel of B.
      for (int64_t r = 0; r < tile_.mr; ++r) __builtin_prefetch(c + ((i + 1) * tile_.mr + r) * ldc_ * item_, 1);
      for (int64_t at = i * share; at < std::min(panel, (i + 1) * share); at += 64) {
        __builtin_prefetch(b + panel + at, 0, 2);
      }
      call(add_ ? tile_.add : tile_.set, a, b, c, ldc_, i, i + 1);
    }
    for (int64_t row = whole * tile_.mr; row < rows; row += tile_.mr) {
      alignas(64) char tile[kMaxTile];
      call(tile_.set, a + row * depth_ * item_, b, tile, tile_.nr, 0, 1);
      merge_type(tile, std::min<int64_t>(tile_.mr, rows - row), columns, c + row * ldc_ * item_);
    }
  }

 private:
  static constexpr size_t kMaxTile = 12 * 32 * 8;
  void call(KernelFn f, const char* a, const char* b, char* c, int64_t ldc, int64_t begin, int64_t end) const {
    void* buffers[] = {const_cast<char*>(a), const_cast<char*>(b), c};
    const int64_t ints[] = {depth_, ldc};
    const KernelArgs args{buffers, ints, nullptr};
    f(&args, begin, end);
  }
  void merge_type(const char* tile, int64_t rows, int64_t columns, char* c) const {
    switch (type_) {
      case DType::F32:
        return merge(reinterpret_cast<const float*>(tile), tile_.nr, rows, columns, add_, reinterpret_cast<float*>(c),
                     ldc_);
      case DType::F64:
        return merge(reinterpret_cast<const double*>(tile), tile_.nr, rows, columns, add_, reinterpret_cast<double*>(c),
                     ldc_);
      case DType::I32:
        return merge(reinterpret_cast<const int32_t*>(tile), tile_.nr, rows, columns, add_,
                     reinterpret_cast<int32_t*>(c), ldc_);
      default:
        return merge(reinterpret_cast<const int64_t*>(tile), tile_.nr, rows, columns, add_,
                     reinterpret_cast<int64_t*>(c), ldc_);
    }
  }

  DType type_;
  const RegisterTile& tile_;
  int64_t item_, depth_, ldc_;
  bool add_;
};

struct Block {
  const void* from;
  int64_t ld, rows, columns;
  void* to;
  int64_t row_stride;
  const int64_t* columns_at;
};

template <class S, class D, class F> void store_as(const Block& b, F convert) {
  for (int64_t i = 0; i < b.rows; ++i) {
    const S* from = static_cast<const S*>(b.from) + i * b.ld;
    D* to = static_cast<D*>(b.to) + i * b.row_stride;
    for (int64_t j = 0; j < b.columns; ++j) to[b.columns_at[j]] = convert(from[j]);
  }
}
template <class S, class D> void store_cast(const Block& b) {
  store_as<S, D>(b, [](S v) { return static_cast<D>(v); });
}

}  // namespace

const RegisterTile& register_tile(DType t) {
  static const std::array<RegisterTile, 8> tiles = [] {
    std::array<RegisterTile, 8> all;
    for (size_t i = 0; i < 8; ++i) all[i] = find_tile(kTypes[i % 4], i >= 4);
    return all;
  }();
  const RegisterTile& r = tiles[type_index(t) + (detail::deterministic() ? 4 : 0)];
  if (r.set == nullptr || r.add == nullptr) {
    throw NotImplementedError("contractions of " + std::string(dtype_name(t)) +
                              ": this build holds no kernels for this processor")
        .fix("build with THIXO_ISAS naming its instruction set");
  }
  return r;
}

void multiply_panels(DType t, const void* a, const void* b, int64_t rows, int64_t columns, int64_t depth, bool add,
                     void* c, int64_t ldc) {
  const RegisterTile& tile = register_tile(t);
  const auto item = static_cast<int64_t>(item_size(t));
  const Sweep sweep(t, depth, add, ldc);
  // A block of A stays in the second cache while all panels of B pass by it.
  const int64_t block = round_up(96, tile.mr);
  for (int64_t row = 0; row < rows; row += block) {
    for (int64_t column = 0; column < columns; column += tile.nr) {
      sweep.column(static_cast<const char*>(a) + row * depth * item,
                   static_cast<const char*>(b) + column * depth * item, std::min(block, rows - row),
                   std::min<int64_t>(tile.nr, columns - column), static_cast<char*>(c) + (row * ldc + column) * item);
    }
  }
}

void store_block(DType dtype, const void* block, int64_t ld, int64_t rows, int64_t columns, void* to,
                 int64_t row_stride, const int64_t* columns_at) {
  const Block b{block, ld, rows, columns, to, row_stride, columns_at};
  switch (dtype) {
    case DType::F64: return store_cast<double, double>(b);
    case DType::F32: return store_cast<float, float>(b);
    case DType::F16: return store_as<float, uint16_t>(b, f32_to_f16);
    case DType::BF16: return store_as<float, uint16_t>(b, f32_to_bf16);
    case DType::I64:
    case DType::U64: return store_cast<int64_t, int64_t>(b);
    case DType::I32:
    case DType::U32: return store_cast<int32_t, int32_t>(b);
    case DType::I16:
    case DType::U16: return store_cast<int32_t, int16_t>(b);
    case DType::I8:
    case DType::U8:
    case DType::Bool: return store_cast<int32_t, int8_t>(b);
    case DType::C64: return store_cast<std::complex<float>, std::complex<float>>(b);
    case DType::C128: return store_cast<std::complex<double>, std::complex<double>>(b);
  }
}

}  // namespace thixo::cpu
