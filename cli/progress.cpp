#include "progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "text.h"

namespace thixo::cli {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(80);

int terminal_width() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool is_terminal() {
  const char* term = std::getenv("TERM");
  return isatty(STDOUT_FILENO) != 0 && !(term != nullptr && std::string(term) == "dumb");
}

template <class... T> std::string printed(const char* format, T... values) {
  char text[64];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

std::string joined(std::span<const std::string> parts) {
  std::string text;
  for (const std::string& p : parts) text += (text.empty() ? "" : "  ") + p;
  return text;
}

/// One line of a terminal: the bar has its room first, then come as many of the numbers as still fit. A line that
/// reaches the last column would wrap, and could not be redrawn.
std::string fitted(const std::string& head, double done, std::span<const std::string> numbers, int width) {
  constexpr size_t kLeastBar = 8, kMostBar = 24, kFrame = 3;  // " [" and "]"
  const auto room = static_cast<size_t>(std::max(width - 1, 0));
  size_t used = head.size() + kFrame + kLeastBar, shown = 0;
  while (shown < numbers.size() && used + 2 + numbers[shown].size() <= room) used += 2 + numbers[shown++].size();
  const size_t bar = std::min(kLeastBar + (room > used ? room - used : 0), kMostBar);
  const auto full = static_cast<size_t>(done * static_cast<double>(bar) + 0.5);
  std::string text = head + " [" + std::string(full, '#') + std::string(bar - full, '.') + "]";
  for (const std::string& n : numbers.first(shown)) text += "  " + n;
  return text.substr(0, room);
}

}  // namespace

Progress::Progress(int64_t epochs, int64_t steps_per_epoch)
    : epochs_(epochs),
      steps_(steps_per_epoch),
      terminal_(is_terminal()),
      start_(Clock::now()),
      drawn_(start_ - kRedraw) {}

double Progress::seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

std::string Progress::line(int64_t epoch, int64_t step, int64_t samples, double loss, double accuracy) const {
  const double done = static_cast<double>((epoch - 1) * steps_ + step) / static_cast<double>(epochs_ * steps_);
  const double spent = seconds();
  const double rate = static_cast<double>(samples) / std::max(spent, 1e-9);
  const std::string head = printed("epoch %2d/%d", static_cast<int>(epoch), static_cast<int>(epochs_));
  const std::string numbers[] = {printed("loss %.4f", loss), printed("acc %5.1f %%", 100 * accuracy),
                                 printed("%6s samples/s", thousands(static_cast<int64_t>(rate)).c_str()),
                                 clock_text(spent / done * (1 - done)) + " left"};
  return terminal_ ? fitted(head, done, numbers, terminal_width()) : head + "  " + joined(numbers);
}

void Progress::update(int64_t epoch, int64_t step, int64_t samples, double loss, double accuracy) {
  const bool last = step == steps_;
  if (!terminal_) {
    if (last) std::printf("%s\n", line(epoch, step, samples, loss, accuracy).c_str());
    std::fflush(stdout);
    return;
  }
  const auto now = Clock::now();
  if (!last && now - drawn_ < kRedraw) return;
  drawn_ = now;
  open_ = true;
  std::printf("\r\033[K%s", line(epoch, step, samples, loss, accuracy).c_str());
  std::fflush(stdout);
}

void Progress::finish() {
  if (open_) std::printf("\n");
  open_ = false;
  std::fflush(stdout);
}

}  // namespace thixo::cli
