// Neural networks: modules, layers, initial values, helpers for gradients.
#pragma once

#include "thixo/nn_functional.h"
#include "thixo/nn_init.h"
#include "thixo/nn_layers.h"
#include "thixo/nn_module.h"
#include "thixo/nn_simple.h"
#include "thixo/nn_utils.h"
