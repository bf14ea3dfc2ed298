#pragma once

#include "intra_channel_lrn/axis_kernel.cuh"
#include "intra_channel_lrn/plan.h"
#include "intra_channel_lrn/tile_kernel.cuh"
#include "intra_channel_lrn/tuning.h"

#include <algorithm>

//! From a plan to kernel launches. How a kernel is launched is the caller's: launch(kernel, blocks,
//! sharedBytes, arguments...) returns a cudaError_t. launch.cu gives one for the GPU, the tests one that
//! executes on the host.
namespace normdeploy
{

template <typename T, typename Launch>
cudaError_t dispatchAxes(AxisPlan const& plan, T const* input, T* output, float* workspace,
                         Launch const& launch)
{
    float* const halves[2] = {workspace, workspace + plan.shape.volume()};
    for (int32_t i = 0; i < plan.count; ++i)
    {
        AxisPass const& pass = plan.passes[i];
        float const* const before = pass.readsSums ? halves[(i + 1) % 2] : nullptr;
        float* const after = pass.writesSums ? halves[i % 2] : nullptr;
        int64_t const segments = (pass.length + tuning::kSegment - 1) / tuning::kSegment;
        int64_t const items = pass.outer * segments * pass.inner;
        int64_t const blocks =
            std::min((items + tuning::kThreads - 1) / tuning::kThreads, tuning::kAxisBlocks);
        cudaError_t const status =
            launch(intraChannelLrnAxis<T>, blocks, 0U, input, before, after, output, pass, plan.normalization,
                   plan.shape.channels, plan.shape.channelPitch);
        if (status != cudaSuccess)
        {
            return status;
        }
    }
    return cudaSuccess;
}

template <typename T, typename Launch>
cudaError_t dispatchTyped(LaunchPlan const& plan, void const* input, void* output, void* workspace,
                          Launch const& launch)
{
    T const* const typedInput = static_cast<T const*>(input);
    T* const typedOutput = static_cast<T*>(output);
    if (plan.usesTiles)
    {
        auto const kernel =
            plan.tiles.shape.channelPitch == 1 ? intraChannelLrnTile<true, T> : intraChannelLrnTile<false, T>;
        return launch(kernel, plan.tiles.blocks, plan.tiles.sharedBytes, typedInput, typedOutput, plan.tiles);
    }
    if (workspace == nullptr && plan.axes.count > 1)
    {
        return cudaErrorInvalidValue;
    }
    return dispatchAxes(plan.axes, typedInput, typedOutput, static_cast<float*>(workspace), launch);
}

//! \param workspace of workspaceBytes(...) bytes.
template <typename Launch>
cudaError_t dispatch(LaunchPlan const& plan, void const* input, void* output, void* workspace,
                     Launch const& launch)
{
    switch (plan.type)
    {
    case ElementType::kFloat32:
        return dispatchTyped<float>(plan, input, output, workspace, launch);
    case ElementType::kFloat16:
        return dispatchTyped<__half>(plan, input, output, workspace, launch);
    case ElementType::kBfloat16:
        return dispatchTyped<__nv_bfloat16>(plan, input, output, workspace, launch);
    }
    return cudaErrorInvalidValue;
}

} // namespace normdeploy
