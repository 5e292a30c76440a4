// thixo ops: every op with what is known of it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "commands.h"
#include "text.h"
#include "thixo/registry.h"

namespace thixo::cli {
namespace {

struct Row {
  const OpDef* op;
  std::string name;
  OpFacts facts;
};

std::vector<Row> rows_for(const std::string& pattern, bool all) {
  std::vector<Row> rows;
  for (int i = 0; i < op_count(); ++i) {
    const OpDef& op = op_at(i);
    const Schema& schema = op_schema(op);
    if (schema.is_private && !schema.layer && !all && schema.full_name() != pattern) continue;
    if (schema.full_name().find(pattern) == std::string::npos) continue;
    rows.push_back({&op, schema.full_name(), op_facts(op)});
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.name < b.name; });
  return rows;
}

void print_table(const std::vector<Row>& rows, bool all) {
  const std::vector<std::string> head = {"op", "tier", "dtypes", "gradient", "batching", "kernels"};
  std::vector<std::vector<std::string>> table = {head};
  for (const Row& r : rows)
    table.push_back({r.name, r.facts.tier, r.facts.dtypes, r.facts.gradient, r.facts.batching, r.facts.kernels});
  std::vector<size_t> width(head.size());
  for (const auto& line : table) {
    for (size_t c = 0; c < line.size(); ++c) width[c] = std::max(width[c], line[c].size());
  }
  for (const auto& line : table) {
    std::string text;
    for (size_t c = 0; c < line.size(); ++c)
      text += c + 1 < line.size() ? line[c] + std::string(width[c] - line[c].size() + 2, ' ') : line[c];
    std::printf("%s\n", text.c_str());
  }
  std::printf("\n%zu ops%s\n", rows.size(), all ? "" : "; --all adds those that only other ops use");
}

/// What one op takes and does.
void print_page(const Row& r) {
  std::printf("%s\n\n  %s\n", op_schema(*r.op).text.c_str(), op_doc(*r.op).c_str());
  if (!op_source(*r.op).empty()) std::printf("  %s\n", op_source(*r.op).c_str());
  if (!op_example(*r.op).empty()) {
    std::printf("\n");
    std::string line;
    for (char c : op_example(*r.op) + "\n") {
      if (c != '\n') {
        line += c;
        continue;
      }
      std::printf("  %s\n", line.c_str());
      line.clear();
    }
  }
  std::printf("\n  tier      %s\n  dtypes    %s\n  gradient  %s\n  batching  %s\n  kernels   %s\n",
              r.facts.tier.c_str(), r.facts.dtypes.c_str(), r.facts.gradient.c_str(), r.facts.batching.c_str(),
              r.facts.kernels.c_str());
}

void print_json(const std::vector<Row>& rows) {
  std::printf("[");
  for (size_t i = 0; i < rows.size(); ++i) {
    const Row& r = rows[i];
    std::printf(
        "%s\n  {\"name\": %s, \"schema\": %s, \"doc\": %s, \"tier\": %s, \"dtypes\": %s, \"gradient\": %s, "
        "\"batching\": %s, \"kernels\": %s}",
        i > 0 ? "," : "", json(r.name).c_str(), json(op_schema(*r.op).text).c_str(), json(op_doc(*r.op)).c_str(),
        json(r.facts.tier).c_str(), json(r.facts.dtypes).c_str(), json(r.facts.gradient).c_str(),
        json(r.facts.batching).c_str(), json(r.facts.kernels).c_str());
  }
  std::printf("\n]\n");
}

struct Options {
  std::string pattern;
  bool json = false, all = false;
};

int run(const Options& o) {
  const std::vector<Row> rows = rows_for(o.pattern, o.all);
  if (rows.empty()) {
    std::fprintf(stderr, "thixo ops: no op has '%s' in its name\n", o.pattern.c_str());
    return 1;
  }
  if (o.json) {
    print_json(rows);
    return 0;
  }
  const auto exact = std::find_if(rows.begin(), rows.end(), [&](const Row& r) { return r.name == o.pattern; });
  if (exact != rows.end()) {
    print_page(*exact);
  } else {
    print_table(rows, o.all);
  }
  return 0;
}

}  // namespace

void add_ops(CLI::App& app, int* status) {
  CLI::App* c = app.add_subcommand("ops", "List the ops: tier, dtypes, gradient, batching rule, kernels");
  auto o = std::make_shared<Options>();
  c->add_option("name", o->pattern, "An op, for its page; or a part of a name, for the ops that have it");
  c->add_flag("--json", o->json, "Machine-readable, schemas and sentences included");
  c->add_flag("--all", o->all, "Private ops too");
  c->footer(
      "Columns\n"
      "  tier      pointwise (one scalar expression), nest (loops over one), view, composite (of other ops), "
      "structured\n"
      "  gradient  derived from the definition, written by hand in other ops, or none\n"
      "  batching  how vmap sees it: derived, a rule of its own, or a loop\n"
      "  kernels   generated, of a library, or those of its parts");
  c->callback([o, status] { *status = run(*o); });
}

}  // namespace thixo::cli
