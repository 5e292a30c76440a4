// The thixo command.
#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "commands.h"
#include "thixo/error.h"
#include "thixo/info.h"

namespace {

constexpr const char* kFooter =
    "Start here:\n"
    "  thixo demo            train a small network on handwritten digits and look at what it learned\n"
    "  thixo doctor          see what was found on this machine\n"
    "  thixo ops softmax     see what an op takes and does\n"
    "\n"
    "Each command has its own help: thixo demo --help.\n"
    "Exit status: 0 done, 1 an error (its text says what to do), 2 wrong usage, 130 stopped by Ctrl-C.";

/// What could not be written is lost: on a full disk a command has not done what it says.
int with_output(int status) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  std::fprintf(stderr, "thixo: the output could not be written (%s)\n", std::strerror(errno));
  return status == 0 ? 1 : status;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"thixo: deep learning, fluid to write and solid to ship", "thixo"};
  app.set_version_flag("--version", std::string("thixo ") + thixo::version());
  app.footer(kFooter);
  app.require_subcommand(0, 1);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that grows over a limit is an error with a text, not the end of the process
  int status = 0;
  thixo::cli::add_demo(app, &status);
  thixo::cli::add_ops(app, &status);
  thixo::cli::add_doctor(app, &status);
  try {
    app.parse(argc, argv);
    if (app.get_subcommands().empty()) std::fputs(app.help().c_str(), stdout);
    return with_output(status);
  } catch (const CLI::ParseError& e) {
    return with_output(app.exit(e) == 0 ? 0 : 2);
  } catch (const std::exception& e) {
    std::fflush(stdout);
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
