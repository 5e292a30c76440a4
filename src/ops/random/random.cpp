// Random tensors. Each op takes a key and a counter drawn from a Generator by its front, and is pure beyond that.
#include "ir/dispatch.h"
#include "ops/batching.h"
#include "ops/random/philox.h"
#include "thixo/tensor.h"

namespace thixo::ops {
namespace {

DType float_type(const Call& c, DType none) {
  DType t = c.none("dtype") ? none : c.type("dtype");
  if (!is_float(t))
    throw c.error(ErrorKind::DType, "dtype must be a floating-point type, not " + std::string(dtype_name(t)));
  return t;
}

void new_result(Infer& c, DType t, const Shape& shape) {
  for (Dim n : shape)
    c.require(n.is_symbolic() || n.value() >= 0, ErrorKind::Shape, "negative size in " + shape_str(shape));
  Device device = c.none("device") ? (c.in.empty() ? Device() : c.in[0].device()) : std::get<Device>(c.attr("device"));
  c.out.push_back({t, shape, device});
}

void like_input(Infer& c) { c.result(c.dtype(0), c.shape(0)); }

std::vector<Sample> size_samples() {
  auto of = [](Shape size, Attr dtype) {
    return std::vector<std::pair<std::string, Attr>>{{"size", size}, {"dtype", dtype}, {"generator", RngKey{7, 3}}};
  };
  return {{.attrs = of({3, 40}, Attr())},
          {.attrs = of({}, DType::F64)},
          {.attrs = of({5}, DType::F16)},
          {.attrs = of({5}, DType::BF16)},
          {.attrs = of({0}, Attr())},
          {.attrs = of({-2}, Attr()), .bad = "negative size in [-2]"},
          {.attrs = of({2}, DType::I64), .bad = "dtype must be a floating-point type, not int64"}};
}

std::vector<Sample> like_samples() {
  return {{.in = {{{3, 40}}}, .attrs = {{"generator", RngKey{7, 3}}}},
          {.in = {{{}}}, .attrs = {{"generator", RngKey{1, 0}}}}};
}

}  // namespace

void def_rand(Op& op) {
  op.schema(
        "rand(size: size, *, dtype: dtype? = None, device: device? = None, generator: rng = None) -> Float @creation")
      .doc("Uniform numbers in [0, 1).")
      .example(">>> thixo.rand(2, 3).shape\nthixo.Size([2, 3])")
      .infer([](Infer& c) { new_result(c, float_type(c, default_dtype()), c.list("size")); })
      .nest([](NestCtx& c) { c.values = {RandomBlock(c, "generator").uniform(c.out[0].dtype)}; })
      .no_grad()
      .samples(size_samples);
}

void def_randn(Op& op) {
  op.schema(
        "randn(size: size, *, dtype: dtype? = None, device: device? = None, generator: rng = None) -> Float @creation")
      .doc("Numbers of the standard normal distribution.")
      .source("Box and Muller 1958, A note on the generation of random normal deviates")
      .example(">>> thixo.randn(2, 3).shape\nthixo.Size([2, 3])")
      .infer([](Infer& c) { new_result(c, float_type(c, default_dtype()), c.list("size")); })
      .nest([](NestCtx& c) { c.values = {RandomBlock(c, "generator").normal(c.out[0].dtype)}; })
      .ulps(4, 4, 1)  // the cosine is as exact as its argument, which is rounded
      .no_grad()
      .samples(size_samples);
}

void def_rand_like(Op& op) {
  op.schema(
        "rand_like(input: Float, *, dtype: dtype? = None, device: device? = None, generator: rng = None) -> Float "
        "@creation")
      .doc("Uniform numbers in [0, 1), in the input's shape and dtype.")
      .example(">>> thixo.rand_like(thixo.zeros(3)).shape\nthixo.Size([3])")
      .infer([](Infer& c) { new_result(c, float_type(c, c.dtype(0)), c.shape(0)); })
      .nest([](NestCtx& c) { c.values = {RandomBlock(c, "generator").uniform(c.out[0].dtype)}; })
      .no_grad()
      .samples(like_samples);
}

void def_randn_like(Op& op) {
  op.schema(
        "randn_like(input: Float, *, dtype: dtype? = None, device: device? = None, generator: rng = None) -> Float "
        "@creation")
      .doc("Numbers of the standard normal distribution, in the input's shape and dtype.")
      .example(">>> thixo.randn_like(thixo.zeros(3)).shape\nthixo.Size([3])")
      .infer([](Infer& c) { new_result(c, float_type(c, c.dtype(0)), c.shape(0)); })
      .nest([](NestCtx& c) { c.values = {RandomBlock(c, "generator").normal(c.out[0].dtype)}; })
      .ulps(4, 4, 1)  // the cosine is as exact as its argument, which is rounded
      .no_grad()
      .samples(like_samples);
}

void def_randint_low(Op& op) {
  op.schema(
        "randint.low(low: int, high: int, size: size, *, dtype: dtype? = None, device: device? = None, generator: rng "
        "= None) -> Tensor @creation")
      .doc("Integers from low to high - 1, all as likely.")
      .example(">>> thixo.randint(3, 5, (4,)).shape\nthixo.Size([4])")
      .infer([](Infer& c) {
        Dim low = c.integer("low"), high = c.integer("high");
        c.require(low < high.value(), ErrorKind::Value, "low " + low.str() + " must be below high " + high.str());
        new_result(c, c.none("dtype") ? DType::I64 : c.type("dtype"), c.list("size"));
      })
      .nest([](NestCtx& c) {
        RandomBlock block(c, "generator");
        Expr low = c.param("low", DType::I64), high = c.param("high", DType::I64);
        Expr bits =
            binary(ExprOp::Or, binary(ExprOp::Shl, cast(block.word(0), DType::U64), constant_int(32, DType::U64)),
                   cast(block.word(1), DType::U64));
        c.values = {
            cast(low + cast(mod(bits, cast(high - low, DType::U64)), DType::I64), compute_type(c.out[0].dtype))};
      })
      .no_grad()
      .samples([] {
        auto of = [](int64_t low, int64_t high, Shape size, Attr dtype) {
          return std::vector<std::pair<std::string, Attr>>{
              {"low", Dim(low)}, {"high", Dim(high)}, {"size", size}, {"dtype", dtype}, {"generator", RngKey{5, 1}}};
        };
        return std::vector<Sample>{{.attrs = of(0, 10, {40}, Attr())},
                                   {.attrs = of(-5, -2, {3, 4}, DType::I8)},
                                   {.attrs = of(0, int64_t{1} << 62, {8}, Attr())},
                                   {.attrs = of(INT64_MIN, INT64_MAX, {8}, Attr())},
                                   {.attrs = of(0, 3, {}, DType::F32)},
                                   {.attrs = of(3, 3, {2}, Attr()), .bad = "low 3 must be below high 3"}};
      });
}

void def_randint(Op& op) {
  op.schema(
        "randint(high: int, size: size, *, dtype: dtype? = None, device: device? = None, generator: rng = None) -> "
        "Tensor @creation")
      .doc("Integers from 0 to high - 1, all as likely.")
      .example(">>> thixo.randint(5, (4,)).shape\nthixo.Size([4])")
      .infer([](Infer& c) {
        c.require(c.integer("high") > 0, ErrorKind::Value, "high must be above 0, got " + c.integer("high").str());
        new_result(c, c.none("dtype") ? DType::I64 : c.type("dtype"), c.list("size"));
      })
      .nest([](NestCtx& c) {
        RandomBlock block(c, "generator");
        Expr bits =
            binary(ExprOp::Or, binary(ExprOp::Shl, cast(block.word(0), DType::U64), constant_int(32, DType::U64)),
                   cast(block.word(1), DType::U64));
        c.values = {cast(cast(mod(bits, cast(c.param("high", DType::I64), DType::U64)), DType::I64),
                         compute_type(c.out[0].dtype))};
      })
      .no_grad()
      .samples([] {
        auto of = [](int64_t high, Shape size) {
          return std::vector<std::pair<std::string, Attr>>{
              {"high", Dim(high)}, {"size", size}, {"generator", RngKey{5, 1}}};
        };
        return std::vector<Sample>{
            {.attrs = of(10, {40})}, {.attrs = of(1, {})}, {.attrs = of(0, {2}), .bad = "high must be above 0, got 0"}};
      });
}

void def_randperm(Op& op) {
  op.schema(
        "randperm(n: int, *, dtype: dtype? = None, device: device? = None, generator: rng = None) -> Tensor @creation")
      .doc(
          "0, 1, ..., n - 1 in a random order, all as likely: for i from n - 1 down to 1, elements i and r_i mod (i + "
          "1) change places.")
      .source("Durstenfeld 1964, Algorithm 235: Random permutation")
      .example(">>> thixo.randperm(4).sum()\ntensor(6)")
      .infer([](Infer& c) { new_result(c, c.none("dtype") ? DType::I64 : c.type("dtype"), {c.integer("n")}); })
      .kernel("randperm")
      .no_grad()
      .samples([] {
        auto of = [](int64_t n) {
          return std::vector<std::pair<std::string, Attr>>{{"n", Dim(n)}, {"generator", RngKey{5, 1}}};
        };
        return std::vector<Sample>{
            {.attrs = of(10)}, {.attrs = of(0)}, {.attrs = of(-1), .bad = "negative size in [-1]"}};
      });
}

void def_bernoulli(Op& op) {
  op.schema("bernoulli(input: Float, *, generator: rng = None) -> Float")
      .doc("1 with the probability that the input's element is, else 0.")
      .example(">>> thixo.bernoulli(thixo.tensor([0., 1.]))\ntensor([0., 1.])")
      .infer(like_input)
      .nest([](NestCtx& c) {
        std::vector<Expr> at;
        for (int d = 0; d < c.rank(0); ++d) at.push_back(c.out_axis(d));
        Expr p = c.load(0, at);
        DType t = p.dtype();
        c.values = {select(RandomBlock(c, "generator").uniform(t) < p, constant(1, t), constant(0, t))};
      })
      .batch(batch_leading)
      .no_grad()
      .samples([] {
        return std::vector<Sample>{
            {.in = {{.shape = {3, 40}, .low = 0, .high = 1}}, .attrs = {{"generator", RngKey{7, 3}}}},
            {.in = {{.shape = {}, .low = 0, .high = 1}}, .attrs = {{"generator", RngKey{1, 0}}}}};
      });
}

void def_bernoulli_p(Op& op) {
  op.schema("bernoulli.p(input: Tensor, p: float = 0.5, *, generator: rng = None) -> Tensor @private @inplace")
      .doc("1 with probability p, else 0, in the input's shape.")
      .infer([](Infer& c) {
        double p = c.number("p");
        c.require(p >= 0 && p <= 1, ErrorKind::Value, "p must lie in [0, 1], got " + Scalar(p).str());
        like_input(c);
      })
      .nest([](NestCtx& c) {
        DType t = compute_type(c.out[0].dtype);
        Expr hit = RandomBlock(c, "generator").uniform(DType::F64) < c.param("p", DType::F64);
        c.values = {select(hit, constant(1, t), constant(0, t))};
      })
      .batch(batch_leading)
      .no_grad()
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{3, 40}}}, .attrs = {{"p", 0.3}, {"generator", RngKey{7, 3}}}},
            {.in = {{{2}}}, .attrs = {{"p", 1.5}, {"generator", RngKey{}}}, .bad = "p must lie in [0, 1], got 1.5"}};
      });
}

