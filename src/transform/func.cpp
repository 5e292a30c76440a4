#include "thixo/func.h"

#include <algorithm>

#include "transform/grad_level.h"
#include "transform/jvp.h"
#include "transform/vmap.h"

namespace thixo::func {
namespace {

size_t wrapped(int argnum, size_t n, const char* what) {
  const int64_t i = argnum < 0 ? argnum + static_cast<int64_t>(n) : argnum;
  if (i >= 0 && i < static_cast<int64_t>(n)) return static_cast<size_t>(i);
  throw IndexError(std::string(what) + ": argnums has " + std::to_string(argnum) + " but the function got " +
                   std::to_string(n) + " inputs");
}

std::vector<bool> chosen(const ArgNums& argnums, size_t n, const char* what) {
  if (argnums.empty()) throw ValueError(std::string(what) + ": argnums is empty").need("the numbers of some inputs");
  std::vector<bool> out(n, false);
  for (int a : argnums) out[wrapped(a, n, what)] = true;
  return out;
}

void check_differentiable(const Tensor& t, size_t input, const char* what) {
  if (is_differentiable(t.dtype())) return;
  throw DTypeError(std::string(what) + ": input " + std::to_string(input) + " has no gradient")
      .got(describe(t))
      .need("floating-point or complex numbers");
}

void check_scalar(const TensorList& out) {
  if (out.empty() || out[0].dim() != 0) {
    throw ValueError("grad: the function must return one element without dims")
        .got("result: " + (out.empty() ? std::string("nothing") : describe(out[0])))
        .fix("reduce it (.sum(), .mean()), or use vjp or jacrev");
  }
  if (!is_float(out[0].dtype())) {
    throw DTypeError("grad: the function must return a floating-point number").got("result: " + describe(out[0]));
  }
}

TensorList run_grad(const Fn& f, const TensorList& inputs, const ArgNums& argnums, bool with_value) {
  const std::vector<bool> wanted = chosen(argnums, inputs.size(), "grad");
  GradMode on(true);
  const bool outer = on.before();
  GradLevel level(outer);
  TensorList inside, leaves;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (wanted[i]) check_differentiable(inputs[i], i, "grad");
    inside.push_back(level.enter(inputs[i], wanted[i]));
  }
  for (int a : argnums) leaves.push_back(inside[wrapped(a, inputs.size(), "grad")]);
  TensorList out = f(inside);
  check_scalar(out);
  const Pullback back(level, TensorList{out[0]}, leaves);
  TensorList result;
  if (with_value) {
    for (const Tensor& t : out) result.push_back(level.leave(t));
  }
  for (Tensor& g : back(TensorList{ones_like(level.leave(out[0]))}, false)) result.push_back(std::move(g));
  return result;
}

/// One-hot rows for each element of t: [numel, t.shape...].
Tensor basis(const Tensor& t) {
  Shape shape = t.shape();
  shape.insert(0, t.numel());
  return eye(t.numel(), std::nullopt, {.dtype = t.dtype(), .device = t.device()}).reshape(shape);
}

Randomness randomness_from(const std::string& name) {
  if (name == "error") return Randomness::Error;
  if (name == "different") return Randomness::Different;
  if (name == "same") return Randomness::Same;
  throw ValueError("vmap: randomness is \"" + name + "\"").need("\"error\", \"different\" or \"same\"");
}

struct BatchDims {
  std::vector<int64_t> dims;  // wrapped; kNoBatch where there is none
  Dim size;
};

BatchDims batch_dims(const TensorList& inputs, const VmapOptions& options) {
  if (!options.in_dims.empty() && options.in_dims.size() != inputs.size()) {
    throw ValueError("vmap: " + std::to_string(options.in_dims.size()) + " in_dims for " +
                     std::to_string(inputs.size()) + " inputs");
  }
  BatchDims b;
  bool found = false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    int64_t d = options.in_dims.empty() ? 0 : options.in_dims[i];
    if (d != kNoBatch) {
      const int64_t rank = inputs[i].dim();
      if (d < -rank || d >= rank) {
        throw IndexError("vmap: in_dims has " + std::to_string(d) + " for an input of rank " + std::to_string(rank))
            .got(describe(inputs[i]));
      }
      d = d < 0 ? d + rank : d;
      const Dim n = inputs[i].size(d);
      if (found && !(n == b.size)) {
        throw ShapeError("vmap: inputs have batches of different sizes, " + b.size.str() + " and " + n.str())
            .got(describe(inputs[i]));
      }
      b.size = n;
      found = true;
    }
    b.dims.push_back(d);
  }
  if (!found) throw ValueError("vmap: no input has a batch dim").fix("give one in in_dims");
  return b;
}

