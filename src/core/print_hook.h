// What printing needs to know of autograd.
#pragma once

#include <string>

#include "thixo/object.h"

namespace thixo {

/// The name of a tape node, as in grad_fn=<MulBackward0>; set by the tape when it starts.
using GradFnName = std::string (*)(const Object& node);
void set_grad_fn_name(GradFnName name);

}  // namespace thixo
