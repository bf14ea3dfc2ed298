#pragma once

#include "common/device_runtime.h"
#include "intra_channel_lrn/params.h"

namespace normdeploy
{

//! \param x the pixel.
//! \param sum the plain sum of squares over its window.
__device__ __forceinline__ float normalize(float x, float sum, Normalization const& normalization)
{
    float const denominator = normalization.bias + normalization.alphaSum * sum;
    switch (normalization.power)
    {
    case Power::kHalf:
        return x * rsqrtf(denominator);
    case Power::kThreeQuarters:
    {
        float const inverseRoot = rsqrtf(denominator);
        return x * (inverseRoot * sqrtf(inverseRoot));
    }
    case Power::kOne:
        return x / denominator;
    case Power::kGeneral:
        break;
    }
    return x / powf(denominator, normalization.beta);
}

} // namespace normdeploy