void check_shared(const VmapLevel& level, const Tensor& result, size_t i) {
  if (!level.owns(result)) return;
  throw ValueError("vmap: out_dims has None for result " + std::to_string(i) + ", but its examples differ")
      .got("one example: " + describe(result))
      .fix("say which dim of the result holds the examples");
}

TensorList run_vmap(const Fn& f, const TensorList& inputs, const BatchDims& b, VmapOptions& options) {
  VmapLevel level(b.size, randomness_from(options.randomness));
  TensorList inside;
  for (size_t i = 0; i < inputs.size(); ++i) {
    inside.push_back(b.dims[i] == kNoBatch ? inputs[i] : level.enter(inputs[i], b.dims[i]));
  }
  TensorList out = f(inside);
  if (options.choose_out_dims) options.out_dims = options.choose_out_dims();
  if (!options.out_dims.empty() && options.out_dims.size() != out.size()) {
    throw ValueError("vmap: " + std::to_string(options.out_dims.size()) + " out_dims for " +
                     std::to_string(out.size()) + " results");
  }
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t rank = out[i].dim() + 1;
    const int64_t d = options.out_dims.empty() ? 0 : options.out_dims[i];
    if (d == kNoBatch) {
      check_shared(level, out[i], i);
      continue;
    }
    if (d < -rank || d >= rank)
      throw IndexError("vmap: out_dims has " + std::to_string(d) + " for a result of rank " + std::to_string(rank))
          .need(std::to_string(-rank) + " <= out_dims <= " + std::to_string(rank - 1));
    out[i] = level.leave(out[i], d < 0 ? d + rank : d);
  }
  return out;
}

TensorList run_chunks(const Fn& f, const TensorList& inputs, const BatchDims& b, VmapOptions& options) {
  std::vector<TensorList> parts;
  for (int64_t start = 0; start < b.size.value(); start += options.chunk_size) {
    BatchDims chunk = b;
    chunk.size = std::min<int64_t>(options.chunk_size, b.size.value() - start);
    TensorList in;
    for (size_t i = 0; i < inputs.size(); ++i) {
      in.push_back(b.dims[i] == kNoBatch ? inputs[i] : inputs[i].narrow(b.dims[i], start, chunk.size));
    }
    TensorList out = run_vmap(f, in, chunk, options);
    parts.resize(out.size());
    for (size_t k = 0; k < out.size(); ++k) parts[k].push_back(std::move(out[k]));
  }
  TensorList out;
  for (size_t k = 0; k < parts.size(); ++k) {
    const int64_t d = options.out_dims.empty() ? 0 : options.out_dims[k];
    out.push_back(d == kNoBatch ? parts[k][0] : cat(parts[k], d));
  }
  return out;
}

void check_cotangents(const TensorList& g, const std::vector<Shape>& results) {
  if (g.size() != results.size()) {
    throw ValueError("vjp: " + std::to_string(results.size()) + " results but " + std::to_string(g.size()) +
                     " gradients");
  }
  for (size_t i = 0; i < g.size(); ++i) {
    if (!g[i].defined() || g[i].shape() == results[i]) continue;
    throw ShapeError("vjp: result " + std::to_string(i) + " has shape " + shape_str(results[i]) +
                     " but its gradient has " + shape_str(g[i].shape()));
  }
}

/// f as a function of the chosen inputs alone, and their values.
struct Chosen {
  TensorList values;
  Fn f;
};
Chosen choose(const Fn& f, const TensorList& inputs, const ArgNums& argnums, const char* what) {
  std::vector<size_t> places;
  TensorList values;
  for (int a : argnums) {
    places.push_back(wrapped(a, inputs.size(), what));
    values.push_back(inputs[places.back()]);
  }
  Fn part = [f, inputs, places](const TensorList& x) {
    TensorList in = inputs;
    for (size_t k = 0; k < places.size(); ++k) in[places[k]] = x[k];
    return f(in);
  };
  return {std::move(values), std::move(part)};
}

Shape joined(const Tensor& y, const Tensor& x) {
  Shape shape = y.shape();
  shape.append(x.shape().begin(), x.shape().end());
  return shape;
}

}  // namespace

Fn grad(Fn f, ArgNums argnums) {
  return
      [f = std::move(f), argnums = std::move(argnums)](const TensorList& x) { return run_grad(f, x, argnums, false); };
}

Fn grad_and_value(Fn f, ArgNums argnums) {
  return
      [f = std::move(f), argnums = std::move(argnums)](const TensorList& x) { return run_grad(f, x, argnums, true); };
}

