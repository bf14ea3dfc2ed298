//! Prints, as JSON, how the kernels would be launched. Each line of the standard input is a problem:
//!
//!     type outer depth height width channels channelPitch spatialRank size
//!     sharedPerBlock sharedPerMultiprocessor sharedReserved multiprocessors
//!
//! (one line; `type` is 0 for float32, 1 for float16, 2 for bfloat16). Needs no CUDA.

#include "intra_channel_lrn/plan.h"

#include <algorithm>
#include <iostream>

namespace
{

using namespace normdeploy;

//! Elements that all tiles along one axis load, halos included.
int64_t loadedAlong(int32_t length, int32_t tile, Window const& window)
{
    int64_t loaded = 0;
    for (int32_t begin = 0; begin < length; begin += tile)
    {
        int32_t const end = std::min(begin + tile, length);
        loaded +=
            std::min(end + window.size - 1 - window.before, length) - std::max(begin - window.before, 0);
    }
    return loaded;
}

} // namespace

int main()
{
    int32_t type = 0;
    TensorShape shape;
    IntraChannelLrnParams params{};
    DeviceLimits limits{};
    while (std::cin >> type >> shape.outer >> shape.depth >> shape.height >> shape.width >> shape.channels >>
           shape.channelPitch >> shape.spatialRank >> params.size >> limits.sharedBytesPerBlock >>
           limits.sharedBytesPerMultiprocessor >> limits.sharedBytesReserved >> limits.multiprocessors)
    {
        LaunchPlan const plan = makeLaunchPlan(params, shape, static_cast<ElementType>(type), limits);
        if (!plan.usesTiles)
        {
            std::cout << R"({"kernel": "axis"})" << '\n';
            continue;
        }
        TilePlan const& tiles = plan.tiles;
        int64_t const loaded = loadedAlong(shape.depth, tiles.tile.depth, tiles.depthWindow) *
                               loadedAlong(shape.height, tiles.tile.height, tiles.heightWindow) *
                               loadedAlong(shape.width, tiles.tile.width, tiles.widthWindow) * shape.outer *
                               shape.channelPitch;
        std::cout << R"({"kernel": "tile", "planes": )" << tiles.planes << R"(, "tile": [)"
                  << tiles.tile.depth << ", " << tiles.tile.height << ", " << tiles.tile.width << "], "
                  << R"("channels": )" << tiles.tileChannels << R"(, "blocks": )" << tiles.blocks
                  << R"(, "shared_bytes": )" << tiles.sharedBytes << R"(, "loads_per_element": )"
                  << static_cast<double>(loaded) / static_cast<double>(shape.volume()) << "}\n";
    }
    return 0;
}
