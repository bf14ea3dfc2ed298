#pragma once

#include "common/device_runtime.h"
#include "common/element.cuh"
#include "common/fast_divisor.cuh"
#include "common/transfer.cuh"
#include "common/window_sum.cuh"
#include "intra_channel_lrn/normalization.cuh"
#include "intra_channel_lrn/plan.h"
#include "intra_channel_lrn/tuning.h"

//! The tile kernel. A block loads a tile and its halo into shared memory once, sums the squares along the
//! depth, the height and the width there, and writes the results from there: device memory sees a copy.
//!
//!      device memory          shared memory                                         device memory
//!     +-------------+       +-----------------+  sums along    +-----------------+
//!     |   . . . .   | 16 B  | region: tile    |  the height    | 0 | sums    | 0 |
//!     |   . tile .  |------>| and halo, in    |--------------->| 0 | (float) | 0 |
//!     |   . . . .   | async | the tensor's    |                +-----------------+
//!     +-------------+       | own type        |                  | sums along the width,
//!                           |                 |<-----------------+ normalize, in place   +-------------+
//!                           +-----------------+------------------------ 16 B ----------->|    tile     |
//!                                                                                        +-------------+
namespace normdeploy
{

//! Half-open box of a plane, and the channels and planes that a block works on.
struct Box
{
    Extents begin;
    Extents extent;
};

struct BlockPlace
{
    int64_t firstPlane;
    int32_t planes;
    int32_t firstChannel;
    int32_t channels; //!< padding included
    Box tile;
    Box region;
};

__device__ __forceinline__ void placeAxis(uint32_t index, int32_t tile, int32_t length, Window const& window,
                                          int32_t& tileBegin, int32_t& tileExtent, int32_t& regionBegin,
                                          int32_t& regionExtent)
{
    tileBegin = static_cast<int32_t>(index) * tile;
    tileExtent = min(tile, length - tileBegin);
    regionBegin = max(tileBegin - window.before, 0);
    regionExtent = min(tileBegin + tileExtent + window.size - 1 - window.before, length) - regionBegin;
}

//! Finds the block's tile: channels vary fastest, then width, height and depth, so that blocks which share a
//! sector or a halo run at the same time and find it in the cache.
__device__ __forceinline__ BlockPlace placeBlock(TilePlan const& plan)
{
    TensorShape const& shape = plan.shape;
    uint32_t index = blockIdx.x;
    BlockPlace place;
    place.firstChannel = static_cast<int32_t>(takeRemainder(index, plan.channelTiles)) * plan.tileChannels;
    place.channels = min(plan.tileChannels, shape.channelPitch - place.firstChannel);
    placeAxis(takeRemainder(index, plan.widthTiles), plan.tile.width, shape.width, plan.widthWindow,
              place.tile.begin.width, place.tile.extent.width, place.region.begin.width,
              place.region.extent.width);
    placeAxis(takeRemainder(index, plan.heightTiles), plan.tile.height, shape.height, plan.heightWindow,
              place.tile.begin.height, place.tile.extent.height, place.region.begin.height,
              place.region.extent.height);
    placeAxis(takeRemainder(index, plan.depthTiles), plan.tile.depth, shape.depth, plan.depthWindow,
              place.tile.begin.depth, place.tile.extent.depth, place.region.begin.depth,
              place.region.extent.depth);
    place.firstPlane = static_cast<int64_t>(index) * plan.planes;
    place.planes =
        static_cast<int32_t>(min(static_cast<int64_t>(plan.planes), shape.outer - place.firstPlane));
    return place;
}

//! Calls move(global, shared, length) for the part of each run of the box that belongs to this thread.
//! `global` counts from the first plane of the block, `shared` from the first element of the region.
template <typename Move>
__device__ __forceinline__ void forEachRun(TilePlan const& plan, RunDivisors const& divisors,
                                           BlockPlace const& place, Box const& box, Move const& move)
{
    TensorShape const& shape = plan.shape;
    int64_t const globalRow = static_cast<int64_t>(shape.width) * shape.channelPitch;
    int64_t const globalSlab = globalRow * shape.height;
    uint32_t const items = static_cast<uint32_t>(divisors.runs) * divisors.vectors.divisor;
    for (uint32_t item = threadIdx.x; item < items; item += tuning::kThreads)
    {
        uint32_t run = item;
        int32_t const vector = static_cast<int32_t>(takeRemainder(run, divisors.vectors));
        int32_t const column = static_cast<int32_t>(takeRemainder(run, divisors.columns));
        int32_t const row = static_cast<int32_t>(takeRemainder(run, divisors.rows));
        int32_t const slab = static_cast<int32_t>(run);
        if (column >= box.extent.width || row >= box.extent.height || slab >= box.extent.depth)
        {
            continue;
        }
        int32_t length = place.channels;
        switch (plan.runKind)
        {
        case RunKind::kBlock:
            length = static_cast<int32_t>(place.planes * shape.depth * globalSlab);
            break;
        case RunKind::kSlab:
            length = static_cast<int32_t>(box.extent.height * globalRow);
            break;
        case RunKind::kRow:
            length = box.extent.width * shape.channelPitch;
            break;
        case RunKind::kPixel:
            break;
        }
        int32_t const regionDepth = box.begin.depth - place.region.begin.depth + slab;
        int32_t const regionHeight = box.begin.height - place.region.begin.height + row;
        int32_t const regionWidth = box.begin.width - place.region.begin.width + column;
        int64_t const global = (box.begin.depth + slab) * globalSlab + (box.begin.height + row) * globalRow +
                               static_cast<int64_t>(box.begin.width + column) * shape.channelPitch +
                               place.firstChannel;
        int32_t const shared =
            regionDepth * plan.slabPitch + regionHeight * plan.rowPitch + regionWidth * plan.tileChannels;
        move(vector, global, shared, length);
    }
}

//! Sums of squares along the depth: region -> depthSums, an array [slab of the tile][row][element of the
//! region].
template <typename T>
__device__ __forceinline__ void sumAlongDepth(TilePlan const& plan, BlockPlace const& place, T const* region,
                                              float* depthSums)
{
    int32_t const rowElements = place.region.extent.width * plan.tileChannels;
    int32_t const offset = place.tile.begin.depth - plan.depthWindow.before - place.region.begin.depth;
    uint32_t const items = static_cast<uint32_t>(place.planes) * plan.depthSegments.divisor *
                           plan.regionRows.divisor * plan.regionRowElements.divisor;
    for (uint32_t item = threadIdx.x; item < items; item += tuning::kThreads)
    {
        uint32_t rest = item;
        int32_t const element = static_cast<int32_t>(takeRemainder(rest, plan.regionRowElements));
        int32_t const row = static_cast<int32_t>(takeRemainder(rest, plan.regionRows));
        int32_t const first =
            static_cast<int32_t>(takeRemainder(rest, plan.depthSegments)) * tuning::kDepthSegment;
        int32_t const plane = static_cast<int32_t>(rest);
        if (element >= rowElements || row >= place.region.extent.height || first >= place.tile.extent.depth)
        {
            continue;
        }
        T const* const source =
            region + plane * plan.tile.depth * plan.slabPitch + row * plan.rowPitch + element;
        auto const load = [&](int32_t position)
        {
            int32_t const slab = first + offset + position;
            if (slab < 0 || slab >= place.region.extent.depth)
            {
                return 0.0F;
            }
            float const x = toFloat(source[slab * plan.slabPitch]);
            return x * x;
        };
        float sums[tuning::kDepthSegment];
        windowSums(plan.depthWindow.size, load, sums);
#pragma unroll
        for (int32_t i = 0; i < tuning::kDepthSegment; ++i)
        {
            if (first + i < place.tile.extent.depth)
            {
                int32_t const slab = plane * plan.tile.depth + first + i;
                depthSums[(slab * plan.region.height + row) * plan.regionRow + element] = sums[i];
            }
        }
    }
}

//! Sums along the height: -> sums, an array [slab of the tile][row of the tile][sumPitch]. Pixels outside of
//! the map, left and right, get zeros, so that the pass along the width needs no test.
//!
//! \param source the region, or the sums along the depth, with these pitches.
//! \tparam Square whether to square what is read.
template <bool IsLinear, bool Square, typename S>
__device__ __forceinline__ void sumAlongHeight(TilePlan const& plan, BlockPlace const& place, S const* source,
                                               int32_t slabPitch, int32_t rowPitch, float* sums)
{
    int32_t const channels = IsLinear ? 1 : plan.tileChannels;
    int32_t const rowElements = place.region.extent.width * channels;
    int32_t const leftBorder =
        (place.region.begin.width - place.tile.begin.width + plan.widthWindow.before) * channels;
    int32_t const offset = place.tile.begin.height - plan.heightWindow.before - place.region.begin.height;
    int32_t const size = plan.heightWindow.size;
    int32_t const tileHeight = plan.tile.height;
    int32_t const sumPitch = plan.sumPitch;
    uint32_t const regionHeight = static_cast<uint32_t>(place.region.extent.height);
    uint32_t const items = static_cast<uint32_t>(place.planes * plan.tile.depth) *
                           plan.heightSegments.divisor * plan.sumRowElements.divisor;
    for (uint32_t item = threadIdx.x; item < items; item += tuning::kThreads)
    {
        uint32_t rest = item;
        int32_t const column = static_cast<int32_t>(takeRemainder(rest, plan.sumRowElements));
        int32_t const first =
            static_cast<int32_t>(takeRemainder(rest, plan.heightSegments)) * tuning::kSegment;
        int32_t const slab = static_cast<int32_t>(rest);
        int32_t const element = column - leftBorder;
        int32_t const firstRow = first + offset;
        int32_t const origin = slab * slabPitch + firstRow * rowPitch + element;
        float segment[tuning::kSegment] = {};
        if (element >= 0 && element < rowElements)
        {
            auto const loadInside = [=](int32_t position)
            {
                float const value = toFloat(source[origin + position * rowPitch]);
                return Square ? value * value : value;
            };
            auto const loadAnywhere = [=](int32_t position)
            {
                // Below zero is a large number without a sign.
                return static_cast<uint32_t>(firstRow + position) < regionHeight ? loadInside(position)
                                                                                 : 0.0F;
            };
            uint32_t const lastRow = static_cast<uint32_t>(firstRow + tuning::kSegment + size - 2);
            if (firstRow >= 0 && lastRow < regionHeight)
            {
                windowSums(size, loadInside, segment);
            }
            else
            {
                windowSums(size, loadAnywhere, segment);
            }
        }
        float* const target = sums + (slab * tileHeight + first) * sumPitch + column;
#pragma unroll
        for (int32_t i = 0; i < tuning::kSegment; ++i)
        {
            if (first + i < tileHeight)
            {
                target[i * sumPitch] = segment[i];
            }
        }
    }
}

//! Sums along the width, and the results, which replace the tile's own pixels in the region.
template <bool IsLinear, typename T>
__device__ __forceinline__ void normalizeAlongWidth(TilePlan const& plan, BlockPlace const& place,
                                                    float const* sums, T* region)
{
    int32_t const channels = IsLinear ? 1 : plan.tileChannels;
    T* const tile = region + (place.tile.begin.depth - place.region.begin.depth) * plan.slabPitch +
                    (place.tile.begin.height - place.region.begin.height) * plan.rowPitch +
                    (place.tile.begin.width - place.region.begin.width) * channels;
    Normalization const normalization = plan.normalization;
    int32_t const size = plan.widthWindow.size;
    uint32_t const items =
        static_cast<uint32_t>(place.planes * plan.tile.depth * plan.tile.height * channels) *
        plan.widthSegments.divisor;
    for (uint32_t item = threadIdx.x; item < items; item += tuning::kThreads)
    {
        uint32_t rest = item;
        int32_t const channel = IsLinear ? 0 : static_cast<int32_t>(takeRemainder(rest, plan.channelsOfTile));
        int32_t const first =
            static_cast<int32_t>(takeRemainder(rest, plan.widthSegments)) * tuning::kSegment;
        int32_t const sumRow = static_cast<int32_t>(rest);
        int32_t const row = static_cast<int32_t>(takeRemainder(rest, plan.rowsOfTile));
        int32_t const slab = static_cast<int32_t>(rest);
        if (row >= place.tile.extent.height || slab >= place.planes * place.tile.extent.depth)
        {
            continue;
        }
        float const* const source = sums + sumRow * plan.sumPitch + first * channels + channel;
        auto const load = [&](int32_t position)
        {
            return source[position * channels];
        };
        float segment[tuning::kSegment];
        windowSums(size, load, segment);
        bool const isPadding = !IsLinear && place.firstChannel + channel >= plan.shape.channels;
        T* const pixels = tile + slab * plan.slabPitch + row * plan.rowPitch + first * channels + channel;
        withPower(normalization.power,
                  [&](auto power)
                  {
#pragma unroll
                      for (int32_t i = 0; i < tuning::kSegment; ++i)
                      {
                          if (first + i < place.tile.extent.width)
                          {
                              T& pixel = pixels[i * channels];
                              float const y = normalize(power, toFloat(pixel), segment[i], normalization);
                              pixel = fromFloat<T>(isPadding ? 0.0F : y);
                          }
                      }
                  });
    }
}

//! \tparam IsLinear whether the layout is linear, so that neighbouring pixels of a row are neighbours in
//! memory.
template <bool IsLinear, typename T>
__global__ void __launch_bounds__(tuning::kThreads, tuning::kBlocksByRegisters)
    intraChannelLrnTile(T const* __restrict__ input, T* __restrict__ output,
                        __grid_constant__ TilePlan const plan)
{
    BlockPlace const place = placeBlock(plan);
    int64_t const planeElements = static_cast<int64_t>(plan.shape.depth) * plan.shape.height *
                                  plan.shape.width * plan.shape.channelPitch;
    T const* const source = input + place.firstPlane * planeElements;
    T* const destination = output + place.firstPlane * planeElements;

    // The region begins in shared memory where it begins in device memory, modulo 16 bytes, so that a vector
    // which is aligned in one is aligned in the other.
    int64_t const regionBegin =
        ((static_cast<int64_t>(place.region.begin.depth) * plan.shape.height + place.region.begin.height) *
             plan.shape.width +
         place.region.begin.width) *
            plan.shape.channelPitch +
        place.firstChannel;
    T* const region = reinterpret_cast<T*>(sharedMemory()) + vectorOffset(source + regionBegin);
    float* const sums = reinterpret_cast<float*>(sharedMemory() + plan.sumsOffset);

    forEachRun(plan, plan.loadRuns, place, place.region,
               [&](int32_t vector, int64_t global, int32_t shared, int32_t length)
               {
                   loadVectorAsync(region + shared, source + global, vector, length);
               });
    waitForLoads();
    __syncthreads();

    if (plan.depthWindow.size > 1)
    {
        float* const depthSums = reinterpret_cast<float*>(sharedMemory() + plan.depthSumsOffset);
        sumAlongDepth(plan, place, region, depthSums);
        __syncthreads();
        sumAlongHeight<IsLinear, false>(plan, place, depthSums, plan.region.height * plan.regionRow,
                                        plan.regionRow, sums);
    }
    else
    {
        sumAlongHeight<IsLinear, true>(plan, place, region, plan.slabPitch, plan.rowPitch, sums);
    }
    __syncthreads();

    normalizeAlongWidth<IsLinear>(plan, place, sums, region);
    __syncthreads();

    forEachRun(plan, plan.storeRuns, place, place.tile,
               [&](int32_t vector, int64_t global, int32_t shared, int32_t length)
               {
                   storeVector(destination + global, region + shared, vector, length);
               });
}

} // namespace normdeploy
