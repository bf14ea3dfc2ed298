#pragma once

#include "common/device_runtime.h"

namespace normdeploy
{

//! Conversions between a tensor's element type and float, in which all arithmetic is done.
__device__ __forceinline__ float toFloat(float value)
{
    return value;
}

__device__ __forceinline__ float toFloat(__half value)
{
    return __half2float(value);
}

__device__ __forceinline__ float toFloat(__nv_bfloat16 value)
{
    return __bfloat162float(value);
}

template <typename T> __device__ __forceinline__ T fromFloat(float value);

template <> __device__ __forceinline__ float fromFloat<float>(float value)
{
    return value;
}

template <> __device__ __forceinline__ __half fromFloat<__half>(float value)
{
    return __float2half_rn(value);
}

template <> __device__ __forceinline__ __nv_bfloat16 fromFloat<__nv_bfloat16>(float value)
{
    return __float2bfloat16_rn(value);
}

} // namespace normdeploy
