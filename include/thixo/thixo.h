// The whole public API.
#pragma once

#include "thixo/autograd.h"
#include "thixo/compile.h"
#include "thixo/data.h"
#include "thixo/info.h"
#include "thixo/lr_scheduler.h"
#include "thixo/nn.h"
#include "thixo/optim.h"
#include "thixo/serialize.h"
#include "thixo/tensor.h"
