#pragma once

#include "common/device_runtime.h"
#include "common/fast_divisor.h"

namespace normdeploy
{

//! Replaces the dividend, which is below 2^31, by the quotient and returns the remainder.
__device__ __forceinline__ uint32_t takeRemainder(uint32_t& dividend, FastDivisor const& by)
{
    uint32_t const quotient = (__umulhi(dividend, by.multiplier) + dividend) >> by.shift;
    uint32_t const remainder = dividend - quotient * by.divisor;
    dividend = quotient;
    return remainder;
}

} // namespace normdeploy
