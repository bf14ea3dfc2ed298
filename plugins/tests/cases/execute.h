#pragma once

#include "intra_channel_lrn/plan.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include <driver_types.h>

namespace normdeploy_test
{

//! A tensor in memory that begins at a 16-byte boundary: the elements begin `shift` bytes after it, and the
//! memory ends where they end, so that tools which watch memory see each access beyond them.
struct Buffer
{
    std::vector<unsigned char> bytes;
    int64_t shift;
};

//! Executes a plan and waits for the end. There are two: on the host, under emulation, and on a device.
//! \param isDescending the order in which the emulation lets the threads of a block run.
cudaError_t execute(normdeploy::LaunchPlan const& plan, Buffer const& input, Buffer& output,
                    size_t workspaceBytes, bool isDescending);

} // namespace normdeploy_test
