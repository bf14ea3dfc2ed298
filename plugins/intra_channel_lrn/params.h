#pragma once

#include <cstdint>

namespace normdeploy
{

//! The operator's attributes. For each pixel of each channel
//!
//!     y = x / (bias + alpha / size^r * sum)^beta
//!
//! where r is the number of spatial axes and sum the plain sum of x^2 over the window: along each spatial
//! axis the offsets -(size - 1) / 2 ... (size - 1) / 2 for an odd size, -size / 2 ... size / 2 - 1 for an
//! even one. Pixels outside of the map count as zero; they never make the divisor smaller.
struct IntraChannelLrnParams
{
    int32_t size;
    float alpha{1e-4F};
    float beta{0.75F};
    float bias{1.0F};
};

enum class ElementType : int32_t
{
    kFloat32,
    kFloat16,
    kBfloat16,
};

//! Bytes of an element.
constexpr int32_t elementBytes(ElementType type)
{
    return type == ElementType::kFloat32 ? 4 : 2;
}

//! A tensor as the kernels see it: an array [outer][depth][height][width][channelPitch]. In the linear layout
//! the batch and the channels are all `outer`, and channels and channelPitch are 1. In a channels-last layout
//! `outer` is the batch, and channelPitch - channels elements after each pixel are padding. Spatial axes that
//! the tensor lacks have the extent 1.
struct TensorShape
{
    int64_t outer{1};
    int32_t depth{1};
    int32_t height{1};
    int32_t width{1};
    int32_t channels{1};
    int32_t channelPitch{1};
    int32_t spatialRank{2};

    //! Elements, padding included.
    int64_t volume() const
    {
        return outer * depth * height * width * channelPitch;
    }
};

//! How the power of the denominator is computed.
enum class Power : int32_t
{
    kHalf,          //!< beta 0.5: one reciprocal square root
    kThreeQuarters, //!< beta 0.75: a reciprocal square root and a square root
    kOne,           //!< beta 1: one division
    kGeneral,       //!< any other beta: powf
};

//! What turns a pixel and the sum of its window into the result.
struct Normalization
{
    float alphaSum; //!< factor on the plain sum of squares: alpha / size^r
    float bias;
    float beta;
    Power power;
};

//! The part of a window along one axis that can lie inside of the map.
struct Window
{
    int32_t before{0}; //!< pixels before the middle
    int32_t size{1};   //!< pixels in all
};

} // namespace normdeploy
