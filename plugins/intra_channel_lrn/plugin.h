#pragma once

#include "intra_channel_lrn/params.h"
#include "intra_channel_lrn/plan.h"

#include <NvInferRuntime.h>

#include <optional>
#include <string>
#include <vector>

namespace normdeploy
{

constexpr char const* kIntraChannelLrnName = "IntraChannelLRN";
constexpr char const* kIntraChannelLrnVersion = "1";
constexpr char const* kIntraChannelLrnNamespace = "normdeploy";

//! The operator as TensorRT sees it: one input, one output of the same shape, type and format.
//!
//! | rank | types             | formats                                                       |
//! |------|-------------------|---------------------------------------------------------------|
//! | 3    | FP32, FP16, BF16  | kLINEAR                                                       |
//! | 4    | FP32, FP16, BF16  | kLINEAR; kHWC (FP32), kHWC8 (FP16, BF16), kHWC16 (FP16)       |
//! | 5    | FP32, FP16, BF16  | kLINEAR; kDHWC (FP32), kDHWC8 (FP16, BF16)                    |
class IntraChannelLrnPlugin final : public nvinfer1::IPluginV3,
                                    public nvinfer1::IPluginV3OneCore,
                                    public nvinfer1::IPluginV3OneBuild,
                                    public nvinfer1::IPluginV3OneRuntime
{
public:
    explicit IntraChannelLrnPlugin(IntraChannelLrnParams const& params);
    ~IntraChannelLrnPlugin() override = default;
    // The fields to serialize point into the object itself.
    IntraChannelLrnPlugin(IntraChannelLrnPlugin const&) = delete;
    IntraChannelLrnPlugin& operator=(IntraChannelLrnPlugin const&) = delete;

    // IPluginV3
    nvinfer1::IPluginCapability*
    getCapabilityInterface(nvinfer1::PluginCapabilityType type) noexcept override;
    nvinfer1::IPluginV3* clone() noexcept override;

    // IPluginV3OneCore
    char const* getPluginName() const noexcept override;
    char const* getPluginVersion() const noexcept override;
    char const* getPluginNamespace() const noexcept override;

    // IPluginV3OneBuild
    int32_t configurePlugin(nvinfer1::DynamicPluginTensorDesc const* in, int32_t nbInputs,
                            nvinfer1::DynamicPluginTensorDesc const* out,
                            int32_t nbOutputs) noexcept override;
    int32_t getOutputDataTypes(nvinfer1::DataType* outputTypes, int32_t nbOutputs,
                               nvinfer1::DataType const* inputTypes,
                               int32_t nbInputs) const noexcept override;
    int32_t getOutputShapes(nvinfer1::DimsExprs const* inputs, int32_t nbInputs,
                            nvinfer1::DimsExprs const* shapeInputs, int32_t nbShapeInputs,
                            nvinfer1::DimsExprs* outputs, int32_t nbOutputs,
                            nvinfer1::IExprBuilder& exprBuilder) noexcept override;
    bool supportsFormatCombination(int32_t pos, nvinfer1::DynamicPluginTensorDesc const* inOut,
                                   int32_t nbInputs, int32_t nbOutputs) noexcept override;
    int32_t getNbOutputs() const noexcept override;
    size_t getWorkspaceSize(nvinfer1::DynamicPluginTensorDesc const* inputs, int32_t nbInputs,
                            nvinfer1::DynamicPluginTensorDesc const* outputs,
                            int32_t nbOutputs) const noexcept override;
    char const* getTimingCacheID() noexcept override;
    char const* getMetadataString() noexcept override;

    // IPluginV3OneRuntime
    int32_t onShapeChange(nvinfer1::PluginTensorDesc const* in, int32_t nbInputs,
                          nvinfer1::PluginTensorDesc const* out, int32_t nbOutputs) noexcept override;
    int32_t enqueue(nvinfer1::PluginTensorDesc const* inputDesc, nvinfer1::PluginTensorDesc const* outputDesc,
                    void const* const* inputs, void* const* outputs, void* workspace,
                    cudaStream_t stream) noexcept override;
    nvinfer1::IPluginV3* attachToContext(nvinfer1::IPluginResourceContext* context) noexcept override;
    nvinfer1::PluginFieldCollection const* getFieldsToSerialize() noexcept override;

private:
    IntraChannelLrnParams const mParams;
    std::string const mDescription;
    std::vector<nvinfer1::PluginField> const mFields;
    nvinfer1::PluginFieldCollection const mFieldCollection;
    std::optional<LaunchPlan> mPlan; //!< nothing before onShapeChange, and for a tensor without elements
};

//! Creates the plugin from the fields `size` (an integer, required), `alpha`, `beta` and `bias` (numbers).
class IntraChannelLrnCreator final : public nvinfer1::IPluginCreatorV3One
{
public:
    nvinfer1::IPluginV3* createPlugin(char const* name, nvinfer1::PluginFieldCollection const* fc,
                                      nvinfer1::TensorRTPhase phase) noexcept override;
    nvinfer1::PluginFieldCollection const* getFieldNames() noexcept override;
    char const* getPluginName() const noexcept override;
    char const* getPluginVersion() const noexcept override;
    char const* getPluginNamespace() const noexcept override;
};

} // namespace normdeploy
