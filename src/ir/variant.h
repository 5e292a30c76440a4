// Which of its expressions a pointwise call uses: one number for the attributes that choose it, flags and enums and
// whether numeric attributes have their default. The values of numeric attributes are Params and choose nothing.
#pragma once

#include "ir/op.h"

namespace thixo {

/// A call's variant is a number below this.
int variant_count(const OpDef& op);
int variant_of(const OpDef& op, std::span<const Attr> attrs);
/// "" for defaults, "/approximate=tanh", "/alpha": a part of kernel keys.
std::string variant_name(const OpDef& op, int variant);
/// Attributes that choose this variant; numeric ones that differ from their default are `fill`.
std::vector<Attr> variant_attrs(const OpDef& op, int variant, double fill);

}  // namespace thixo
