// Tensors to and from other libraries without a copy, in the form of DLPack (github.com/dmlc/dlpack).
#pragma once

#include "thixo/tensor.h"

struct DLManagedTensor;
struct DLManagedTensorVersioned;

namespace thixo {

/// The tensor's memory for another library, which calls the `deleter` inside when it is done. ValueError when the
/// tensor requires a gradient or has no data.
THIXO_API DLManagedTensor* to_dlpack(const Tensor& t);
/// The same in the form of DLPack 1.0, which says that the memory may be written.
THIXO_API DLManagedTensorVersioned* to_dlpack_versioned(const Tensor& t);
/// Takes `m` over. When this throws, `m` still belongs to the caller.
THIXO_API Tensor from_dlpack(DLManagedTensor* m);
THIXO_API Tensor from_dlpack(DLManagedTensorVersioned* m);
/// Calls the deleter, for those who do not see the struct.
THIXO_API void delete_dlpack(DLManagedTensor* m);
THIXO_API void delete_dlpack(DLManagedTensorVersioned* m);

}  // namespace thixo
