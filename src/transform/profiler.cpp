#include "thixo/profiler.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>

#include "base/files.h"
#include "transform/bottom.h"
#include "transform/node.h"

namespace thixo {
namespace {

using Clock = std::chrono::steady_clock;

std::string shapes_of(std::span<const Tensor> in) {
  std::string s;
  for (const Tensor& t : in) {
    if (!s.empty()) s += ", ";
    s += t.defined() ? std::string(dtype_short_name(t.dtype())) + shape_str(t.shape()) : std::string("None");
  }
  return s;
}

class Watcher final : public BottomInterpreter, public StepWatcher {
 public:
  Values apply(const Call& call) override {
    const Timed timed(*this, call.op->name(), call.in);
    return below(call);
  }
  void write(const Tensor& self, const Tensor& value) override {
    const Tensor in[] = {self, value};
    const Timed timed(*this, "write", in);
    write_below(self, value);
  }

  bool watches() const override { return true; }
  void into(const Call& call, std::span<const Tensor> out) override {
    const bool in_place = std::any_of(call.in.begin(), call.in.end(),
                                      [&](const Tensor& t) { return t.defined() && t.record() == out[0].record(); });
    const Timed timed(*this, call.op->name() + (in_place ? "_" : ""), call.in);
    into_below(call, out);
  }

  void begin_step(std::string name, std::string shapes) override {
    Profiler::Event e;
    e.name = std::move(name);
    if (const Node* n = running_node()) e.part_of = n->name();
    e.shapes = std::move(shapes);
    e.depth = static_cast<int>(open_.size());
    open_.push_back({events.size(), 0, {}});
    events.push_back(std::move(e));
    open_.back().start = Clock::now();  // last: our own work is not the op's
  }
  void end_step() override {
    const auto end = Clock::now();
    const Open o = open_.back();
    open_.pop_back();
    Profiler::Event& e = events[o.at];
    e.start_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(o.start - begin_).count();
    e.total_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(end - o.start).count();
    e.self_ns = std::max<int64_t>(0, e.total_ns - o.inside);
    if (!open_.empty()) open_.back().inside += e.total_ns;
  }

  std::vector<Profiler::Event> events;

 private:
  struct Open {
    size_t at;       // in events
    int64_t inside;  // time of the calls inside this one
    Clock::time_point start;
  };
  class Timed {
   public:
    Timed(Watcher& w, std::string name, std::span<const Tensor> in) : w_(w) {
      w.begin_step(std::move(name), shapes_of(in));
    }
    ~Timed() { w_.end_step(); }
    Timed(const Timed&) = delete;

   private:
    Watcher& w_;
  };

  const Clock::time_point begin_ = Clock::now();
  std::vector<Open> open_;  // the calls that are running
};

std::string json_text(const std::string& s) {
  std::string out = "\"";
  for (char c : s) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string time_text(double ns) {
  char text[32];
  if (ns < 1e4) {
    std::snprintf(text, sizeof text, "%.0f ns", ns);
  } else if (ns < 1e7) {
    std::snprintf(text, sizeof text, "%.1f us", ns / 1e3);
  } else {
    std::snprintf(text, sizeof text, "%.1f ms", ns / 1e6);
  }
  return text;
}

}  // namespace

struct Profiler::Impl {
  std::unique_ptr<Watcher> watcher = std::make_unique<Watcher>();
  std::vector<Event> events;
};

Profiler::Profiler() : impl_(new Impl) {}
Profiler::~Profiler() { delete impl_; }

void Profiler::stop() {
  if (!impl_->watcher) return;
  impl_->events = std::move(impl_->watcher->events);
  impl_->watcher.reset();
}

const std::vector<Profiler::Event>& Profiler::events() const {
  return impl_->watcher ? impl_->watcher->events : impl_->events;
}

std::string Profiler::table(int rows) const {
  struct Row {
    std::string name;
    int64_t calls = 0, total = 0, self = 0;
  };
  std::map<std::string, Row> by_name;
  int64_t all = 0;
  for (const Event& e : events()) {
    const std::string name = e.part_of.empty() ? e.name : e.name + " (backward of " + e.part_of + ")";
    Row& r = by_name[name];
    r.name = name;
    ++r.calls;
    r.total += e.total_ns;
    r.self += e.self_ns;
    all += e.self_ns;
  }
  std::vector<Row> sorted;
  for (auto& [name, row] : by_name) sorted.push_back(row);
  std::stable_sort(sorted.begin(), sorted.end(), [](const Row& a, const Row& b) { return a.total > b.total; });
  if (rows > 0 && sorted.size() > static_cast<size_t>(rows)) sorted.resize(static_cast<size_t>(rows));
  size_t width = 4;
  for (const Row& r : sorted) width = std::max(width, r.name.size());
  char line[256];
  std::snprintf(line, sizeof line, "%-*s %8s %10s %10s %10s %7s\n", static_cast<int>(std::min<size_t>(width, 120)),
                "op", "calls", "total", "self", "each", "self %");
  std::string out = line;
  for (const Row& r : sorted) {
    const double share = all > 0 ? 100.0 * static_cast<double>(r.self) / static_cast<double>(all) : 0;
    std::snprintf(line, sizeof line, "%-*.120s %8lld %10s %10s %10s %6.1f%%\n",
                  static_cast<int>(std::min<size_t>(width, 120)), r.name.c_str(), static_cast<long long>(r.calls),
                  time_text(static_cast<double>(r.total)).c_str(), time_text(static_cast<double>(r.self)).c_str(),
                  time_text(static_cast<double>(r.total) / static_cast<double>(r.calls)).c_str(), share);
    out += line;
  }
  return out + "total " + time_text(static_cast<double>(all)) + "\n";
}

void Profiler::export_chrome_trace(const std::string& path) const {
  std::string out = "{\"displayTimeUnit\": \"ns\", \"traceEvents\": [";
  bool first = true;
  for (const Event& e : events()) {
    char times[96];
    std::snprintf(times, sizeof times, "\"ts\": %.3f, \"dur\": %.3f", static_cast<double>(e.start_ns) / 1e3,
                  static_cast<double>(e.total_ns) / 1e3);
    out += first ? "\n" : ",\n";
    first = false;
    out += "{\"ph\": \"X\", \"pid\": 1, \"tid\": 1, \"name\": " + json_text(e.name) +
           ", \"cat\": " + json_text(e.part_of.empty() ? "forward" : "backward") + ", " + times +
           ", \"args\": {\"shapes\": " + json_text(e.shapes);
    if (!e.part_of.empty()) out += ", \"backward of\": " + json_text(e.part_of);
    out += "}}";
  }
  write_file(path, out + "\n]}\n");
}

}  // namespace thixo
