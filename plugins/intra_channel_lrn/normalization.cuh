#pragma once

#include "common/device_runtime.h"
#include "intra_channel_lrn/params.h"

#include <type_traits>

namespace normdeploy
{

template <Power Value> using PowerConstant = std::integral_constant<Power, Value>;

//! Calls function(PowerConstant) with the power that is known at run time, so that the choice is made once
//! for several pixels.
template <typename Function> __device__ __forceinline__ void withPower(Power power, Function const& function)
{
    switch (power)
    {
    case Power::kHalf:
        function(PowerConstant<Power::kHalf>{});
        break;
    case Power::kThreeQuarters:
        function(PowerConstant<Power::kThreeQuarters>{});
        break;
    case Power::kOne:
        function(PowerConstant<Power::kOne>{});
        break;
    case Power::kGeneral:
        function(PowerConstant<Power::kGeneral>{});
        break;
    }
}

//! \param x the pixel.
//! \param sum the plain sum of squares over its window.
template <Power Value>
__device__ __forceinline__ float normalize(PowerConstant<Value> /*power*/, float x, float sum,
                                           Normalization const& normalization)
{
    float const denominator = normalization.bias + normalization.alphaSum * sum;
    if constexpr (Value == Power::kHalf)
    {
        return x * rsqrtf(denominator);
    }
    else if constexpr (Value == Power::kThreeQuarters)
    {
        float const inverseRoot = rsqrtf(denominator);
        return x * (inverseRoot * sqrtf(inverseRoot));
    }
    else if constexpr (Value == Power::kOne)
    {
        return x / denominator;
    }
    else
    {
        return x / powf(denominator, normalization.beta);
    }
}

} // namespace normdeploy
