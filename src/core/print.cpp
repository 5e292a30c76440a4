// The algorithm is PyTorch's: one format for all shown elements, found from their range.
#include "thixo/print.h"

#include <algorithm>
#include <atomic>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <mutex>
#include <ostream>
#include <string>

#include "core/print_hook.h"
#include "core/record.h"
#include "core/values.h"

namespace thixo {
namespace {

std::mutex g_options_mutex;
PrintOptions g_options;
std::atomic<GradFnName> g_grad_fn_name{nullptr};

/// A strided block of elements on its way down to single ones.
struct View {
  const char* data;
  std::span<const Dim> shape, strides;
  DType dtype;
  int64_t item;  ///< bytes that a stride of 1 means

  View at(int64_t i) const {
    return {data + i * strides[0].value() * item, shape.subspan(1), strides.subspan(1), dtype, item};
  }
  /// One of the two halves of a complex tensor.
  View part(bool imaginary) const {
    View v = *this;
    v.dtype = real_type(dtype);
    if (imaginary) v.data += item_size(v.dtype);
    return v;
  }
};

std::string printed(const char* format, int precision, double v) {
  if (std::isnan(v)) return "nan";  // without the sign that printf shows
  const int n = std::snprintf(nullptr, 0, format, precision, v);
  std::string text(static_cast<size_t>(n), '\0');
  std::snprintf(text.data(), text.size() + 1, format, precision, v);
  return text;
}

/// How the elements of one tensor, or the real or imaginary parts, are written.
class Formatter {
 public:
  Formatter(const PrintOptions& o, DType dtype) : options_(o), dtype_(dtype), float_(is_float(dtype)) {}

  /// Each shown element twice: first for the mode, then (after decide()) for the width.
  void see(const char* p) {
    if (!float_) {
      width_ = std::max(width_, whole(p).size());
      return;
    }
    const double v = std::abs(load_scalar(p, dtype_).to_double());
    if (v == 0 || !std::isfinite(v)) return;
    min_ = std::min(min_, v);
    max_ = std::max(max_, v);
    if (v != std::ceil(v)) int_mode_ = false;
  }
  void decide() {
    if (!float_ || max_ == 0) return;
    sci_mode_ = options_.sci_mode.value_or(max_ / min_ > 1000.0 || max_ > 1e8 || min_ < 1e-4);
  }
  void measure(const char* p) {
    if (!float_) return;
    const double v = load_scalar(p, dtype_).to_double();
    if (v != 0 && std::isfinite(v)) width_ = std::max(width_, number(v).size());
  }

  size_t width() const { return width_; }
  std::string format(const char* p) const {
    const std::string text = float_ ? number(load_scalar(p, dtype_).to_double()) : whole(p);
    return std::string(width_ - std::min(width_, text.size()), ' ') + text;
  }

 private:
  std::string number(double v) const {
    if (sci_mode_) return printed("%.*e", options_.precision, v);
    if (!int_mode_) return printed("%.*f", options_.precision, v);
    return printed("%.*f", 0, v) + (std::isfinite(v) ? "." : "");
  }
  std::string whole(const char* p) const {
    const Scalar v = load_scalar(p, dtype_);
    if (dtype_ == DType::Bool) return v.to_int() != 0 ? "True" : "False";
    return v.str();
  }

  const PrintOptions& options_;
  DType dtype_;
  bool float_, int_mode_ = true, sci_mode_ = false;
  double min_ = INFINITY, max_ = 0;
  size_t width_ = 1;
};

class Printer {
 public:
  Printer(const PrintOptions& o, const View& v, int64_t numel)
      : options_(o),
        summarize_(numel > o.threshold),
        complex_(is_complex(v.dtype)),
        first_(o, real_type(v.dtype)),
        second_(o, real_type(v.dtype)) {
    prepare(first_, complex_ ? v.part(false) : v);
    if (complex_) prepare(second_, v.part(true));
  }

  std::string text(const View& v, size_t indent) const {
    if (v.shape.empty()) return element(v);
    if (v.shape.size() == 1) return vector(v, indent);
    std::string separator = ",";
    separator.append(v.shape.size() - 1, '\n').append(indent + 1, ' ');
    std::string result = "[";
    bool first = true;
    walk(v, [&](const View* slice) {
      if (!first) result += separator;
      first = false;
      result += slice != nullptr ? text(*slice, indent + 1) : "...";
    });
    return result + "]";
  }

 private:
  /// The shown slices of the first dim; null stands for those left out.
  template <class F> void walk(const View& v, F&& f) const {
    const int64_t n = v.shape[0].value(), edge = options_.edgeitems;
    const bool cut = summarize_ && n > 2 * edge;
    for (int64_t i = 0; i < n; ++i) {
      if (cut && i == edge) {
        f(static_cast<const View*>(nullptr));
        i = n - edge;
        if (i >= n) return;
      }
      const View slice = v.at(i);
      f(&slice);
    }
  }
  template <class F> void each(const View& v, F&& f) const {
    if (v.shape.empty()) return f(v.data);
    walk(v, [&](const View* slice) {
      if (slice != nullptr) each(*slice, f);
    });
  }
  void prepare(Formatter& formatter, const View& v) const {
    each(v, [&](const char* p) { formatter.see(p); });
    formatter.decide();
    each(v, [&](const char* p) { formatter.measure(p); });
  }

