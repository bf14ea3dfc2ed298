#pragma once

#include "common/device_runtime.h"

namespace normdeploy
{

//! Sums of consecutive windows along one axis, by one thread:
//!
//!     sums[i] = load(i) + load(i + 1) + ... + load(i + size - 1)        for i = 0 ... Outputs - 1
//!
//! Neighbouring windows share what they have in common, without a subtraction: a running sum that subtracts
//! what leaves the window would lose digits to cancellation, and a NaN or an infinity would stay in it for
//! ever.
//!
//! \param size the window's size, at least 1.
//! \param load a function from the position, 0 to Outputs + size - 2, to the element there.
//! \param sums where the sums go. It is indexed by constants only, so it stays in registers.
template <int Outputs, typename Load>
__device__ __forceinline__ void windowSums(int size, Load const& load, float (&sums)[Outputs])
{
    if (size <= Outputs)
    {
        // Short windows: each element is read once into a register, and each window added up.
        float elements[2 * Outputs - 1];
#pragma unroll
        for (int position = 0; position < 2 * Outputs - 1; ++position)
        {
            elements[position] = position < Outputs + size - 1 ? load(position) : 0.0F;
        }
#pragma unroll
        for (int i = 0; i < Outputs; ++i)
        {
            sums[i] = elements[i];
        }
#pragma unroll
        for (int offset = 1; offset < Outputs; ++offset)
        {
            if (offset < size)
            {
#pragma unroll
                for (int i = 0; i < Outputs; ++i)
                {
                    sums[i] += elements[i + offset];
                }
            }
        }
        return;
    }
    // Long windows: all contain the positions Outputs - 1 ... size - 1. Window i adds to their sum the tail
    // i ... Outputs - 2 on the left, and the head size ... size + i - 1 on the right (van Herk, 1992).
    float tail = 0.0F;
#pragma unroll
    for (int i = Outputs - 2; i >= 0; --i)
    {
        tail += load(i);
        sums[i] = tail;
    }
    sums[Outputs - 1] = 0.0F;
    float common = 0.0F;
#pragma unroll 4
    for (int position = Outputs - 1; position < size; ++position)
    {
        common += load(position);
    }
    sums[0] += common;
    float head = common;
#pragma unroll
    for (int i = 1; i < Outputs; ++i)
    {
        head += load(size + i - 1);
        sums[i] += head;
    }
}

} // namespace normdeploy
