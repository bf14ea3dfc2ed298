#pragma once

#include <cstdint>

//! Constants that set the speed of the kernels and nothing of their results.
namespace normdeploy::tuning
{

//! Threads of a block, in both kernels.
constexpr int32_t kThreads = 256;

//! Blocks whose shared memory should fit on a multiprocessor, so that some load while others compute.
constexpr int32_t kBlocksPerMultiprocessor = 3;

//! Blocks of the tile kernel whose registers must fit: at most 64 for each thread.
constexpr int32_t kBlocksByRegisters = 4;

//! Consecutive outputs that one thread computes along the height and along the width. It is odd so that the
//! threads of a warp, which lie this far apart along the width, hit different banks of shared memory; and the
//! maps of convolutional networks (7, 14, 28, 56, 112, 224; nearly 13, 27, 55) divide by it.
constexpr int32_t kSegment = 7;

//! The same along the depth, where tiles are short.
constexpr int32_t kDepthSegment = 4;

//! Shared memory that a block may take even where that leaves fewer blocks than wanted.
constexpr int64_t kLeastSharedBytes = 32 * 1024;

//! Shared memory that every device grants to a block without being asked.
constexpr int64_t kGuaranteedSharedBytes = 48 * 1024;

//! Small planes share a block until it has this many segments to normalize (twice the threads), but only
//! while every multiprocessor still gets this many blocks.
constexpr int64_t kSegmentsPerBlock = 2 * kThreads;
constexpr int64_t kWaves = 4;

//! Edge of the tile that must fit in the guaranteed shared memory, halo included; else the window is so large
//! that summing along one axis after the other through device memory is faster.
constexpr int32_t kReferenceTile1d = 2048;
constexpr int32_t kReferenceTile1dChannelsLast = 256;
constexpr int32_t kReferenceTile2d = 28;
constexpr int32_t kReferenceTile2dChannelsLast = 14;
constexpr int32_t kReferenceTile3d = 8;
constexpr int32_t kReferenceTile3dChannelsLast = 4;

//! Weight, in the cost of a tile, of an element's work in shared memory against its transfer.
constexpr double kWorkWeight = 0.25;

//! Device memory is moved in sectors of this many bytes.
constexpr int64_t kSectorBytes = 32;

//! Most blocks of a pass along an axis; each then takes several steps.
constexpr int64_t kAxisBlocks = 65536;

//! Bytes of the widest access.
constexpr int32_t kVectorBytes = 16;

} // namespace normdeploy::tuning
