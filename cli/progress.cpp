#include "progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

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
  char numbers[160];
  std::snprintf(numbers, sizeof numbers, "loss %.4f  accuracy %6.2f %%  %9s samples/s  %s left", loss, 100 * accuracy,
                thousands(static_cast<int64_t>(static_cast<double>(samples) / std::max(spent, 1e-9))).c_str(),
                clock_text(spent / done * (1 - done)).c_str());
  char head[48];
  std::snprintf(head, sizeof head, "epoch %2d/%d ", static_cast<int>(epoch), static_cast<int>(epochs_));
  std::string text = head;
  if (terminal_) {
    const int room = std::min(
        terminal_width() - 1 - static_cast<int>(text.size() + std::char_traits<char>::length(numbers)) - 4, 24);
    if (room >= 5) {
      const auto full = static_cast<size_t>(done * room + 0.5);
      text += "[" + std::string(full, '#') + std::string(static_cast<size_t>(room) - full, '.') + "] ";
    }
  }
  return text + " " + numbers;
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
