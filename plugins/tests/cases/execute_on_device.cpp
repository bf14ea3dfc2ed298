#include "tests/cases/execute.h"

#include "intra_channel_lrn/launch.h"

#include <memory>

namespace normdeploy_test
{
namespace
{

struct DeviceFree
{
    void operator()(void* memory) const
    {
        cudaFree(memory);
    }
};

using DeviceMemory = std::unique_ptr<void, DeviceFree>;

cudaError_t allocate(size_t bytes, DeviceMemory& memory)
{
    void* address = nullptr;
    cudaError_t const status = cudaMalloc(&address, bytes);
    memory.reset(address);
    return status;
}

cudaError_t copyToDevice(std::vector<unsigned char> const& bytes, DeviceMemory& memory)
{
    cudaError_t const status = allocate(bytes.size(), memory);
    return status != cudaSuccess
               ? status
               : cudaMemcpy(memory.get(), bytes.data(), bytes.size(), cudaMemcpyHostToDevice);
}

} // namespace

cudaError_t execute(normdeploy::LaunchPlan const& plan, Buffer const& input, Buffer& output,
                    size_t workspaceBytes, bool /*isDescending*/)
{
    DeviceMemory source;
    DeviceMemory destination;
    DeviceMemory workspace;
    cudaError_t status = copyToDevice(input.bytes, source);
    if (status == cudaSuccess)
    {
        status = copyToDevice(output.bytes, destination);
    }
    if (status == cudaSuccess && workspaceBytes > 0)
    {
        status = allocate(workspaceBytes, workspace);
    }
    if (status == cudaSuccess)
    {
        status = normdeploy::launchIntraChannelLrn(plan, static_cast<char*>(source.get()) + input.shift,
                                                   static_cast<char*>(destination.get()) + output.shift,
                                                   workspace.get(), nullptr);
    }
    if (status == cudaSuccess)
    {
        status =
            cudaMemcpy(output.bytes.data(), destination.get(), output.bytes.size(), cudaMemcpyDeviceToHost);
    }
    return status;
}

} // namespace normdeploy_test
