#pragma once

#include <NvInferRuntime.h>

#include <cstdint>
#include <initializer_list>
#include <optional>

namespace normdeploy
{

//! Reads the fields that a plugin is created from. TensorRT's ONNX parser, its Python module and engines
//! written on other versions differ in the width of numbers that they pass, so each accessor takes every
//! width. All methods throw std::invalid_argument, with the field's name, for a field that is not as it
//! should be.
class PluginFields
{
public:
    //! \param fields may be null, which is the same as no fields.
    //! \param known the names that the plugin has; another name or one that comes twice is refused.
    PluginFields(nvinfer1::PluginFieldCollection const* fields, std::initializer_list<char const*> known);

    //! The field as an integer, or nothing if there is no such field.
    std::optional<int64_t> integer(char const* name) const;

    //! The field as a finite float, or nothing if there is no such field.
    std::optional<float> number(char const* name) const;

private:
    nvinfer1::PluginField const* find(char const* name) const;

    nvinfer1::PluginField const* mBegin{nullptr};
    nvinfer1::PluginField const* mEnd{nullptr};
};

} // namespace normdeploy
