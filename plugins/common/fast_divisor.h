#pragma once

#include <cstdint>

namespace normdeploy
{

//! Division of 31-bit numbers by a divisor that is known when a kernel is launched, not when it is compiled:
//! one multiplication, one addition and one shift instead of some twenty instructions
//! (Granlund and Montgomery, "Division by Invariant Integers using Multiplication", 1994).
//! fast_divisor.cuh has the functions that divide.
struct FastDivisor
{
    uint32_t divisor{1};
    uint32_t multiplier{1};
    uint32_t shift{0};
};

//! \param divisor at least 1, below 2^31.
inline FastDivisor makeFastDivisor(int64_t divisor)
{
    FastDivisor result;
    result.divisor = static_cast<uint32_t>(divisor);
    while ((uint64_t{1} << result.shift) < result.divisor)
    {
        ++result.shift;
    }
    uint64_t const excess = (uint64_t{1} << result.shift) - result.divisor;
    result.multiplier = static_cast<uint32_t>((excess << 32) / result.divisor + 1);
    return result;
}

} // namespace normdeploy
