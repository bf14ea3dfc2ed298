#include "common/plugin_fields.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

namespace normdeploy
{
namespace
{

using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;

//! The field's one value. Its address need not be aligned: serialized fields lie packed in a buffer.
template <typename T> T valueOf(PluginField const& field)
{
    T value;
    std::memcpy(&value, field.data, sizeof(value));
    return value;
}

std::invalid_argument fieldError(char const* name, std::string const& problem)
{
    return std::invalid_argument{std::string{"field "} + name + " " + problem};
}

std::string typeNumber(PluginField const& field)
{
    return "PluginFieldType " + std::to_string(static_cast<int32_t>(field.type));
}

} // namespace

PluginFields::PluginFields(nvinfer1::PluginFieldCollection const* fields,
                           std::initializer_list<char const*> known)
{
    if (fields == nullptr || fields->nbFields <= 0)
    {
        return;
    }
    if (fields->fields == nullptr)
    {
        throw std::invalid_argument{"the field collection has a count but no fields"};
    }
    mBegin = fields->fields;
    mEnd = mBegin + fields->nbFields;
    for (PluginField const* field = mBegin; field != mEnd; ++field)
    {
        if (field->name == nullptr)
        {
            throw std::invalid_argument{"a field has no name"};
        }
        auto const hasName = [&](char const* name)
        {
            return std::strcmp(name, field->name) == 0;
        };
        if (std::none_of(known.begin(), known.end(), hasName))
        {
            std::string names;
            for (char const* name : known)
            {
                names += std::string{" "} + name;
            }
            throw fieldError(field->name, "is unknown; the fields are:" + names);
        }
        if (field->data == nullptr || field->length != 1)
        {
            throw fieldError(field->name, "must hold one value; it holds " +
                                              std::to_string(field->data ? field->length : 0));
        }
        if (find(field->name) != field)
        {
            throw fieldError(field->name, "is there twice");
        }
    }
}

std::optional<int64_t> PluginFields::integer(char const* name) const
{
    PluginField const* const field = find(name);
    if (field == nullptr)
    {
        return std::nullopt;
    }
    switch (field->type)
    {
    case PluginFieldType::kINT32:
        return valueOf<int32_t>(*field);
    case PluginFieldType::kINT64:
        return valueOf<int64_t>(*field);
    default:
        throw fieldError(name, "must be an INT32 or INT64; it is " + typeNumber(*field));
    }
}

std::optional<float> PluginFields::number(char const* name) const
{
    PluginField const* const field = find(name);
    if (field == nullptr)
    {
        return std::nullopt;
    }
    float value = 0.0F;
    switch (field->type)
    {
    case PluginFieldType::kFLOAT32:
        value = valueOf<float>(*field);
        break;
    case PluginFieldType::kFLOAT64:
        value = static_cast<float>(valueOf<double>(*field));
        break;
    default:
        throw fieldError(name, "must be a FLOAT32 or FLOAT64; it is " + typeNumber(*field));
    }
    if (!std::isfinite(value))
    {
        throw fieldError(name, "must be finite in float32; it is " + std::to_string(value));
    }
    return value;
}

PluginField const* PluginFields::find(char const* name) const
{
    PluginField const* const found = std::find_if(mBegin, mEnd,
                                                  [&](PluginField const& field)
                                                  {
                                                      return std::strcmp(field.name, name) == 0;
                                                  });
    return found == mEnd ? nullptr : found;
}

} // namespace normdeploy
