#pragma once

//! What a kernel file needs from CUDA, in one place. Under nvcc it is CUDA's own headers. Under a host
//! compiler it is the emulation that the tests use to run the kernels' source on a machine without a GPU.

#if defined(__CUDACC__)

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_pipeline_primitives.h>
#include <cuda_runtime.h>

namespace normdeploy
{

//! The block's dynamic shared memory, aligned for 16-byte accesses.
__device__ __forceinline__ unsigned char* sharedMemory()
{
    extern __shared__ __align__(16) unsigned char memory[];
    return memory;
}

} // namespace normdeploy

#else

#include "tests/host_execution/emulated_device.h"

#endif