  std::string element(const View& v) const {
    if (!complex_) return first_.format(v.data);
    std::string imaginary = second_.format(v.part(true).data) + "j";
    imaginary.erase(0, imaginary.find_first_not_of(' '));
    return first_.format(v.data) + (imaginary[0] == '-' ? "" : "+") + imaginary;
  }

  std::string vector(const View& v, size_t indent) const {
    const size_t length = first_.width() + 2 + (complex_ ? second_.width() + 1 : 0);
    const size_t room =
        static_cast<size_t>(options_.linewidth) > indent ? static_cast<size_t>(options_.linewidth) - indent : 0;
    const size_t per_line = std::max<size_t>(1, room / length);
    std::string result = "[";
    size_t count = 0;
    walk(v, [&](const View* slice) {
      if (count > 0) result += count % per_line == 0 ? ",\n" + std::string(indent + 1, ' ') : ", ";
      ++count;
      result += slice != nullptr ? element(*slice) : options_.edgeitems == 0 ? "..." : " ...";
    });
    return result + "]";
  }

  const PrintOptions& options_;
  bool summarize_, complex_;
  Formatter first_, second_;
};

std::string tuple_str(const Shape& shape) {
  std::string s = shape_str(shape);
  s.front() = '(';
  s.back() = ')';
  return shape.size() == 1 ? s.insert(s.size() - 1, ",") : s;
}

/// "tensor(" and the values; then what cannot be seen from them.
class Suffixes {
 public:
  Suffixes(std::string text, size_t indent, int linewidth)
      : text_(std::move(text)), indent_(indent), linewidth_(static_cast<size_t>(linewidth)) {
    last_line_ = text_.size() - text_.rfind('\n') + 1;  // npos is -1 here, as Python's rfind
  }
  void add(const std::string& suffix) {
    if (last_line_ + suffix.size() + 2 > linewidth_) {
      text_ += ",\n" + std::string(indent_, ' ') + suffix;
      last_line_ = indent_ + suffix.size();
    } else {
      text_ += ", " + suffix;
      last_line_ += suffix.size() + 2;
    }
  }
  std::string done() && { return std::move(text_) + ")"; }

 private:
  std::string text_;
  size_t indent_, linewidth_, last_line_;
};

bool is_shown_dtype(DType t) {
  return t != default_dtype() && t != complex_type(default_dtype()) && t != DType::I64 && t != DType::Bool;
}

std::string str_of(const Tensor& t, const PrintOptions& options) {
  const TensorRecord& r = *t.record();
  constexpr std::string_view prefix = "tensor(";
  const bool abstract = !r.storage;
  const bool empty = !abstract && t.numel() == 0;
  std::string values = abstract ? "..." : "[]";
  if (!abstract && !empty) {
    const View v{static_cast<const char*>(r.data()), r.shape, r.strides, r.dtype,
                 static_cast<int64_t>(item_size(r.dtype))};
    values = Printer(options, v, t.numel().value()).text(v, prefix.size());
  }
  Suffixes s(std::string(prefix) + values, prefix.size(), options.linewidth);
  if (r.device.type != DeviceType::Cpu) s.add("device='" + r.device.str() + "'");
  if (abstract || (empty && r.shape.size() != 1)) s.add("size=" + tuple_str(r.shape));
  if (abstract || empty ? r.dtype != default_dtype() : is_shown_dtype(r.dtype)) {
    s.add("dtype=thixo." + std::string(dtype_name(r.dtype)));
  }
  if (r.grad && r.grad->node) {
    const GradFnName name = g_grad_fn_name.load();
    s.add("grad_fn=<" + (name != nullptr ? name(*r.grad->node) : std::string("Node")) + ">");
  } else if (r.grad && r.grad->requires_grad) {
    s.add("requires_grad=True");
  }
  return std::move(s).done();
}

}  // namespace

void set_grad_fn_name(GradFnName name) { g_grad_fn_name.store(name); }

PrintOptions print_options() {
  std::lock_guard<std::mutex> lock(g_options_mutex);
  return g_options;
}

void set_print_options(const PrintOptions& o) {
  if (o.precision < 0 || o.threshold < 0 || o.edgeitems < 0 || o.linewidth < 1 || o.precision > 100) {
    throw ValueError("set_print_options: a number is out of range")
        .got("precision = " + std::to_string(o.precision) + "   threshold = " + std::to_string(o.threshold) +
             "   edgeitems = " + std::to_string(o.edgeitems) + "   linewidth = " + std::to_string(o.linewidth))
        .need("precision from 0 to 100, threshold and edgeitems of at least 0, linewidth of at least 1");
  }
  std::lock_guard<std::mutex> lock(g_options_mutex);
  g_options = o;
}

std::string Tensor::str() const {
  if (!defined()) return "tensor(undefined)";
  look_at_values(*this, "str");
  return str_of(*this, print_options());
}

std::ostream& operator<<(std::ostream& out, const Tensor& t) { return out << t.str(); }

}  // namespace thixo
