#pragma once

#include "intra_channel_lrn/params.h"

#include <NvInferRuntime.h>

#include <optional>

namespace normdeploy
{

//! Nothing for a type that the kernels do not have.
std::optional<ElementType> toElementType(nvinfer1::DataType type) noexcept;

//! Whether the kernels have the combination; the extents may still be unknown.
bool isSupported(int32_t rank, nvinfer1::DataType type, nvinfer1::TensorFormat format) noexcept;

//! Translates TensorRT's description of a tensor. Throws std::invalid_argument if it is not supported, or an
//! extent is unknown or beyond 2^29.
TensorShape toTensorShape(nvinfer1::Dims const& dims, nvinfer1::DataType type, nvinfer1::TensorFormat format);

} // namespace normdeploy
