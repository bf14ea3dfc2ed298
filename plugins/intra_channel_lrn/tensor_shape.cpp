#include "intra_channel_lrn/tensor_shape.h"

#include <stdexcept>
#include <string>

namespace normdeploy
{
namespace
{

using nvinfer1::DataType;
using nvinfer1::TensorFormat;

constexpr int32_t kLeastRank = 3;
constexpr int32_t kMostRank = 5;
//! Twice an extent, the size of the largest window that matters, still fits in 31 bits.
constexpr int64_t kMostExtent = int64_t{1} << 29;

//! Channels that a channels-last format stores together, padding included; 0 for any other format.
int32_t channelMultiple(TensorFormat format)
{
    switch (format)
    {
    case TensorFormat::kHWC:
    case TensorFormat::kDHWC:
        return 1;
    case TensorFormat::kHWC8:
    case TensorFormat::kDHWC8:
        return 8;
    case TensorFormat::kHWC16:
        return 16;
    default:
        return 0;
    }
}

int32_t extent(nvinfer1::Dims const& dims, int32_t axis)
{
    int64_t const value = dims.d[axis];
    if (value < 0 || value > kMostExtent)
    {
        throw std::invalid_argument{"extent " + std::to_string(value) + " of axis " + std::to_string(axis) +
                                    " is out of range"};
    }
    return static_cast<int32_t>(value);
}

} // namespace

std::optional<ElementType> toElementType(DataType type) noexcept
{
    switch (type)
    {
    case DataType::kFLOAT:
        return ElementType::kFloat32;
    case DataType::kHALF:
        return ElementType::kFloat16;
    case DataType::kBF16:
        return ElementType::kBfloat16;
    default:
        return std::nullopt;
    }
}

bool isSupported(int32_t rank, DataType type, TensorFormat format) noexcept
{
    if (!toElementType(type) || rank < kLeastRank || rank > kMostRank)
    {
        return false;
    }
    switch (format)
    {
    case TensorFormat::kLINEAR:
        return true;
    case TensorFormat::kHWC:
        return rank == 4 && type == DataType::kFLOAT;
    case TensorFormat::kHWC8:
        return rank == 4 && type != DataType::kFLOAT;
    case TensorFormat::kHWC16:
        return rank == 4 && type == DataType::kHALF;
    case TensorFormat::kDHWC:
        return rank == 5 && type == DataType::kFLOAT;
    case TensorFormat::kDHWC8:
        return rank == 5 && type != DataType::kFLOAT;
    default:
        return false;
    }
}

TensorShape toTensorShape(nvinfer1::Dims const& dims, DataType type, TensorFormat format)
{
    if (!isSupported(dims.nbDims, type, format))
    {
        throw std::invalid_argument{"a tensor of rank " + std::to_string(dims.nbDims) + ", DataType " +
                                    std::to_string(static_cast<int32_t>(type)) + " and TensorFormat " +
                                    std::to_string(static_cast<int32_t>(format)) + " is not supported"};
    }
    TensorShape shape;
    shape.spatialRank = dims.nbDims - 2;
    shape.width = extent(dims, dims.nbDims - 1);
    shape.height = shape.spatialRank >= 2 ? extent(dims, dims.nbDims - 2) : 1;
    shape.depth = shape.spatialRank >= 3 ? extent(dims, dims.nbDims - 3) : 1;
    int32_t const batch = extent(dims, 0);
    int32_t const channels = extent(dims, 1);
    int32_t const multiple = channelMultiple(format);
    if (multiple == 0)
    {
        shape.outer = int64_t{batch} * channels;
    }
    else
    {
        shape.outer = batch;
        shape.channels = channels;
        shape.channelPitch = (channels + multiple - 1) / multiple * multiple;
    }
    return shape;
}

} // namespace normdeploy
