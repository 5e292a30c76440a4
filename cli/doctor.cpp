// thixo doctor: what was found on this machine, and what to do about what is missing.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "commands.h"
#include "text.h"
#include "thixo/info.h"

namespace thixo::cli {
namespace {

void print_text(const std::vector<Finding>& findings, const std::vector<EnvironmentSetting>& settings) {
  for (const Finding& f : findings) {
    std::printf("%s %-18s %s\n", f.ok ? " " : "!", f.name.c_str(), f.value.c_str());
    if (!f.fix.empty()) std::printf("  %-18s %s\n", "", ("fix: " + f.fix).c_str());
  }
  std::printf("\nsettings from the environment (* is set)\n");
  for (const EnvironmentSetting& s : settings) {
    std::printf("%s %-18s %-10s %s\n", s.is_set ? "*" : " ", s.name.c_str(), s.value.empty() ? "-" : s.value.c_str(),
                s.doc.c_str());
  }
  const auto missing = std::count_if(findings.begin(), findings.end(), [](const Finding& f) { return !f.ok; });
  std::printf("\n%s\n", missing == 0 ? "all is well" : (std::to_string(missing) + " of these could be better").c_str());
}

void print_json(const std::vector<Finding>& findings, const std::vector<EnvironmentSetting>& settings) {
  std::string text = "{\n  \"findings\": [";
  for (size_t i = 0; i < findings.size(); ++i) {
    const Finding& f = findings[i];
    text += std::string(i > 0 ? "," : "") + "\n    {\"name\": " + json(f.name) + ", \"value\": " + json(f.value) +
            ", \"ok\": " + (f.ok ? "true" : "false") + ", \"fix\": " + json(f.fix) + "}";
  }
  text += "\n  ],\n  \"environment\": [";
  for (size_t i = 0; i < settings.size(); ++i) {
    const EnvironmentSetting& s = settings[i];
    text += std::string(i > 0 ? "," : "") + "\n    {\"name\": " + json(s.name) + ", \"value\": " + json(s.value) +
            ", \"set\": " + (s.is_set ? "true" : "false") + "}";
  }
  std::printf("%s\n  ]\n}\n", text.c_str());
}

}  // namespace

void add_doctor(CLI::App& app, int* status) {
  CLI::App* c = app.add_subcommand(
      "doctor", "Show what was found on this machine: processor, kernels, compiler, threads, caches");
  auto as_json = std::make_shared<bool>(false);
  c->add_flag("--json", *as_json, "Machine-readable");
  c->footer("Lines marked with ! could be better; the line below says how. The exit status is 0 all the same.");
  c->callback([as_json, status] {
    (*as_json ? print_json : print_text)(system_findings(), environment_settings());
    *status = 0;
  });
}

}  // namespace thixo::cli
