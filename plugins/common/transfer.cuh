#pragma once

#include "common/device_runtime.h"

#include <cstdint>

//! Moves runs of elements between device and shared memory, 16 bytes at a time wherever both addresses allow
//! it. A run may begin and end anywhere; its first and last elements then move one by one. Vector 0 of a run
//! holds its first element: vectors are counted from the last 16-byte boundary at or before the run.
namespace normdeploy
{

constexpr int32_t kTransferBytes = 16;

template <typename T> constexpr int32_t kVectorElements = kTransferBytes / static_cast<int32_t>(sizeof(T));

//! Elements between the last 16-byte boundary and the address.
template <typename T> __device__ __forceinline__ int32_t vectorOffset(T const* address)
{
    return static_cast<int32_t>(reinterpret_cast<uintptr_t>(address) % kTransferBytes / sizeof(T));
}

//! Calls moveWhole(first) if all of the vector belongs to the run and is aligned on both sides, else
//! moveOne(i) for each of its elements that belong to the run.
template <typename T, typename MoveWhole, typename MoveOne>
__device__ __forceinline__ void moveVector(T const* shared, T const* global, int32_t vector, int32_t length,
                                           MoveWhole const& moveWhole, MoveOne const& moveOne)
{
    int32_t const offset = vectorOffset(shared);
    int32_t const begin = vector * kVectorElements<T> - offset;
    int32_t const end = begin + kVectorElements<T>;
    if (begin >= 0 && end <= length && vectorOffset(global) == offset)
    {
        moveWhole(begin);
        return;
    }
    for (int32_t i = max(begin, 0); i < min(end, length); ++i)
    {
        moveOne(i);
    }
}

//! Starts to load a vector of a run. The data is there after waitForLoads and a barrier.
template <typename T>
__device__ __forceinline__ void loadVectorAsync(T* shared, T const* global, int32_t vector, int32_t length)
{
    moveVector(
        shared, global, vector, length,
        [&](int32_t begin)
        {
            __pipeline_memcpy_async(shared + begin, global + begin, kTransferBytes);
        },
        [&](int32_t i)
        {
            shared[i] = global[i];
        });
}

//! Waits for the loads that this thread has started.
__device__ __forceinline__ void waitForLoads()
{
    __pipeline_commit();
    __pipeline_wait_prior(0);
}

//! Stores a vector of a run.
template <typename T>
__device__ __forceinline__ void storeVector(T* global, T const* shared, int32_t vector, int32_t length)
{
    moveVector(
        shared, global, vector, length,
        [&](int32_t begin)
        {
            *reinterpret_cast<uint4*>(global + begin) = *reinterpret_cast<uint4 const*>(shared + begin);
        },
        [&](int32_t i)
        {
            global[i] = shared[i];
        });
}

} // namespace normdeploy
