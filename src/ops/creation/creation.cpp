// New tensors from numbers. Values are nests without operands, so that a compiler writes them into what uses them.
#include <cmath>

#include "ir/op.h"
#include "thixo/tensor.h"

namespace thixo::ops {
namespace {

DType type_or(const Call& c, DType none) { return c.none("dtype") ? none : c.type("dtype"); }

/// The dtype of a number: float and complex numbers are of the default dtype.
DType number_type(const Scalar& s) {
  return is_float(s.kind()) ? default_dtype() : is_complex(s.kind()) ? complex_type(default_dtype()) : s.kind();
}

void new_result(Infer& c, DType t, Shape shape) {
  for (Dim n : shape) {
    c.require(n.is_symbolic() || n.value() >= 0, ErrorKind::Shape, "negative size in " + shape_str(shape));
  }
  Device device = c.none("device") ? (c.in.empty() ? Device() : c.in[0].device()) : std::get<Device>(c.attr("device"));
  c.out.push_back({t, std::move(shape), device});
}

std::vector<Sample> size_samples() {
  auto of = [](Shape size, Attr dtype) {
    return std::vector<std::pair<std::string, Attr>>{{"size", size}, {"dtype", dtype}, {"device", Attr()}};
  };
  return {{.in = {}, .attrs = of({2, 3}, Attr())},
          {.in = {}, .attrs = of({}, DType::I64)},
          {.in = {}, .attrs = of({0, 2}, DType::Bool)},
          {.in = {}, .attrs = of({2}, DType::C64)},
          {.in = {}, .attrs = of({-1}, Attr()), .bad = "negative size in [-1]"}};
}

std::vector<Sample> like_samples() {
  auto of = [](Attr dtype) { return std::vector<std::pair<std::string, Attr>>{{"dtype", dtype}, {"device", Attr()}}; };
  return {{.in = {{{2, 3}}}, .attrs = of(Attr())},
          {.in = {{{}}}, .attrs = of(DType::F16)},
          {.in = {{{0}}}, .attrs = of(Attr())}};
}

void constant_nest(NestCtx& c, double value) { c.values = {constant(value, compute_type(c.out[0].dtype))}; }

/// How many integers there are from a to b by steps of s, which leads from a to b: up to 2^64 - 1.
uint64_t integer_count(int64_t a, int64_t b, int64_t s) {
  auto distance = [](int64_t low, int64_t high) { return static_cast<uint64_t>(high) - static_cast<uint64_t>(low); };
  const uint64_t all = s > 0 ? distance(a, b) : distance(b, a), step = s > 0 ? distance(0, s) : distance(s, 0);
  return all == 0 ? 0 : (all - 1) / step + 1;
}

/// How many values there are from start to end by step.
Dim range_count(const Infer& c, const Scalar& start, const Scalar& end, const Scalar& step) {
  double a = start.to_double(), b = end.to_double(), s = step.to_double();
  c.require(s != 0, ErrorKind::Value, "step must not be zero");
  c.require(std::isfinite(a) && std::isfinite(b), ErrorKind::Value,
            "start and end must be finite, got " + start.str() + " and " + end.str());
  const bool integers = !is_float(start.kind()) && !is_float(end.kind()) && !is_float(step.kind());
  const bool leads = !integers ? (b - a) * s >= 0
                     : s > 0   ? start.to_int() <= end.to_int()
                               : start.to_int() >= end.to_int();
  c.require(leads, ErrorKind::Value,
            "step " + step.str() + " leads away from end " + end.str() + " at start " + start.str());
  const uint64_t count = integers ? integer_count(start.to_int(), end.to_int(), step.to_int()) : 0;
  const double steps = integers ? 0 : std::ceil((b - a) / s);
  c.require(count <= INT64_MAX && steps < 0x1p63, ErrorKind::Value,
            "there are more than 2^63 - 1 values from " + start.str() + " to " + end.str());
  return integers ? Dim(count) : Dim(static_cast<int64_t>(steps));
}

DType range_type(const Call& c, std::initializer_list<std::string_view> names) {
  for (std::string_view n : names) {
    if (is_float(c.scalar(n).kind())) return type_or(c, default_dtype());
  }
  return type_or(c, DType::I64);
}

}  // namespace

void def_zeros(Op& op) {
  op.schema("zeros(size: size, *, dtype: dtype? = None, device: device? = None) -> Tensor @creation")
      .doc("A tensor of zeros.")
      .example(">>> thixo.zeros(2)\ntensor([0., 0.])")
      .infer([](Infer& c) { new_result(c, type_or(c, default_dtype()), c.list("size")); })
      .nest([](NestCtx& c) { constant_nest(c, 0); })
      .no_grad()
      .samples(size_samples);
}

void def_ones(Op& op) {
  op.schema("ones(size: size, *, dtype: dtype? = None, device: device? = None) -> Tensor @creation")
      .doc("A tensor of ones.")
      .example(">>> thixo.ones(2)\ntensor([1., 1.])")
      .infer([](Infer& c) { new_result(c, type_or(c, default_dtype()), c.list("size")); })
      .nest([](NestCtx& c) { constant_nest(c, 1); })
      .no_grad()
      .samples(size_samples);
}

void def_full(Op& op) {
  op.schema("full(size: size, fill_value: scalar, *, dtype: dtype? = None, device: device? = None) -> Tensor @creation")
      .doc("A tensor with every element fill_value; its dtype is the number's unless given.")
      .example(">>> thixo.full((2,), 7)\ntensor([7, 7])")
      .infer([](Infer& c) {
        const DType t = type_or(c, number_type(c.scalar("fill_value")));
        c.require_fits(c.scalar("fill_value"), t);
        new_result(c, t, c.list("size"));
      })
      .nest([](NestCtx& c) { c.values = {c.param("fill_value", compute_type(c.out[0].dtype))}; })
      .no_grad()
      .samples([] {
        auto of = [](Shape size, Scalar v, Attr dtype) {
          return std::vector<std::pair<std::string, Attr>>{
              {"size", size}, {"fill_value", v}, {"dtype", dtype}, {"device", Attr()}};
        };
        return std::vector<Sample>{
            {.in = {}, .attrs = of({2, 3}, 7, Attr())},
            {.in = {}, .attrs = of({}, 0.1, Attr())},
            {.in = {}, .attrs = of({2}, true, Attr())},
            {.in = {}, .attrs = of({2}, -1.5, DType::F16)},
            {.in = {}, .attrs = of({2}, std::complex<double>(1, 2), Attr())},
            {.in = {}, .attrs = of({0}, 1, DType::U8)},
            {.in = {}, .attrs = of({2}, -1, DType::U16)},
            {.in = {}, .attrs = of({2}, 3e9, DType::I32), .bad = "3e+09 cannot be converted to int32 without overflow"},
            {.in = {},
             .attrs = of({2}, std::nan(""), DType::I64),
             .bad = "nan cannot be converted to int64 without overflow"}};
      });
}

void def_scalar_tensor(Op& op) {
  op.schema("scalar_tensor(s: scalar, *, dtype: dtype? = None, device: device? = None) -> Tensor @creation")
      .doc("A number as a tensor without dims, of the default dtype unless given.")
      .example(">>> thixo.scalar_tensor(2)\ntensor(2.)")
      .infer([](Infer& c) {
        DType t = is_complex(c.scalar("s").kind()) ? complex_type(default_dtype()) : default_dtype();
        new_result(c, type_or(c, t), {});
      })
      .nest([](NestCtx& c) { c.values = {c.param("s", compute_type(c.out[0].dtype))}; })
      .no_grad()
      .samples([] {
        return std::vector<Sample>{
            {.in = {}, .attrs = {{"s", Scalar(2)}, {"dtype", Attr()}, {"device", Attr()}}},
            {.in = {}, .attrs = {{"s", Scalar(2.5)}, {"dtype", DType::F64}, {"device", Attr()}}}};
      });
}

void def_zeros_like(Op& op) {
  op.schema("zeros_like(input: Tensor, *, dtype: dtype? = None, device: device? = None) -> Tensor @creation")
      .doc("Zeros of the input's shape, dtype and device.")
      .example(">>> thixo.zeros_like(thixo.tensor([1, 2]))\ntensor([0, 0])")
      .infer([](Infer& c) { new_result(c, type_or(c, c.dtype(0)), c.shape(0)); })
      .nest([](NestCtx& c) { constant_nest(c, 0); })
      .no_grad()
      .samples(like_samples);
}

void def_ones_like(Op& op) {
  op.schema("ones_like(input: Tensor, *, dtype: dtype? = None, device: device? = None) -> Tensor @creation")
      .doc("Ones of the input's shape, dtype and device.")
      .example(">>> thixo.ones_like(thixo.tensor([1, 2]))\ntensor([1, 1])")
      .infer([](Infer& c) { new_result(c, type_or(c, c.dtype(0)), c.shape(0)); })
      .nest([](NestCtx& c) { constant_nest(c, 1); })
      .no_grad()
      .samples(like_samples);
}

void def_empty_like(Op& op) {
  op.schema("empty_like(input: Tensor, *, dtype: dtype? = None, device: device? = None) -> Tensor @creation")
      .doc(
          "A tensor of the input's shape, dtype and device to be written to; zeros until then, so that programs "
          "repeat.")
      .example(">>> thixo.empty_like(thixo.tensor([1, 2])).shape\nthixo.Size([2])")
      .infer([](Infer& c) { new_result(c, type_or(c, c.dtype(0)), c.shape(0)); })
      .nest([](NestCtx& c) { constant_nest(c, 0); })
      .no_grad()
      .samples(like_samples);
}

void def_full_like(Op& op) {
  op.schema(
        "full_like(input: Tensor, fill_value: scalar, *, dtype: dtype? = None, device: device? = None) -> Tensor "
        "@creation")
      .doc("A tensor of the input's shape, dtype and device with every element fill_value.")
      .example(">>> thixo.full_like(thixo.tensor([1, 2]), 7)\ntensor([7, 7])")
      .infer([](Infer& c) {
        c.require_fits(c.scalar("fill_value"), type_or(c, c.dtype(0)));
        new_result(c, type_or(c, c.dtype(0)), c.shape(0));
      })
      .nest([](NestCtx& c) { c.values = {c.param("fill_value", compute_type(c.out[0].dtype))}; })
      .no_grad()
      .samples([] {
        return std::vector<Sample>{
            {.in = {{{2, 3}}}, .attrs = {{"fill_value", Scalar(3)}, {"dtype", Attr()}, {"device", Attr()}}},
            {.in = {{{}}}, .attrs = {{"fill_value", Scalar(0.5)}, {"dtype", DType::BF16}, {"device", Attr()}}},
            {.in = {{{}}},
             .attrs = {{"fill_value", Scalar(300)}, {"dtype", DType::U8}, {"device", Attr()}},
             .bad = "300 cannot be converted to uint8 without overflow"}};
      });
}

void def_arange(Op& op) {
  op.schema("arange(end: scalar, *, dtype: dtype? = None, device: device? = None) -> Tensor @creation")
      .doc("0, 1, 2, ... below end.")
      .example(">>> thixo.arange(3)\ntensor([0, 1, 2])")
      .infer([](Infer& c) { new_result(c, range_type(c, {"end"}), {range_count(c, 0, c.scalar("end"), 1)}); })
      .nest([](NestCtx& c) { c.values = {cast(c.out_axis(0), compute_type(c.out[0].dtype))}; })
      .no_grad()
      .samples([] {
        auto of = [](Scalar end, Attr dtype) {
          return std::vector<std::pair<std::string, Attr>>{{"end", end}, {"dtype", dtype}, {"device", Attr()}};
        };
        return std::vector<Sample>{
            {.in = {}, .attrs = of(5, Attr())},
            {.in = {}, .attrs = of(2.5, Attr())},
            {.in = {}, .attrs = of(4, DType::F16)},
            {.in = {}, .attrs = of(0, Attr())},
            {.in = {}, .attrs = of(1e30, Attr()), .bad = "there are more than 2^63 - 1 values from 0 to 1e+30"},
            {.in = {}, .attrs = of(-1, Attr()), .bad = "step 1 leads away from end -1 at start 0"}};
      });
}

void def_arange_start(Op& op) {
  op.schema(
        "arange.start(start: scalar, end: scalar, step: scalar = 1, *, dtype: dtype? = None, device: device? = None) "
        "-> Tensor @creation")
      .doc("start, start + step, start + 2 * step, ... before end.")
      .example(">>> thixo.arange(1, 2, 0.5)\ntensor([1.0000, 1.5000])")
      .infer([](Infer& c) {
        Dim n = range_count(c, c.scalar("start"), c.scalar("end"), c.scalar("step"));
        new_result(c, range_type(c, {"start", "end", "step"}), {n});
      })
      .nest([](NestCtx& c) {
        DType t = is_float(c.out[0].dtype) ? DType::F64 : DType::I64;
        c.values = {
            cast(c.param("start", t) + cast(c.out_axis(0), t) * c.param("step", t), compute_type(c.out[0].dtype))};
      })
      .no_grad()
      .samples([] {
        auto of = [](Scalar a, Scalar b, Scalar s, Attr dtype) {
          return std::vector<std::pair<std::string, Attr>>{
              {"start", a}, {"end", b}, {"step", s}, {"dtype", dtype}, {"device", Attr()}};
        };
        return std::vector<Sample>{
            {.in = {}, .attrs = of(1, 10, 3, Attr())},
            {.in = {}, .attrs = of(5, -5, -2, Attr())},
            {.in = {}, .attrs = of(0, 1, 0.1, Attr())},
            {.in = {}, .attrs = of(0.5, 4, 1, DType::F64)},
            {.in = {}, .attrs = of(3, 3, 1, Attr())},
            {.in = {}, .attrs = of(INT64_MIN, INT64_MAX, 1, Attr()), .bad = "there are more than 2^63 - 1 values"},
            {.in = {}, .attrs = of(INT64_MIN, INT64_MAX, INT64_MAX, Attr())},
            {.in = {}, .attrs = of(0, 1, 0, Attr()), .bad = "step must not be zero"},
            {.in = {}, .attrs = of(0.0, INFINITY, 1, Attr()), .bad = "start and end must be finite, got 0.0 and inf"},
            {.in = {}, .attrs = of(0, 5, -1, Attr()), .bad = "step -1 leads away from end 5 at start 0"}};
      });
}

void def_iota(Op& op) {
  op.schema("iota(size: int, dtype: dtype = I64) -> Tensor @private")
      .doc("0, 1, 2, ... of a size that may be symbolic.")
      .infer([](Infer& c) { c.result(c.type("dtype"), {c.integer("size")}); })
      .nest([](NestCtx& c) { c.values = {cast(c.out_axis(0), compute_type(c.out[0].dtype))}; })
      .no_grad()
      .samples([] { return std::vector<Sample>{{.attrs = {{"size", Dim(5)}}}, {.attrs = {{"size", Dim(0)}}}}; });
}

void def_linspace(Op& op) {
  op.schema(
        "linspace(start: scalar, end: scalar, steps: int, *, dtype: dtype? = None, device: device? = None) -> Tensor "
        "@creation")
      .doc("`steps` values from start to end, both included, at equal distances.")
      .example(">>> thixo.linspace(0, 1, 3)\ntensor([0.0000, 0.5000, 1.0000])")
      .infer([](Infer& c) {
        c.require(c.integer("steps") >= 0, ErrorKind::Value,
                  "steps must not be negative, got " + c.integer("steps").str());
        new_result(c, type_or(c, default_dtype()), {c.integer("steps")});
      })
      .nest([](NestCtx& c) {
        // From both ends, so that the last value is `end` exactly.
        Dim n = c.integer("steps");
        Expr a = c.param("start", DType::F64), b = c.param("end", DType::F64);
        Expr i = cast(c.out_axis(0), DType::F64), last = cast(size(n - 1), DType::F64);
        Expr step = (b - a) / max(last, 1.0);
        c.values = {cast(select((i + i < last) | eq(last, 0.0), a + i * step, b - (last - i) * step),
                         compute_type(c.out[0].dtype))};
      })
      .no_grad()
      .samples([] {
        auto of = [](Scalar a, Scalar b, int64_t n, Attr dtype) {
          return std::vector<std::pair<std::string, Attr>>{
              {"start", a}, {"end", b}, {"steps", Dim(n)}, {"dtype", dtype}, {"device", Attr()}};
        };
        return std::vector<Sample>{
            {.in = {}, .attrs = of(0, 1, 5, Attr())},
            {.in = {}, .attrs = of(-1, 2.5, 8, DType::F64)},
            {.in = {}, .attrs = of(3, 7, 1, Attr())},
            {.in = {}, .attrs = of(0, 10, 0, Attr())},
            {.in = {}, .attrs = of(0, 10, 4, DType::I32)},
            {.in = {}, .attrs = of(0, 1, -1, Attr()), .bad = "steps must not be negative, got -1"}};
      });
}

void def_eye(Op& op) {
  op.schema("eye(n: int, m: int? = None, *, dtype: dtype? = None, device: device? = None) -> Tensor @creation")
      .doc("Ones on the diagonal of an n x m matrix of zeros; m is n unless given.")
      .example(">>> thixo.eye(2)\ntensor([[1., 0.],\n        [0., 1.]])")
      .infer([](Infer& c) {
        Dim n = c.integer("n");
        new_result(c, type_or(c, default_dtype()), {n, c.none("m") ? n : c.integer("m")});
      })
      .nest([](NestCtx& c) {
        DType t = compute_type(c.out[0].dtype);
        c.values = {select(eq(c.out_axis(0), c.out_axis(1)), constant(1, t), constant(0, t))};
      })
      .no_grad()
      .samples([] {
        auto of = [](int64_t n, Attr m, Attr dtype) {
          return std::vector<std::pair<std::string, Attr>>{
              {"n", Dim(n)}, {"m", m}, {"dtype", dtype}, {"device", Attr()}};
        };
        return std::vector<Sample>{{.in = {}, .attrs = of(3, Attr(), Attr())},
                                   {.in = {}, .attrs = of(2, Dim(4), DType::I64)},
                                   {.in = {}, .attrs = of(0, Attr(), Attr())},
                                   {.in = {}, .attrs = of(-1, Attr(), Attr()), .bad = "negative size in [-1, -1]"}};
      });
}

}  // namespace thixo::ops
