#pragma once

//! An emulation of the little of CUDA that the kernels use, so that a host compiler can compile their source
//! as it is and a machine without a GPU execute it. Include it through common/device_runtime.h.
//!
//! Each thread of a block is a fiber with its own stack. A fiber runs until it meets __syncthreads or ends;
//! then the next one runs. Between two barriers the threads so execute one after the other, in ascending
//! order or, on demand, in descending order: what a thread reads from another without a barrier between them
//! is wrong in one of the two. Blocks run one after the other. Shared memory is allocated for each block, of
//! exactly the size asked for, and filled with NaN. The address and the undefined-behaviour sanitizers, with
//! which the tests compile all this, check the bounds and the alignment of every access.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <driver_types.h>
#include <vector_types.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>

// The one qualifier that CUDA's headers leave undefined for a host compiler.
#define __launch_bounds__(...)

namespace normdeploy
{

namespace emulation
{

enum class ThreadOrder
{
    kAscending,
    kDescending,
};

//! Runs one block after the other; returns cudaErrorLaunchFailure if some threads of a block end while others
//! wait at a barrier.
cudaError_t launch(std::function<void()> const& kernel, int64_t blocks, int32_t threads, uint32_t sharedBytes,
                   ThreadOrder order);

//! What the running thread sees.
struct ThreadState
{
    uint3 threadIdx;
    uint3 blockIdx;
    dim3 gridDim;
    unsigned char* sharedMemory;
};

extern ThreadState current;

//! Lets the other threads of the block reach the barrier.
void synchronizeThreads();

} // namespace emulation

// CUDA's names for all this. The coordinates are references, so they need no macro.
inline uint3 const& threadIdx = emulation::current.threadIdx;
inline uint3 const& blockIdx = emulation::current.blockIdx;
inline dim3 const& gridDim = emulation::current.gridDim;

using std::max;
using std::min;

inline unsigned char* sharedMemory()
{
    return emulation::current.sharedMemory;
}

inline void __syncthreads()
{
    emulation::synchronizeThreads();
}

inline uint32_t __umulhi(uint32_t left, uint32_t right)
{
    return static_cast<uint32_t>((static_cast<uint64_t>(left) * right) >> 32);
}

inline float rsqrtf(float value)
{
    return 1.0F / std::sqrt(value);
}

//! The copy is immediate. CUDA wants both addresses aligned to the size, so this ends the program if they are
//! not.
inline void __pipeline_memcpy_async(void* shared, void const* global, size_t size)
{
    uintptr_t const addresses = reinterpret_cast<uintptr_t>(shared) | reinterpret_cast<uintptr_t>(global);
    if (addresses % size != 0)
    {
        std::abort();
    }
    std::memcpy(shared, global, size);
}

inline void __pipeline_commit() {}

inline void __pipeline_wait_prior(int /*count*/) {}

} // namespace normdeploy
