// The nests of the pack: what the samples of the definitions show, in every dtype.
#include <algorithm>

#include "codegen/nest_form.h"
#include "codegen/pack_builder.h"
#include "codegen/reduce_kernels.h"
#include "codegen/sample_calls.h"
#include "thixo/error.h"

namespace thixo::codegen {
namespace {

void add(PackSink& sink, Kernel k) {
  std::string key = content_key(k);
  sink.add(key, std::move(k));
}

void add_reduction(PackSink& sink, const NestForm& nest, const ReduceForm& f, DType out) {
  for (const ReduceForm& form : {f, combine_form(f.combine, f.acc())}) {
    for (bool contiguous : {true, false}) {
      add(sink, reduce_rows_kernel(form, contiguous));
      add(sink, reduce_columns_kernel(form, contiguous));
    }
  }
  if (nest.finish || f.acc() != out) add(sink, finish_kernel(nest, f.acc(), out).kernel);
}

void add_call(PackSink& sink, const Call& call, std::span<const Spec> results) {
  std::optional<NestForm> form;
  try {
    form = nest_form(call, results);
  } catch (const Error&) {
    return;  // operands that broadcast against each other have no form for all sizes: callers expand them
  }
  if (!form) return;
  if (const std::optional<ReduceForm> f = reduce_form(*form)) {
    add_reduction(sink, *form, *f, results[0].dtype);
  } else {
    add(sink, nest_kernel(*form, form->mergeable, true).kernel);
  }
}

}  // namespace

void add_nest_kernels(PackSink& sink) {
  for (const OpDef& op : all_ops()) {
    if (op.tier != Tier::Nest || !op.samples) continue;
    sink.group(op.schema.full_name());
    for_each_sample_call(op, [&](const Call& call, std::span<const Spec> results) { add_call(sink, call, results); });
  }
}

}  // namespace thixo::codegen
