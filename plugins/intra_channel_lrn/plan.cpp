#include "intra_channel_lrn/plan.h"

#include "intra_channel_lrn/tuning.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace normdeploy
{
namespace
{

int64_t divideUp(int64_t dividend, int64_t divisor)
{
    return (dividend + divisor - 1) / divisor;
}

int64_t roundUp(int64_t value, int64_t multiple)
{
    return divideUp(value, multiple) * multiple;
}

//! The choices that a plan follows from.
struct Candidate
{
    int32_t planes;
    Extents tile;
    int32_t channels;
};

//! What a shape, an element type and the parameters fix, whatever the tile.
struct Problem
{
    TensorShape shape;
    Window depth;
    Window height;
    Window width;
    int32_t bytes;     //!< of an element
    int32_t perVector; //!< elements in 16 bytes

    Problem(IntraChannelLrnParams const& params, TensorShape const& tensorShape, ElementType type)
        : shape{tensorShape}
        , depth{clippedWindow(params.size, shape.depth)}
        , height{clippedWindow(params.size, shape.height)}
        , width{clippedWindow(params.size, shape.width)}
        , bytes{elementBytes(type)}
        , perVector{tuning::kVectorBytes / bytes}
    {
    }
};

Extents regionOf(Problem const& problem, Extents const& tile)
{
    return {std::min(problem.shape.depth, tile.depth + problem.depth.size - 1),
            std::min(problem.shape.height, tile.height + problem.height.size - 1),
            std::min(problem.shape.width, tile.width + problem.width.size - 1)};
}

RunKind runKindOf(TensorShape const& shape, Candidate const& candidate)
{
    if (candidate.channels < shape.channelPitch)
    {
        return RunKind::kPixel;
    }
    if (candidate.tile.width < shape.width)
    {
        return RunKind::kRow;
    }
    bool const isWhole = candidate.tile.height == shape.height && candidate.tile.depth == shape.depth;
    return isWhole ? RunKind::kBlock : RunKind::kSlab;
}

//! Where things lie in shared memory, in elements and bytes.
struct SharedLayout
{
    int64_t rowPitch;
    int64_t slabPitch;
    int64_t regionRow;
    int64_t sumPitch;
    int64_t sumsOffset;
    int64_t depthSumsOffset;
    int64_t bytes;
};

//! The smallest pitch that holds the extent and leaves rows aligned in shared memory as they are in device
//! memory.
int64_t congruentPitch(int64_t extent, int64_t globalPitch, int64_t perVector)
{
    return extent + ((globalPitch - extent) % perVector + perVector) % perVector;
}

SharedLayout sharedLayout(Problem const& problem, Candidate const& candidate)
{
    TensorShape const& shape = problem.shape;
    Extents const region = regionOf(problem, candidate.tile);
    int64_t const globalRow = int64_t{shape.width} * shape.channelPitch;
    SharedLayout layout{};
    layout.regionRow = int64_t{region.width} * candidate.channels;
    layout.rowPitch = congruentPitch(layout.regionRow, globalRow, problem.perVector);
    layout.slabPitch =
        congruentPitch(region.height * layout.rowPitch, globalRow * shape.height, problem.perVector);
    int64_t const slabsLoaded = int64_t{candidate.planes} * region.depth;
    int64_t const slabs = int64_t{candidate.planes} * candidate.tile.depth;
    int64_t const elements = problem.perVector - 1 + slabsLoaded * layout.slabPitch;
    layout.sumPitch =
        (roundUp(candidate.tile.width, tuning::kSegment) + problem.width.size - 1) * candidate.channels;
    layout.sumsOffset = roundUp(elements * problem.bytes, tuning::kVectorBytes);
    int64_t const sumBytes = slabs * candidate.tile.height * layout.sumPitch * int64_t{sizeof(float)};
    layout.depthSumsOffset = layout.sumsOffset + sumBytes;
    bool const hasDepthSums = problem.depth.size > 1;
    int64_t const depthSumBytes = slabs * region.height * layout.regionRow * int64_t{sizeof(float)};
    layout.bytes = layout.depthSumsOffset + (hasDepthSums ? depthSumBytes : 0);
    return layout;
}

int64_t tilesOf(TensorShape const& shape, Candidate const& candidate)
{
    return divideUp(shape.depth, candidate.tile.depth) * divideUp(shape.height, candidate.tile.height) *
           divideUp(shape.width, candidate.tile.width) * divideUp(shape.channelPitch, candidate.channels);
}

//! Device or cache traffic, and work in shared memory, per byte of the tensor.
double costOf(Problem const& problem, Candidate const& candidate)
{
    TensorShape const& shape = problem.shape;
    Extents const region = regionOf(problem, candidate.tile);
    auto const sectors = [&](Extents const& box)
    {
        int64_t const pixels = int64_t{box.depth} * box.height * box.width;
        int64_t const pixelBytes = int64_t{candidate.channels} * problem.bytes;
        switch (runKindOf(shape, candidate))
        {
        case RunKind::kPixel:
            return pixels * roundUp(pixelBytes, tuning::kSectorBytes);
        case RunKind::kRow:
            return pixels / box.width *
                   (roundUp(box.width * pixelBytes, tuning::kSectorBytes) + tuning::kSectorBytes);
        default:
            return pixels * pixelBytes;
        }
    };
    SharedLayout const layout = sharedLayout(problem, candidate);
    int64_t const heightWork =
        candidate.tile.depth * roundUp(candidate.tile.height, tuning::kSegment) * layout.sumPitch;
    int64_t const widthWork = int64_t{candidate.tile.depth} * candidate.tile.height *
                              roundUp(candidate.tile.width, tuning::kSegment) * candidate.channels;
    double const traffic = static_cast<double>(sectors(region) + sectors(candidate.tile));
    double const work = static_cast<double>((heightWork + widthWork) * problem.bytes);
    double const outputBytes = static_cast<double>(shape.volume() / shape.outer * problem.bytes) /
                               static_cast<double>(tilesOf(shape, candidate));
    return (traffic + tuning::kWorkWeight * work) / outputBytes;
}

//! Extents to try along an axis: even splits of it, and fixed ones for very long axes.
std::vector<int32_t> extentsToTry(int32_t length, int32_t multiple)
{
    constexpr int32_t kMostSplits = 16;
    constexpr int32_t kFixed[] = {1, 2, 4, 7, 8, 14, 28, 56, 112, 224, 448, 896, 1792};
    std::vector<int32_t> extents{length};
    for (int32_t splits = 2; splits <= kMostSplits; ++splits)
    {
        extents.push_back(static_cast<int32_t>(roundUp(divideUp(length, splits), multiple)));
    }
    extents.insert(extents.end(), std::begin(kFixed), std::end(kFixed));
    extents.erase(std::remove_if(extents.begin() + 1, extents.end(),
                                 [&](int32_t extent)
                                 {
                                     return extent >= length;
                                 }),
                  extents.end());
    std::sort(extents.begin(), extents.end());
    extents.erase(std::unique(extents.begin(), extents.end()), extents.end());
    return extents;
}

std::vector<int32_t> channelsToTry(int32_t channelPitch)
{
    std::vector<int32_t> channels{channelPitch};
    for (int32_t const count : {64, 32, 16, 8, 4, 1})
    {
        if (count < channelPitch)
        {
            channels.push_back(count);
        }
    }
    return channels;
}

//! The cheapest single-plane tile whose shared memory fits; planes is 0 if there is none.
Candidate cheapestTile(Problem const& problem, int64_t sharedBytes)
{
    TensorShape const& shape = problem.shape;
    Candidate best{};
    double bestCost = std::numeric_limits<double>::infinity();
    std::vector<int32_t> const heights = extentsToTry(shape.height, tuning::kSegment);
    std::vector<int32_t> const widths = extentsToTry(shape.width, tuning::kSegment);
    for (int32_t const depth : extentsToTry(shape.depth, 1))
    {
        for (int32_t const height : heights)
        {
            for (int32_t const width : widths)
            {
                for (int32_t const channels : channelsToTry(shape.channelPitch))
                {
                    Candidate const candidate{1, {depth, height, width}, channels};
                    if (sharedLayout(problem, candidate).bytes > sharedBytes)
                    {
                        continue;
                    }
                    double const cost = costOf(problem, candidate);
                    if (cost < bestCost)
                    {
                        best = candidate;
                        bestCost = cost;
                    }
                }
            }
        }
    }
    return best;
}

//! Adds planes to a block that computes whole ones, until it has work for its threads.
void sharePlanes(Problem const& problem, Candidate& candidate, DeviceLimits const& limits,
                 int64_t sharedBytes)
{
    TensorShape const& shape = problem.shape;
    int64_t const segments =
        int64_t{shape.depth} * shape.height * divideUp(shape.width, tuning::kSegment) * shape.channelPitch;
    int64_t const blocksWanted =
        tuning::kWaves * tuning::kBlocksPerMultiprocessor * std::max(limits.multiprocessors, 1);
    int64_t const planes =
        std::min(divideUp(tuning::kSegmentsPerBlock, segments), shape.outer / blocksWanted);
    for (int64_t count = 2; count <= planes; ++count)
    {
        Candidate larger = candidate;
        larger.planes = static_cast<int32_t>(count);
        if (sharedLayout(problem, larger).bytes > sharedBytes)
        {
            return;
        }
        candidate = larger;
    }
}

RunDivisors runDivisors(Problem const& problem, Candidate const& candidate, Extents const& box)
{
    TensorShape const& shape = problem.shape;
    RunKind const kind = runKindOf(shape, candidate);
    int64_t const rowElements = int64_t{box.width} * candidate.channels;
    int64_t columns = 1;
    int64_t rows = 1;
    int64_t slabs = box.depth;
    int64_t length = 0;
    switch (kind)
    {
    case RunKind::kBlock:
        slabs = 1;
        length = candidate.planes * (shape.volume() / shape.outer);
        break;
    case RunKind::kSlab:
        length = box.height * rowElements;
        break;
    case RunKind::kRow:
        rows = box.height;
        length = rowElements;
        break;
    case RunKind::kPixel:
        rows = box.height;
        columns = box.width;
        length = candidate.channels;
        break;
    }
    RunDivisors divisors;
    divisors.vectors = makeFastDivisor(divideUp(problem.perVector - 1 + length, problem.perVector));
    divisors.columns = makeFastDivisor(columns);
    divisors.rows = makeFastDivisor(rows);
    divisors.runs = static_cast<int32_t>(columns * rows * slabs);
    return divisors;
}

//! Bytes of shared memory whatever the alignment of the rows: a bound that grows with the shape.
int64_t mostSharedBytes(Problem problem, Candidate const& candidate)
{
    problem.perVector = 1;
    Extents const region = regionOf(problem, candidate.tile);
    int64_t const pitches = (region.height + 1) * region.depth + 2;
    return sharedLayout(problem, candidate).bytes + pitches * tuning::kVectorBytes;
}

int32_t referenceEdge(int32_t spatialRank, bool isLinear)
{
    switch (spatialRank)
    {
    case 1:
        return isLinear ? tuning::kReferenceTile1d : tuning::kReferenceTile1dChannelsLast;
    case 2:
        return isLinear ? tuning::kReferenceTile2d : tuning::kReferenceTile2dChannelsLast;
    default:
        return isLinear ? tuning::kReferenceTile3d : tuning::kReferenceTile3dChannelsLast;
    }
}

TilePlan makeTilePlan(Problem const& problem, Normalization const& normalization, DeviceLimits const& limits)
{
    TensorShape const& shape = problem.shape;
    int64_t const share =
        limits.sharedBytesPerMultiprocessor / tuning::kBlocksPerMultiprocessor - limits.sharedBytesReserved;
    int64_t const budget = std::min(std::max(share, tuning::kLeastSharedBytes), limits.sharedBytesPerBlock);
    Candidate candidate = cheapestTile(problem, budget);
    if (candidate.planes == 0)
    {
        candidate =
            cheapestTile(problem, std::max(limits.sharedBytesPerBlock, tuning::kGuaranteedSharedBytes));
    }
    if (runKindOf(shape, candidate) == RunKind::kBlock)
    {
        sharePlanes(problem, candidate, limits, budget);
    }

    SharedLayout const layout = sharedLayout(problem, candidate);
    Extents const region = regionOf(problem, candidate.tile);
    TilePlan plan;
    plan.shape = shape;
    plan.normalization = normalization;
    plan.depthWindow = problem.depth;
    plan.heightWindow = problem.height;
    plan.widthWindow = problem.width;
    plan.planes = candidate.planes;
    plan.tile = candidate.tile;
    plan.region = region;
    plan.tileChannels = candidate.channels;
    plan.channelTiles = makeFastDivisor(divideUp(shape.channelPitch, candidate.channels));
    plan.widthTiles = makeFastDivisor(divideUp(shape.width, candidate.tile.width));
    plan.heightTiles = makeFastDivisor(divideUp(shape.height, candidate.tile.height));
    plan.depthTiles = makeFastDivisor(divideUp(shape.depth, candidate.tile.depth));
    plan.runKind = runKindOf(shape, candidate);
    plan.loadRuns = runDivisors(problem, candidate, region);
    plan.storeRuns = runDivisors(problem, candidate, candidate.tile);
    plan.rowPitch = static_cast<int32_t>(layout.rowPitch);
    plan.slabPitch = static_cast<int32_t>(layout.slabPitch);
    plan.regionRow = static_cast<int32_t>(layout.regionRow);
    plan.sumPitch = static_cast<int32_t>(layout.sumPitch);
    plan.sumsOffset = static_cast<uint32_t>(layout.sumsOffset);
    plan.depthSumsOffset = static_cast<uint32_t>(layout.depthSumsOffset);
    plan.regionRowElements = makeFastDivisor(layout.regionRow);
    plan.regionRows = makeFastDivisor(region.height);
    plan.depthSegments = makeFastDivisor(divideUp(candidate.tile.depth, tuning::kDepthSegment));
    plan.sumRowElements = makeFastDivisor(layout.sumPitch);
    plan.heightSegments = makeFastDivisor(divideUp(candidate.tile.height, tuning::kSegment));
    plan.widthSegments = makeFastDivisor(divideUp(candidate.tile.width, tuning::kSegment));
    plan.channelsOfTile = makeFastDivisor(candidate.channels);
    plan.rowsOfTile = makeFastDivisor(candidate.tile.height);
    plan.blocks = divideUp(shape.outer, candidate.planes) * tilesOf(shape, candidate);
    plan.sharedBytes = static_cast<uint32_t>(layout.bytes);
    return plan;
}

AxisPlan makeAxisPlan(IntraChannelLrnParams const& params, TensorShape const& shape,
                      Normalization const& normalization)
{
    AxisPlan plan{};
    plan.shape = shape;
    plan.normalization = normalization;
    int64_t const extents[3] = {shape.depth, shape.height, shape.width};
    int64_t outer = shape.outer;
    for (int32_t axis = 0; axis < 3; ++axis)
    {
        if (axis >= 3 - shape.spatialRank)
        {
            AxisPass& pass = plan.passes[plan.count];
            pass.outer = outer;
            pass.length = extents[axis];
            pass.inner = shape.volume() / (outer * extents[axis]);
            pass.window = clippedWindow(params.size, static_cast<int32_t>(extents[axis]));
            pass.readsSums = plan.count > 0;
            pass.writesSums = axis < 2;
            ++plan.count;
        }
        outer *= extents[axis];
    }
    return plan;
}

} // namespace

Window clippedWindow(int32_t size, int32_t extent)
{
    int32_t const before = size / 2;
    int32_t const after = size - 1 - before;
    int32_t const reach = std::max(extent - 1, 0);
    int32_t const beforeInside = std::min(before, reach);
    return {beforeInside, beforeInside + 1 + std::min(after, reach)};
}

Normalization makeNormalization(IntraChannelLrnParams const& params, int32_t spatialRank)
{
    Power power = Power::kGeneral;
    if (params.beta == 0.5F)
    {
        power = Power::kHalf;
    }
    else if (params.beta == 0.75F)
    {
        power = Power::kThreeQuarters;
    }
    else if (params.beta == 1.0F)
    {
        power = Power::kOne;
    }
    double const pixels = std::pow(static_cast<double>(params.size), spatialRank);
    return {static_cast<float>(params.alpha / pixels), params.bias, params.beta, power};
}

bool usesTiles(IntraChannelLrnParams const& params, TensorShape const& shape, ElementType type)
{
    Problem const problem{params, shape, type};
    bool const isLinear = shape.channelPitch == 1;
    int32_t const edge = referenceEdge(shape.spatialRank, isLinear);
    int32_t const channels = isLinear ? 1 : std::min(problem.perVector, shape.channelPitch);
    Candidate const whole{1, {shape.depth, shape.height, shape.width}, channels};
    Candidate const reference{
        1,
        {std::min(shape.depth, edge), std::min(shape.height, edge), std::min(shape.width, edge)},
        channels};
    return mostSharedBytes(problem, whole) <= tuning::kGuaranteedSharedBytes ||
           mostSharedBytes(problem, reference) <= tuning::kGuaranteedSharedBytes;
}

size_t workspaceBytes(IntraChannelLrnParams const& params, TensorShape const& shape, ElementType type)
{
    if (usesTiles(params, shape, type))
    {
        return 0;
    }
    int64_t const buffers = shape.spatialRank - 1;
    return static_cast<size_t>(buffers * shape.volume()) * sizeof(float);
}

LaunchPlan makeLaunchPlan(IntraChannelLrnParams const& params, TensorShape const& shape, ElementType type,
                          DeviceLimits const& limits)
{
    LaunchPlan plan{};
    plan.type = type;
    plan.usesTiles = usesTiles(params, shape, type);
    Normalization const normalization = makeNormalization(params, shape.spatialRank);
    if (plan.usesTiles)
    {
        plan.tiles = makeTilePlan(Problem{params, shape, type}, normalization, limits);
    }
    else
    {
        plan.axes = makeAxisPlan(params, shape, normalization);
    }
    return plan;
}

} // namespace normdeploy