void def_uniform(Op& op) {
  op.schema(
        "uniform(input: Float, from: float = 0, to: float = 1, *, generator: rng = None) -> Float @private @inplace")
      .doc("Uniform numbers in [from, to), in the input's shape.")
      .infer([](Infer& c) {
        c.require(c.number("from") <= c.number("to"), ErrorKind::Value,
                  "from " + Scalar(c.number("from")).str() + " is above to " + Scalar(c.number("to")).str());
        like_input(c);
      })
      .nest([](NestCtx& c) {
        DType t = compute_type(c.out[0].dtype);
        Expr from = c.param("from", t), to = c.param("to", t);
        c.values = {from + (to - from) * RandomBlock(c, "generator").uniform(c.out[0].dtype)};
      })
      .batch(batch_leading)
      .no_grad()
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{3, 40}}}, .attrs = {{"from", -2.0}, {"to", 5.0}, {"generator", RngKey{7, 3}}}},
            {.in = {{{2}}},
             .attrs = {{"from", 2.0}, {"to", 1.0}, {"generator", RngKey{}}},
             .bad = "from 2.0 is above to 1.0"}};
      });
}

void def_normal(Op& op) {
  op.schema(
        "normal(input: Float, mean: float = 0, std: float = 1, *, generator: rng = None) -> Float @private @inplace")
      .doc("Numbers of the normal distribution with this mean and standard deviation, in the input's shape.")
      .infer([](Infer& c) {
        c.require(c.number("std") >= 0, ErrorKind::Value,
                  "std must not be negative, got " + Scalar(c.number("std")).str());
        like_input(c);
      })
      .nest([](NestCtx& c) {
        DType t = compute_type(c.out[0].dtype);
        c.values = {c.param("mean", t) + c.param("std", t) * RandomBlock(c, "generator").normal(c.out[0].dtype)};
      })
      .batch(batch_leading)
      .no_grad()
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{3, 40}}}, .attrs = {{"mean", -2.0}, {"std", 0.5}, {"generator", RngKey{7, 3}}}},
            {.in = {{{2}}},
             .attrs = {{"std", -1.0}, {"generator", RngKey{}}},
             .bad = "std must not be negative, got -1.0"}};
      });
}

