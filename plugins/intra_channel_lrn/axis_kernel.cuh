#pragma once

#include "common/device_runtime.h"
#include "common/element.cuh"
#include "common/window_sum.cuh"
#include "intra_channel_lrn/normalization.cuh"
#include "intra_channel_lrn/plan.h"
#include "intra_channel_lrn/tuning.h"

//! The kernel for windows whose halo does not fit in shared memory: one pass per spatial axis, with the sums
//! of the pass before and after in device memory. Any size, any shape, any layout.
namespace normdeploy
{

template <typename T>
__global__ void __launch_bounds__(tuning::kThreads)
    intraChannelLrnAxis(T const* __restrict__ input, float const* __restrict__ sumsBefore,
                        float* __restrict__ sumsAfter, T* __restrict__ output,
                        __grid_constant__ AxisPass const pass,
                        __grid_constant__ Normalization const normalization, int32_t channels,
                        int32_t channelPitch)
{
    int64_t const segments = (pass.length + tuning::kSegment - 1) / tuning::kSegment;
    int64_t const items = pass.outer * segments * pass.inner;
    int64_t const step = static_cast<int64_t>(gridDim.x) * tuning::kThreads;
    for (int64_t item = static_cast<int64_t>(blockIdx.x) * tuning::kThreads + threadIdx.x; item < items;
         item += step)
    {
        int64_t const inner = item % pass.inner;
        int64_t const first = item / pass.inner % segments * tuning::kSegment;
        int64_t const line = item / pass.inner / segments * pass.length * pass.inner + inner;
        auto const load = [&](int32_t position)
        {
            int64_t const place = first - pass.window.before + position;
            if (place < 0 || place >= pass.length)
            {
                return 0.0F;
            }
            int64_t const index = line + place * pass.inner;
            if (pass.readsSums)
            {
                return sumsBefore[index];
            }
            float const x = toFloat(input[index]);
            return x * x;
        };
        float segment[tuning::kSegment];
        windowSums(pass.window.size, load, segment);
#pragma unroll
        for (int32_t i = 0; i < tuning::kSegment; ++i)
        {
            if (first + i >= pass.length)
            {
                continue;
            }
            int64_t const index = line + (first + i) * pass.inner;
            if (pass.writesSums)
            {
                sumsAfter[index] = segment[i];
                continue;
            }
            float y = 0.0F;
            if (index % channelPitch < channels)
            {
                float const x = toFloat(input[index]);
                withPower(normalization.power,
                          [&](auto power)
                          {
                              y = normalize(power, x, segment[i], normalization);
                          });
            }
            output[index] = fromFloat<T>(y);
        }
    }
}

} // namespace normdeploy