Vjp vjp(const Fn& f, const TensorList& inputs) {
  GradMode on(true);
  GradLevel level(on.before());
  TensorList inside;
  for (size_t i = 0; i < inputs.size(); ++i) {
    check_differentiable(inputs[i], i, "vjp");
    inside.push_back(level.enter(inputs[i], true));
  }
  const TensorList out = f(inside);
  TensorList values;
  for (const Tensor& t : out) values.push_back(level.leave(t));
  auto back = std::make_shared<Pullback>(level, out, inside);
  std::vector<Shape> shapes;
  for (const Tensor& t : out) shapes.push_back(t.shape());
  return {std::move(values), Fn([back, shapes](const TensorList& g) {
            check_cotangents(g, shapes);
            return (*back)(g, true);
          })};
}

Jvp jvp(const Fn& f, const TensorList& inputs, const TensorList& tangents) {
  if (inputs.size() != tangents.size()) {
    throw ValueError("jvp: " + std::to_string(inputs.size()) + " inputs but " + std::to_string(tangents.size()) +
                     " tangents");
  }
  JvpLevel level;
  TensorList inside;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!(inputs[i].shape() == tangents[i].shape()) || inputs[i].dtype() != tangents[i].dtype()) {
      throw ShapeError("jvp: input " + std::to_string(i) + " and its tangent differ")
          .got("input: " + describe(inputs[i]) + "   tangent: " + describe(tangents[i]))
          .need("the same shape and dtype");
    }
    inside.push_back(level.enter(inputs[i], tangents[i]));
  }
  Jvp r;
  for (const Tensor& t : f(inside)) {
    r.outputs.push_back(level.primal(t));
    const Tensor d = level.tangent(t);
    r.tangents.push_back(d.defined() ? d : zeros_like(r.outputs.back()));
  }
  return r;
}

Fn vmap(Fn f, VmapOptions options) {
  return [f = std::move(f), options = std::move(options)](const TensorList& inputs) {
    const BatchDims b = batch_dims(inputs, options);
    const bool whole = options.chunk_size <= 0 || b.size.value() <= options.chunk_size;
    VmapOptions these = options;  // its out_dims may be known in the course of the call only
    return whole ? run_vmap(f, inputs, b, these) : run_chunks(f, inputs, b, these);
  };
}

Fn jacrev(Fn f, ArgNums argnums) {
  return [f = std::move(f), argnums = std::move(argnums)](const TensorList& inputs) {
    const Chosen c = choose(f, inputs, argnums, "jacrev");
    for (size_t i = 0; i < c.values.size(); ++i) check_differentiable(c.values[i], i, "jacrev");
    const Vjp v = vjp(c.f, c.values);
    TensorList out;
    for (size_t k = 0; k < v.outputs.size(); ++k) {
      const Tensor& y = v.outputs[k];
      const TensorList rows = vmap([&](const Tensor& one) {
        TensorList g(v.outputs.size());
        g[k] = one;
        return v.pullback(g);
      })(TensorList{basis(y)});
      for (size_t i = 0; i < rows.size(); ++i) out.push_back(rows[i].reshape(joined(y, c.values[i])));
    }
    return out;
  };
}

Fn jacfwd(Fn f, ArgNums argnums) {
  return [f = std::move(f), argnums = std::move(argnums)](const TensorList& inputs) {
    const Chosen c = choose(f, inputs, argnums, "jacfwd");
    for (size_t i = 0; i < c.values.size(); ++i) check_differentiable(c.values[i], i, "jacfwd");
    std::vector<TensorList> columns;  // of each input, for all results
    for (size_t i = 0; i < c.values.size(); ++i) {
      columns.push_back(vmap([&](const Tensor& t) {
        const Fn one = [&](const Tensor& x) {
          TensorList all = c.values;
          all[i] = x;
          return c.f(all);
        };
        return jvp(one, {c.values[i]}, {t}).tangents;
      })(TensorList{basis(c.values[i])}));
    }
    TensorList out;
    for (size_t k = 0; k < (columns.empty() ? 0 : columns[0].size()); ++k) {
      for (size_t i = 0; i < c.values.size(); ++i) {
        const Tensor d = columns[i][k].movedim({0}, {-1});
        Shape shape = d.shape();
        shape.pop_back();
        shape.append(c.values[i].shape().begin(), c.values[i].shape().end());
        out.push_back(d.reshape(shape));
      }
    }
    return out;
  };
}

Fn hessian(Fn f, ArgNums argnums) { return jacfwd(jacrev(std::move(f), argnums), argnums); }

}  // namespace thixo::func
