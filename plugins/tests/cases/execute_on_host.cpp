#include "tests/cases/execute.h"

#include "intra_channel_lrn/dispatch.cuh"

namespace normdeploy_test
{

cudaError_t execute(normdeploy::LaunchPlan const& plan, Buffer const& input, Buffer& output,
                    size_t workspaceBytes, bool isDescending)
{
    using normdeploy::emulation::ThreadOrder;
    std::vector<unsigned char> workspace(workspaceBytes, 0xFF);
    auto const launch = [&](auto kernel, int64_t blocks, uint32_t sharedBytes, auto... arguments)
    {
        auto const thread = [&]
        {
            kernel(arguments...);
        };
        return normdeploy::emulation::launch(thread, blocks, normdeploy::tuning::kThreads, sharedBytes,
                                             isDescending ? ThreadOrder::kDescending
                                                          : ThreadOrder::kAscending);
    };
    return normdeploy::dispatch(plan, input.bytes.data() + input.shift, output.bytes.data() + output.shift,
                                workspaceBytes > 0 ? workspace.data() : nullptr, launch);
}

} // namespace normdeploy_test
