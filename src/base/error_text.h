// For tests of all rooms: what an error says.
#pragma once

#include <string>

#include "thixo/error.h"

namespace thixo::test {

/// The text of the Error that f throws; "no error" when it throws none.
template <class F> std::string error_of(F f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace thixo::test
