// Written by tools/math_coefficients.py; every polynomial's constant term comes first.
#pragma once

#include <cstdint>

namespace thixo::codegen {

// clang-format off

// (exp(r) - 1 - r) / r^2, |r| <= ln2/2, powers 0 to 4; error 0.062 / 2
inline constexpr double kExpF32[] = {
    0x1.fffffc0000000p-2,
    0x1.5554920000000p-3,
    0x1.5558f20000000p-5,
    0x1.123a0a0000000p-7,
    0x1.6a23f60000000p-10,
};

// (exp(r) - 1 - r) / r^2, |r| <= ln2/2, powers 0 to 10; error 0.0065 / 2
inline constexpr double kExpF64[] = {
    0x1.0000000000000p-1,
    0x1.555555555555bp-3,
    0x1.5555555555503p-5,
    0x1.111111110ec4bp-7,
    0x1.6c16c16c30504p-10,
    0x1.a01a01b38564dp-13,
    0x1.a01a013681bcfp-16,
    0x1.71ddf00e7fd14p-19,
    0x1.27e5b43e50b1ap-22,
    0x1.af6c087385f2dp-26,
    0x1.1e3d68f4c860bp-29,
};

// (exp(r) - 1 - r) / r^2, |r| <= ln2/2, relative to exp(r) - 1, powers 0 to 5; error 0.0078 / 2
inline constexpr double kExpm1F32[] = {
    0x1.0000000000000p-1,
    0x1.5555540000000p-3,
    0x1.5554ea0000000p-5,
    0x1.1113aa0000000p-7,
    0x1.6d4c740000000p-10,
    0x1.9c63ce0000000p-13,
};

// (exp(r) - 1 - r) / r^2, |r| <= ln2/2, relative to exp(r) - 1, powers 0 to 10; error 0.11 / 2
inline constexpr double kExpm1F64[] = {
    0x1.0000000000001p-1,
    0x1.5555555555557p-3,
    0x1.5555555554d39p-5,
    0x1.11111111100dep-7,
    0x1.6c16c16f0b34dp-10,
    0x1.a01a01abe7adbp-13,
    0x1.a019f393be581p-16,
    0x1.71de02307d3e4p-19,
    0x1.28022816ba912p-22,
    0x1.af4def06bfc31p-26,
    0x1.e6323cb0f3682p-30,
};

// 2^f, |f| <= 1/2, for the tail of erf, where it counts by less than 0.2: powers 0 to 5; error 2.1 / 2
inline constexpr double kExp2F32[] = {
    0x1.0000020000000p+0,
    0x1.62e4380000000p-1,
    0x1.ebf80c0000000p-3,
    0x1.c6a1b80000000p-5,
    0x1.3d59760000000p-7,
    0x1.660fa80000000p-10,
};

// 2^f, |f| <= 1/2, for the tail of erf, where it counts by less than 0.2: powers 0 to 10; error 3.0 / 2
inline constexpr double kExp2F64[] = {
    0x1.0000000000000p+0,
    0x1.62e42fefa3a18p-1,
    0x1.ebfbdff82c3b8p-3,
    0x1.c6b08d703d444p-5,
    0x1.3b2ab6fbde354p-7,
    0x1.5d87fe9ccf510p-10,
    0x1.4309125ffedc3p-13,
    0x1.ffcb55ca68421p-17,
    0x1.62c1588d2fa36p-20,
    0x1.b6742e409b4d9p-24,
    0x1.e39862e586709p-28,
};

// (2^f - 1) / f, |f| <= 1/2, for pow of f32; error 0.088 / 2
inline constexpr double kExp2ForPowF32[] = {
    0x1.62e4320000000p-1,
    0x1.ebfbe60000000p-3,
    0x1.c6ada80000000p-5,
    0x1.3b21c40000000p-7,
    0x1.5fbeac0000000p-10,
    0x1.4bc0180000000p-13,
};

// (tanh(x) - x) / x^3 in powers of z = x^2, |x| <= 0.626; error 0.076 / 2
inline constexpr double kTanhF32[] = {
    -0x1.5555320000000p-2,
    0x1.1106f60000000p-3,
    -0x1.b835a40000000p-5,
    0x1.51f8ce0000000p-6,
    -0x1.750ce40000000p-8,
};

// (tanh(x) - x) / x^3 in powers of z = x^2, |x| <= 0.626; error 0.1 / 2
inline constexpr double kTanhF64[] = {
    -0x1.5555555555552p-2,
    0x1.1111111110bd9p-3,
    -0x1.ba1ba1b9cc1d8p-5,
    0x1.664f486fbabdap-6,
    -0x1.226e32b1cc217p-7,
    0x1.d6d355ec18480p-9,
    -0x1.7d9bfe7d5d2f8p-10,
    0x1.3509d878d1be9p-11,
    -0x1.f1010139df458p-13,
    0x1.7fdc57eded1a9p-14,
    -0x1.f9ca71b591978p-16,
    0x1.94505bd2ee457p-18,
};

// (log(1+f) - f + f^2/2) / f^3, sqrt(1/2) <= 1+f <= sqrt(2), powers 0 to 7; error 0.11 / 2
inline constexpr double kLogF32[] = {
    0x1.5555540000000p-2,
    -0x1.0002280000000p-2,
    0x1.99a0140000000p-3,
    -0x1.5472020000000p-3,
    0x1.22d8c00000000p-3,
    -0x1.0d869c0000000p-3,
    0x1.0566400000000p-3,
    -0x1.38c9aa0000000p-4,
};

// (log(1+f) - 2s) / s^3 in powers of s^2, s = f / (2+f), |s| <= 0.1716; error 0.015 / 2
inline constexpr double kLogF64[] = {
    0x1.5555555555593p-1,
    0x1.999999997f85ep-2,
    0x1.2492494242d67p-2,
    0x1.c71c51c26ec73p-3,
    0x1.74664e5811042p-3,
    0x1.39a016ad5dcffp-3,
    0x1.2f16bdd5de2cep-3,
};

// log2(1+f) / f, sqrt(1/2) <= 1+f <= sqrt(2), in f64 for pow of f32 (units of 2^-53); error 9.2e+5 / 2
inline constexpr double kLog2ForPowF32[] = {
    0x1.71547652efa31p+0,
    -0x1.7154767bd5385p-1,
    0x1.ec709c00dddd6p-2,
    -0x1.715435b8af0cbp-2,
    0x1.277732954998fp-2,
    -0x1.ec8d852e7ed26p-3,
    0x1.a615eced285a2p-3,
    -0x1.6eaf225a2c262p-3,
    0x1.459fcb397b13ap-3,
    -0x1.41840d7c94a88p-3,
    0x1.3d37b7b00182dp-3,
    -0x1.61c6528389ca2p-4,
};

// (sin(r) - r) / r^3 in powers of z = r^2, |r| <= pi/4; error 0.067 / 2
inline constexpr double kSinF32[] = {
    -0x1.5555460000000p-3,
    0x1.1107780000000p-7,
    -0x1.9953f60000000p-13,
};

// (cos(r) - 1 + z/2) / z^2 in powers of z = r^2, |r| <= pi/4; error 0.002 / 2
inline constexpr double kCosF32[] = {
    0x1.55554a0000000p-5,
    -0x1.6c0c280000000p-10,
    0x1.99e8360000000p-16,
};

// (sin(r) - r) / r^3 in powers of z = r^2, |r| <= pi/4; error 0.096 / 2
inline constexpr double kSinF64[] = {
    -0x1.5555555555548p-3,
    0x1.111111110f7c4p-7,
    -0x1.a01a019bfc4ddp-13,
    0x1.71de35665addcp-19,
    -0x1.ae5e59601f725p-26,
    0x1.5d8f763e5cdedp-33,
};

// (cos(r) - 1 + z/2) / z^2 in powers of z = r^2, |r| <= pi/4; error 0.01 / 2
inline constexpr double kCosF64[] = {
    0x1.555555555554bp-5,
    -0x1.6c16c16c14f83p-10,
    0x1.a01a019c82d6ap-16,
    -0x1.27e4f7e9ace0bp-22,
    0x1.1ee9d6f1a87cfp-29,
    -0x1.8fa4327659c74p-37,
};

// (atan(r) - r) / r^3 in powers of z = r^2, |r| <= tan(pi/8); error 0.027 / 2
inline constexpr double kAtanF64[] = {
    -0x1.5555555555555p-2,
    0x1.9999999999970p-3,
    -0x1.2492492490a0cp-3,
    0x1.c71c71c60cc3ep-4,
    -0x1.745d171270279p-4,
    0x1.3b13aaf8cc3edp-4,
    -0x1.11108cc828f50p-4,
    0x1.e1d2a2178163fp-5,
    -0x1.ae890daf0d0f8p-5,
    0x1.817ae7e29c0f4p-5,
    -0x1.4c2ec45877d68p-5,
    0x1.e51a8f3130c06p-6,
    -0x1.a93bdc446ef7bp-7,
};

// erf(x)/x - 1 in powers of z = x^2, |x| <= 0.93; error 0.33 / 2
inline constexpr double kErfF32[] = {
    0x1.06eba60000000p-3,
    -0x1.8126e20000000p-2,
    0x1.ce193a0000000p-4,
    -0x1.b674fc0000000p-6,
    0x1.46a65a0000000p-8,
    -0x1.3786100000000p-11,
};

// erf(x)/x - 1 in powers of z = x^2, |x| <= 1.0005; error 0.099 / 2
inline constexpr double kErfF64[] = {
    0x1.06eba8214db69p-3,
    -0x1.812746b0379e7p-2,
    0x1.ce2f21a042bddp-4,
    -0x1.b82ce31288997p-6,
    0x1.565bcd0e649d6p-8,
    -0x1.c02db3fed5d6dp-11,
    0x1.f9a326bf4552fp-14,
    -0x1.f4d255d672f3bp-17,
    0x1.b9e64c538deafp-20,
    -0x1.5f6d634983e5fp-23,
    0x1.fc409b946dbf8p-27,
    -0x1.4e5368e5e5a70p-30,
    0x1.7ebe3391f036bp-34,
    -0x1.2905ea1a4f58ap-38,
};

// log2(1 - erf(t)), 0.92 <= t <= 3.95, so that erf is close; error 0.025 / 2
inline constexpr double kErfTailF32[] = {
    -0x1.393c980000000p-12,
    -0x1.a0776a0000000p+0,
    -0x1.d6b9140000000p-1,
    -0x1.32db5c0000000p-3,
    0x1.063fa20000000p-5,
    -0x1.1ed3660000000p-8,
    0x1.26e73c0000000p-12,
};

// log2(1 - erf(t)), 0.9995 <= t <= 6, so that erf is close; error 0.039 / 2
inline constexpr double kErfTailF64[] = {
    -0x1.1ca350f57711dp-22,
    -0x1.a0be5660d021ep+0,
    -0x1.d640864d49449p-1,
    -0x1.2f945ad479e38p-3,
    0x1.c2ed7f0973851p-6,
    0x1.aaa0be55dc5bep-12,
    -0x1.4ed5404e5a16ap-9,
    0x1.e615768947090p-11,
    -0x1.154aae9564d7ep-14,
    -0x1.a67d92f5d7718p-14,
    0x1.0f1689f330a21p-14,
    -0x1.8db7c30236c9ep-16,
    0x1.a0c07445f5cc7p-18,
    -0x1.4789eea1ddffep-20,
    0x1.83070d866eda8p-23,
    -0x1.4f6a87f7ad32ap-26,
    0x1.93aad9bda714ap-30,
    -0x1.2dc5a908d08fep-34,
    0x1.a65978193f6ecp-40,
};

// ln 2 in two parts, the first of 15 bits: its product with an exponent is exact
inline constexpr double kLn2F32[] = {
    0x1.62e4000000000p-1,
    0x1.7f7d1c0000000p-20,
};

// ln 2 in two parts, the first of 42 bits: its product with an exponent is exact
inline constexpr double kLn2F64[] = {
    0x1.62e42fefa3800p-1,
    0x1.ef35793c76730p-45,
};

// pi/2 in parts: products with |k| <= 2^12 are exact in f32, and so are the first two differences
inline constexpr double kHalfPiF32[] = {
    0x1.9220000000000p+0,
    -0x1.2c00000000000p-18,
    0x1.1100000000000p-26,
    0x1.68c2340000000p-39,
};

// pi/2 in parts of 33 bits: products with |k| <= 2^20 are exact in f64
inline constexpr double kHalfPiF64[] = {
    0x1.921fb54400000p+0,
    0x1.0b4611a600000p-34,
    0x1.3198a2e000000p-69,
    0x1.b839a252049c1p-104,
};

// 2/pi in chunks of 29 bits: products with an f32 are exact in f64
inline constexpr double kTwoOverPiChunks[] = {
    0x1.45f306d000000p-1,
    0x1.9391054000000p-30,
    0x1.4fe13ab000000p-59,
    0x1.d1f534d000000p-88,
    0x1.b81b6c5000000p-117,
    0x1.5993c40000000p-148,
    0x1.c820ff2000000p-175,
};

// 2/pi in 64-bit words: 40 zero bits, then the bit worth 1/2 and so on.
inline constexpr uint64_t kTwoOverPiWords[] = {
    0x0000000000a2f983,
    0x6e4e441529fc2757,
    0xd1f534ddc0db6295,
    0x993c439041fe5163,
    0xabdebbc561b7246e,
    0x3a424dd2e006492e,
    0xea09d1921cfe1deb,
    0x1cb129a73ee88235,
    0xf52ebb4484e99c70,
    0x26b45f7e413991d6,
    0x39835339f49c845f,
    0x8bbdf9283b1ff897,
    0xffde05980fef2f11,
    0x8b5a0a6d1f6d367e,
    0xcf27cb09b74f463f,
    0x669e5fea2d7527ba,
    0xc7ebe5f17b3d0739,
    0xf78a5292ea6bfb5f,
    0xb11f8d5d08560330,
};

// clang-format on

}  // namespace thixo::codegen
