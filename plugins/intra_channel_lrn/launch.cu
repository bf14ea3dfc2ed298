#include "intra_channel_lrn/launch.h"

#include "intra_channel_lrn/dispatch.cuh"

#include <limits>

namespace normdeploy
{
namespace
{

cudaError_t readAttribute(cudaDeviceAttr attribute, int32_t device, int64_t& value)
{
    int result = 0;
    cudaError_t const status = cudaDeviceGetAttribute(&result, attribute, device);
    value = result;
    return status;
}

} // namespace

cudaError_t queryDeviceLimits(DeviceLimits& limits)
{
    int device = 0;
    int64_t multiprocessors = 0;
    cudaError_t status = cudaGetDevice(&device);
    if (status == cudaSuccess)
    {
        status = readAttribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, device, limits.sharedBytesPerBlock);
    }
    if (status == cudaSuccess)
    {
        status = readAttribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor, device,
                               limits.sharedBytesPerMultiprocessor);
    }
    if (status == cudaSuccess)
    {
        status = readAttribute(cudaDevAttrReservedSharedMemoryPerBlock, device, limits.sharedBytesReserved);
    }
    if (status == cudaSuccess)
    {
        status = readAttribute(cudaDevAttrMultiProcessorCount, device, multiprocessors);
    }
    limits.multiprocessors = static_cast<int32_t>(multiprocessors);
    return status;
}

cudaError_t launchIntraChannelLrn(LaunchPlan const& plan, void const* input, void* output, void* workspace,
                                  cudaStream_t stream)
{
    auto const launch = [stream](auto kernel, int64_t blocks, uint32_t sharedBytes, auto... arguments)
    {
        if (blocks > std::numeric_limits<int32_t>::max())
        {
            return cudaErrorInvalidConfiguration;
        }
        if (sharedBytes > tuning::kGuaranteedSharedBytes)
        {
            cudaError_t const status = cudaFuncSetAttribute(
                kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(sharedBytes));
            if (status != cudaSuccess)
            {
                return status;
            }
        }
        cudaLaunchConfig_t config{};
        config.gridDim = dim3(static_cast<uint32_t>(blocks));
        config.blockDim = dim3(tuning::kThreads);
        config.dynamicSmemBytes = sharedBytes;
        config.stream = stream;
        return cudaLaunchKernelEx(&config, kernel, arguments...);
    };
    return dispatch(plan, input, output, workspace, launch);
}

} // namespace normdeploy
