//! The kernels behind a C interface, for benchmark.py: no TensorRT, only CUDA.

#include "intra_channel_lrn/launch.h"

namespace
{

struct Operation
{
    normdeploy::LaunchPlan plan;
    size_t workspaceBytes;
};

} // namespace

extern "C"
{

    //! \return null if the device cannot be asked for its limits.
    void* createOperation(int32_t type, int64_t outer, int32_t depth, int32_t height, int32_t width,
                          int32_t channels, int32_t channelPitch, int32_t spatialRank, int32_t size,
                          float alpha, float beta, float bias)
    {
        normdeploy::DeviceLimits limits{};
        if (normdeploy::queryDeviceLimits(limits) != cudaSuccess)
        {
            return nullptr;
        }
        normdeploy::TensorShape const shape{outer, depth, height, width, channels, channelPitch, spatialRank};
        normdeploy::IntraChannelLrnParams const params{size, alpha, beta, bias};
        auto const elementType = static_cast<normdeploy::ElementType>(type);
        return new Operation{normdeploy::makeLaunchPlan(params, shape, elementType, limits),
                             normdeploy::workspaceBytes(params, shape, elementType)};
    }

    size_t workspaceOf(void const* operation)
    {
        return static_cast<Operation const*>(operation)->workspaceBytes;
    }

    //! \return a cudaError_t.
    int32_t launchOperation(void const* operation, void const* input, void* output, void* workspace,
                            void* stream)
    {
        return normdeploy::launchIntraChannelLrn(static_cast<Operation const*>(operation)->plan, input,
                                                 output, workspace, static_cast<cudaStream_t>(stream));
    }

    void destroyOperation(void* operation)
    {
        delete static_cast<Operation*>(operation);
    }

} // extern "C"
