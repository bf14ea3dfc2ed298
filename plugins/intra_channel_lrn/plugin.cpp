#include "intra_channel_lrn/plugin.h"

#include "common/logging.h"
#include "intra_channel_lrn/launch.h"
#include "intra_channel_lrn/tensor_shape.h"

#include <memory>
#include <sstream>

namespace normdeploy
{
namespace
{

using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;

constexpr int32_t kSuccess = 0;
constexpr int32_t kFailure = -1;

std::string describe(IntraChannelLrnParams const& params)
{
    std::ostringstream text;
    text.precision(9); // enough to tell any two floats apart
    text << "size=" << params.size << " alpha=" << params.alpha << " beta=" << params.beta
         << " bias=" << params.bias;
    return text.str();
}

std::vector<PluginField> fieldsOf(IntraChannelLrnParams const& params)
{
    return {{"size", &params.size, PluginFieldType::kINT32, 1},
            {"alpha", &params.alpha, PluginFieldType::kFLOAT32, 1},
            {"beta", &params.beta, PluginFieldType::kFLOAT32, 1},
            {"bias", &params.bias, PluginFieldType::kFLOAT32, 1}};
}

bool hasOneInputAndOutput(int32_t nbInputs, int32_t nbOutputs)
{
    if (nbInputs == 1 && nbOutputs == 1)
    {
        return true;
    }
    logError("IntraChannelLRN has one input and one output");
    return false;
}

} // namespace

IntraChannelLrnPlugin::IntraChannelLrnPlugin(IntraChannelLrnParams const& params)
    : mParams{params}
    , mDescription{describe(params)}
    , mFields{fieldsOf(mParams)}
    , mFieldCollection{static_cast<int32_t>(mFields.size()), mFields.data()}
{
}

nvinfer1::IPluginCapability*
IntraChannelLrnPlugin::getCapabilityInterface(nvinfer1::PluginCapabilityType type) noexcept
{
    switch (type)
    {
    case nvinfer1::PluginCapabilityType::kCORE:
        return static_cast<nvinfer1::IPluginV3OneCore*>(this);
    case nvinfer1::PluginCapabilityType::kBUILD:
        return static_cast<nvinfer1::IPluginV3OneBuild*>(this);
    case nvinfer1::PluginCapabilityType::kRUNTIME:
        return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
    }
    return nullptr;
}

nvinfer1::IPluginV3* IntraChannelLrnPlugin::clone() noexcept
{
    return guard<nvinfer1::IPluginV3*>(nullptr,
                                       [this]
                                       {
                                           auto copy = std::make_unique<IntraChannelLrnPlugin>(mParams);
                                           copy->mPlan = mPlan;
                                           return copy.release();
                                       });
}

char const* IntraChannelLrnPlugin::getPluginName() const noexcept
{
    return kIntraChannelLrnName;
}

char const* IntraChannelLrnPlugin::getPluginVersion() const noexcept
{
    return kIntraChannelLrnVersion;
}

char const* IntraChannelLrnPlugin::getPluginNamespace() const noexcept
{
    return kIntraChannelLrnNamespace;
}

int32_t IntraChannelLrnPlugin::configurePlugin(nvinfer1::DynamicPluginTensorDesc const* in, int32_t nbInputs,
                                               nvinfer1::DynamicPluginTensorDesc const* /*out*/,
                                               int32_t nbOutputs) noexcept
{
    if (!hasOneInputAndOutput(nbInputs, nbOutputs))
    {
        return kFailure;
    }
    return guard(kFailure,
                 [&]
                 {
                     toTensorShape(in[0].max, in[0].desc.type, in[0].desc.format);
                     return kSuccess;
                 });
}

int32_t IntraChannelLrnPlugin::getOutputDataTypes(nvinfer1::DataType* outputTypes, int32_t nbOutputs,
                                                  nvinfer1::DataType const* inputTypes,
                                                  int32_t nbInputs) const noexcept
{
    if (!hasOneInputAndOutput(nbInputs, nbOutputs))
    {
        return kFailure;
    }
    outputTypes[0] = inputTypes[0];
    return kSuccess;
}

int32_t IntraChannelLrnPlugin::getOutputShapes(nvinfer1::DimsExprs const* inputs, int32_t nbInputs,
                                               nvinfer1::DimsExprs const* /*shapeInputs*/,
                                               int32_t /*nbShapeInputs*/, nvinfer1::DimsExprs* outputs,
                                               int32_t nbOutputs,
                                               nvinfer1::IExprBuilder& /*exprBuilder*/) noexcept
{
    if (!hasOneInputAndOutput(nbInputs, nbOutputs))
    {
        return kFailure;
    }
    outputs[0] = inputs[0];
    return kSuccess;
}

bool IntraChannelLrnPlugin::supportsFormatCombination(int32_t pos,
                                                      nvinfer1::DynamicPluginTensorDesc const* inOut,
                                                      int32_t nbInputs, int32_t nbOutputs) noexcept
{
    if (!hasOneInputAndOutput(nbInputs, nbOutputs))
    {
        return false;
    }
    nvinfer1::PluginTensorDesc const& input = inOut[0].desc;
    nvinfer1::PluginTensorDesc const& tensor = inOut[pos].desc;
    return isSupported(tensor.dims.nbDims, tensor.type, tensor.format) && tensor.type == input.type &&
           tensor.format == input.format;
}

int32_t IntraChannelLrnPlugin::getNbOutputs() const noexcept
{
    return 1;
}

size_t IntraChannelLrnPlugin::getWorkspaceSize(nvinfer1::DynamicPluginTensorDesc const* inputs,
                                               int32_t nbInputs,
                                               nvinfer1::DynamicPluginTensorDesc const* /*outputs*/,
                                               int32_t nbOutputs) const noexcept
{
    if (!hasOneInputAndOutput(nbInputs, nbOutputs))
    {
        return 0;
    }
    return guard(size_t{0},
                 [&]
                 {
                     nvinfer1::PluginTensorDesc const& input = inputs[0].desc;
                     TensorShape const largest = toTensorShape(inputs[0].max, input.type, input.format);
                     return workspaceBytes(mParams, largest, *toElementType(input.type));
                 });
}

char const* IntraChannelLrnPlugin::getTimingCacheID() noexcept
{
    return mDescription.c_str();
}

char const* IntraChannelLrnPlugin::getMetadataString() noexcept
{
    return mDescription.c_str();
}

int32_t IntraChannelLrnPlugin::onShapeChange(nvinfer1::PluginTensorDesc const* in, int32_t nbInputs,
                                             nvinfer1::PluginTensorDesc const* /*out*/,
                                             int32_t nbOutputs) noexcept
{
    mPlan.reset();
    if (!hasOneInputAndOutput(nbInputs, nbOutputs))
    {
        return kFailure;
    }
    return guard(kFailure,
                 [&]
                 {
                     TensorShape const shape = toTensorShape(in[0].dims, in[0].type, in[0].format);
                     if (shape.volume() == 0)
                     {
                         return kSuccess;
                     }
                     DeviceLimits limits{};
                     int32_t const status =
                         reportCuda(queryDeviceLimits(limits), "reading the device's limits");
                     if (status == kSuccess)
                     {
                         mPlan = makeLaunchPlan(mParams, shape, *toElementType(in[0].type), limits);
                     }
                     return status;
                 });
}

int32_t IntraChannelLrnPlugin::enqueue(nvinfer1::PluginTensorDesc const* inputDesc,
                                       nvinfer1::PluginTensorDesc const* outputDesc,
                                       void const* const* inputs, void* const* outputs, void* workspace,
                                       cudaStream_t stream) noexcept
{
    if (!mPlan)
    {
        // No plan: a tensor without elements, or a caller that did not announce the shape.
        int32_t const status = onShapeChange(inputDesc, 1, outputDesc, 1);
        if (status != kSuccess || !mPlan)
        {
            return status;
        }
    }
    return reportCuda(launchIntraChannelLrn(*mPlan, inputs[0], outputs[0], workspace, stream),
                      "launching the kernel of IntraChannelLRN");
}

nvinfer1::IPluginV3*
IntraChannelLrnPlugin::attachToContext(nvinfer1::IPluginResourceContext* /*context*/) noexcept
{
    return clone();
}

nvinfer1::PluginFieldCollection const* IntraChannelLrnPlugin::getFieldsToSerialize() noexcept
{
    return &mFieldCollection;
}

} // namespace normdeploy
