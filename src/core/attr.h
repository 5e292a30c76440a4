// Moved to the public headers.
#pragma once
#include "thixo/attr.h"
