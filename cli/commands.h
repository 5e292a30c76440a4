// The commands: each adds itself with its options; `status` receives the exit status.
#pragma once

namespace CLI {
class App;
}

namespace thixo::cli {

void add_demo(CLI::App& app, int* status);
void add_ops(CLI::App& app, int* status);
void add_doctor(CLI::App& app, int* status);

}  // namespace thixo::cli
