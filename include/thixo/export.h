// Symbol visibility: everything is hidden unless it says THIXO_API.
#pragma once
#define THIXO_API __attribute__((visibility("default")))