void def_dropout(Op& op) {
  op.schema(
        "dropout(input: Float, p: float = 0.5, training: bool = true, *, generator: rng = None) -> Float @nn @inplace")
      .doc("Zero with probability p, else input / (1 - p), while training; the input as it is otherwise.")
      .source("Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html")
      .example(">>> thixo.nn.functional.dropout(thixo.tensor([1., 2.]), training=False)\ntensor([1., 2.])")
      .infer([](Infer& c) {
        double p = c.number("p");
        c.require(p >= 0 && p <= 1, ErrorKind::Value, "p must lie in [0, 1], got " + Scalar(p).str());
        like_input(c);
      })
      .nest([](NestCtx& c) {
        std::vector<Expr> at;
        for (int d = 0; d < c.rank(0); ++d) at.push_back(c.out_axis(d));
        Expr x = c.load(0, at);
        if (c.flag("training")) {
          DType t = x.dtype();
          Expr p = c.param("p", t), keep = ~(RandomBlock(c, "generator").uniform(t) < p);
          x = select(keep, x / (1.0 - p), constant(0, t));
        }
        c.values = {x};
      })
      .batch(batch_leading)
      .grad([](GradCtx& c) {
        // Linear in its input: the same call with the same key drops the same elements of g.
        const Tensor g = c.g();
        return Values{dispatch1(Call{c.call().op, std::span<const Tensor>(&g, 1), c.call().attrs, c.call().at})};
      })
      .samples([] {
        auto of = [](double p, bool training) {
          return std::vector<std::pair<std::string, Attr>>{
              {"p", p}, {"training", training}, {"generator", RngKey{9, 2}}};
        };
        return std::vector<Sample>{{.in = {{{3, 40}}}, .attrs = of(0.3, true)},
                                   {.in = {{{3, 4}}}, .attrs = of(0.3, false)},
                                   {.in = {{{5}}}, .attrs = of(1, true)},
                                   {.in = {{{}}}, .attrs = of(0.5, true)},
                                   {.in = {{{0}}}, .attrs = of(0.5, true)},
                                   {.in = {{{2}}}, .attrs = of(-0.1, true), .bad = "p must lie in [0, 1], got -0.1"}};
      });
}

}  // namespace thixo::ops
