#pragma once

#include "intra_channel_lrn/plan.h"

#include <cuda_runtime_api.h>

namespace normdeploy
{

//! Reads the limits of the current device.
cudaError_t queryDeviceLimits(DeviceLimits& limits);

//! Launches the kernels of a plan in the stream. Nothing is allocated, and nothing waits.
//!
//! \param input and output are device memory of the plan's shape, type and layout, and do not overlap.
//! \param workspace is device memory of workspaceBytes(...) bytes.
//! \return the first error of a launch.
cudaError_t launchIntraChannelLrn(LaunchPlan const& plan, void const* input, void* output, void* workspace,
                                  cudaStream_t stream);

} // namespace normdeploy
