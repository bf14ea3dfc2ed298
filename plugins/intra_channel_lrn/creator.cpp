#include "common/logging.h"
#include "common/plugin_fields.h"
#include "intra_channel_lrn/plugin.h"

#include <limits>
#include <stdexcept>

namespace normdeploy
{
namespace
{

IntraChannelLrnParams paramsFrom(nvinfer1::PluginFieldCollection const* collection)
{
    PluginFields const fields{collection, {"size", "alpha", "beta", "bias"}};
    std::optional<int64_t> const size = fields.integer("size");
    if (!size)
    {
        throw std::invalid_argument{"field size is missing"};
    }
    if (*size < 1 || *size > std::numeric_limits<int32_t>::max())
    {
        throw std::invalid_argument{"field size must be from 1 to 2^31 - 1; it is " + std::to_string(*size)};
    }
    IntraChannelLrnParams params{};
    params.size = static_cast<int32_t>(*size);
    params.alpha = fields.number("alpha").value_or(params.alpha);
    params.beta = fields.number("beta").value_or(params.beta);
    params.bias = fields.number("bias").value_or(params.bias);
    return params;
}

} // namespace

nvinfer1::IPluginV3* IntraChannelLrnCreator::createPlugin(char const* name,
                                                          nvinfer1::PluginFieldCollection const* fc,
                                                          nvinfer1::TensorRTPhase /*phase*/) noexcept
{
    return guard<nvinfer1::IPluginV3*>(nullptr,
                                       [&]() -> nvinfer1::IPluginV3*
                                       {
                                           try
                                           {
                                               return new IntraChannelLrnPlugin{paramsFrom(fc)};
                                           }
                                           catch (std::invalid_argument const& error)
                                           {
                                               std::string const layer = name == nullptr ? "" : name;
                                               throw std::invalid_argument{"IntraChannelLRN '" + layer +
                                                                           "': " + error.what()};
                                           }
                                       });
}

nvinfer1::PluginFieldCollection const* IntraChannelLrnCreator::getFieldNames() noexcept
{
    using nvinfer1::PluginField;
    using nvinfer1::PluginFieldType;
    static PluginField const fields[] = {{"size", nullptr, PluginFieldType::kINT32, 1},
                                         {"alpha", nullptr, PluginFieldType::kFLOAT32, 1},
                                         {"beta", nullptr, PluginFieldType::kFLOAT32, 1},
                                         {"bias", nullptr, PluginFieldType::kFLOAT32, 1}};
    static nvinfer1::PluginFieldCollection const collection{4, fields};
    return &collection;
}

char const* IntraChannelLrnCreator::getPluginName() const noexcept
{
    return kIntraChannelLrnName;
}

char const* IntraChannelLrnCreator::getPluginVersion() const noexcept
{
    return kIntraChannelLrnVersion;
}

char const* IntraChannelLrnCreator::getPluginNamespace() const noexcept
{
    return kIntraChannelLrnNamespace;
}

} // namespace normdeploy
