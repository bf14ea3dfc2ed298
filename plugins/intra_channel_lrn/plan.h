#pragma once

#include "common/fast_divisor.h"
#include "intra_channel_lrn/params.h"

#include <cstddef>
#include <cstdint>

namespace normdeploy
{

//! What the kernels have to know of the device.
struct DeviceLimits
{
    int64_t sharedBytesPerBlock;          //!< the most that a block can ask for
    int64_t sharedBytesPerMultiprocessor; //!< shared by the blocks on a multiprocessor
    int64_t sharedBytesReserved;          //!< taken by the system from each block
    int32_t multiprocessors;
};

//! How the box of a tile is cut into runs of elements that are contiguous both in device and in shared
//! memory.
enum class RunKind : int32_t
{
    kBlock, //!< whole planes, all channels: one run
    kSlab,  //!< whole rows, all channels: a run per depth
    kRow,   //!< all channels: a run per row
    kPixel, //!< some of the channels: a run per pixel
};

//! Divisors that find a thread's place in the runs of a box.
struct RunDivisors
{
    FastDivisor vectors; //!< 16-byte vectors that the longest run can touch
    FastDivisor columns; //!< runs per row
    FastDivisor rows;    //!< rows per slab
    int32_t runs{0};     //!< runs of the largest box
};

//! Extents or pitches along the axes of a tile.
struct Extents
{
    int32_t depth{1};
    int32_t height{1};
    int32_t width{1};
};

//! Everything that the tile kernel needs, passed by value. A block computes one tile of the output: `planes`
//! consecutive planes whole, or a box of one plane. It loads the region: the tile and its halo, as far as
//! that lies inside of the map. All offsets and pitches inside of a block count elements.
struct TilePlan
{
    TensorShape shape;
    Normalization normalization;
    Window depthWindow;
    Window heightWindow;
    Window widthWindow;

    int32_t planes{1};       //!< consecutive values of `outer` in a block
    Extents tile;            //!< outputs of a block
    Extents region;          //!< the most that it loads
    int32_t tileChannels{1}; //!< channels of a block

    FastDivisor channelTiles; //!< tiles along each axis, to find a block's place
    FastDivisor widthTiles;
    FastDivisor heightTiles;
    FastDivisor depthTiles;

    RunKind runKind{RunKind::kBlock};
    RunDivisors loadRuns;
    RunDivisors storeRuns;

    int32_t rowPitch{0};    //!< of the region in shared memory
    int32_t slabPitch{0};   //!<
    int32_t regionRow{0};   //!< elements in a row of the region
    int32_t sumPitch{0};    //!< of the rows of sums along the height, borders of zeros included
    uint32_t sumsOffset{0}; //!< where these sums begin in shared memory, in bytes
    uint32_t depthSumsOffset{
        0}; //!< where the sums along the depth begin, in bytes; used if depthWindow.size > 1

    FastDivisor regionRowElements; //!< divisors of the three passes
    FastDivisor regionRows;
    FastDivisor depthSegments;
    FastDivisor sumRowElements;
    FastDivisor heightSegments;
    FastDivisor widthSegments;
    FastDivisor channelsOfTile;
    FastDivisor rowsOfTile;

    int64_t blocks{0};
    uint32_t sharedBytes{0};
};

//! One pass of the other way, for windows too large for shared memory: sums along one axis of an array
//! [outer][length][inner], read from device memory and written to it.
struct AxisPass
{
    int64_t outer;
    int64_t length;
    int64_t inner;
    Window window;
    bool readsSums;  //!< reads the sums of the pass before, else the tensor's elements and squares them
    bool writesSums; //!< writes sums for the pass after, else the results
};

//! The passes in their order. The sums between them lie in the workspace, in turn in its two halves.
struct AxisPlan
{
    TensorShape shape;
    Normalization normalization;
    AxisPass passes[3];
    int32_t count;
};

//! The part of the operator's window that can lie inside of an axis of this extent.
Window clippedWindow(int32_t size, int32_t extent);

Normalization makeNormalization(IntraChannelLrnParams const& params, int32_t spatialRank);

//! What to launch for a shape: one of the two ways.
struct LaunchPlan
{
    ElementType type;
    bool usesTiles;
    TilePlan tiles; //!< if usesTiles
    AxisPlan axes;  //!< if not
};

//! Whether the tile kernel computes this shape. It depends on no device, and if it holds for a shape then for
//! every smaller one, so that the workspace can be sized for the largest shape when an engine is built.
bool usesTiles(IntraChannelLrnParams const& params, TensorShape const& shape, ElementType type);

//! Bytes of workspace; 0 where the tile kernel is used.
size_t workspaceBytes(IntraChannelLrnParams const& params, TensorShape const& shape, ElementType type);

//! The tile that moves the fewest bytes of those that fit, or the passes along the axes.
//! \param shape has at least one element.
LaunchPlan makeLaunchPlan(IntraChannelLrnParams const& params, TensorShape const& shape, ElementType type,
                          DeviceLimits const& limits);

} // namespace normdeploy
