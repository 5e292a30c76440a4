// Modules as text, in PyTorch's form.
#include <cxxabi.h>

#include <cstdlib>
#include <ostream>
#include <typeinfo>

#include "thixo/nn_module.h"

namespace thixo::nn {

std::string Module::type_name() const {
  const char* mangled = typeid(*this).name();
  int status = 0;
  char* demangled = abi::__cxa_demangle(mangled, nullptr, nullptr, &status);
  std::string name = status == 0 ? demangled : mangled;
  std::free(demangled);
  name.erase(std::min(name.find('<'), name.size()));
  if (size_t colon = name.rfind("::"); colon != name.npos) name.erase(0, colon + 2);
  if (name.size() > 4 && name.ends_with("Impl")) name.erase(name.size() - 4);
  return name;
}

void Module::print_children(std::string* text, const std::string& indent) const {
  const auto children = named_children();
  std::vector<std::string> printed;
  for (const auto& [name, child] : children) printed.push_back(child->str_at(indent + "  "));
  for (size_t i = 0; i < children.size();) {
    size_t end = i + 1;
    while (prints_runs() && end < children.size() && printed[end] == printed[i]) ++end;
    *text += "\n" + indent + "  (" + children[i].first;
    if (end - i > 1) {
      *text += "-" + children[end - 1].first + "): " + std::to_string(end - i) + " x " + printed[i];
    } else {
      *text += "): " + printed[i];
    }
    i = end;
  }
}

std::string Module::str_at(const std::string& indent) const {
  const std::string extra = extra_repr();
  std::string text = type_name() + "(";
  if (named_children().empty()) return text + extra + ")";
  if (!extra.empty()) text += "\n" + indent + "  " + extra;
  print_children(&text, indent);
  return text + "\n" + indent + ")";
}

std::string Module::str() const { return str_at(""); }

std::ostream& operator<<(std::ostream& out, const Module& m) { return out << m.str(); }

}  // namespace thixo::nn
