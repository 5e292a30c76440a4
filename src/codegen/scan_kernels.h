// Kernels of running sums and of sums over channels: what needs an order or an index that no reduction has.
//
//   cumsum.<t>.one       rows one after the other:  out[p*y_row + k*y_step] = the sum of x[p*x_row + ...] up to k
//   cumsum.<t>.eight     eight rows at a time, p counts groups of eight
//   cumsum.<t>.columns   sixteen neighbouring rows at a time: x_row = y_row = 1
//                        ints: n, x_row, x_step, y_row, y_step
//   channel_sums.<t>[.centred].rows      p = image * C + channel: sum[p] and dot[p] over R neighbouring elements
//                                        ints: C, R, a_image, a_channel, b_image, b_channel
//   channel_sums.<t>[.centred].columns   p = row of C neighbouring channels: sum[c] and dot[c] += row p's
//                                        ints: C, a_row, b_row
#pragma once

#include "codegen/pack_builder.h"

namespace thixo::codegen {

void add_scan_kernels(PackSink& sink);
void add_channel_kernels(PackSink& sink);

}  // namespace thixo::codegen
