// What eager runs for ops at computed places: scatters, counting what is not zero, permutations, joins.
#pragma once

namespace thixo::cpu {

void add_index_entries();

}  // namespace thixo::cpu
