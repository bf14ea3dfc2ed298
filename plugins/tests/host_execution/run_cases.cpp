//! Executes the kernels on the host. Each line of the standard input is a case:
//!
//!     type outer depth height width channels channelPitch spatialRank size alpha beta bias
//!     inputOffset outputOffset sharedPerBlock sharedPerMultiprocessor multiprocessors order inputFile
//!     outputFile
//!
//! (one line). `type` is float32, float16 or bfloat16, `order` ascending or descending. The offsets, in
//! elements, shift the tensors from a 16-byte boundary. inputFile holds the elements; outputFile receives the
//! results. For each case a line on the standard output says how it was launched.

#include "intra_channel_lrn/dispatch.cuh"

#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>

namespace
{

using namespace normdeploy;

struct Case
{
    ElementType type{};
    TensorShape shape;
    IntraChannelLrnParams params{};
    int64_t inputOffset{0};
    int64_t outputOffset{0};
    DeviceLimits limits{};
    emulation::ThreadOrder order{};
    std::string inputFile;
    std::string outputFile;
};

ElementType parseType(std::string const& name)
{
    if (name == "float32")
    {
        return ElementType::kFloat32;
    }
    if (name == "float16")
    {
        return ElementType::kFloat16;
    }
    if (name == "bfloat16")
    {
        return ElementType::kBfloat16;
    }
    throw std::invalid_argument{"unknown type " + name};
}

Case parseCase(std::string const& line)
{
    Case result;
    std::istringstream stream{line};
    std::string type;
    std::string order;
    TensorShape& shape = result.shape;
    stream >> type >> shape.outer >> shape.depth >> shape.height >> shape.width >> shape.channels >>
        shape.channelPitch >> shape.spatialRank >> result.params.size >> result.params.alpha >>
        result.params.beta >> result.params.bias >> result.inputOffset >> result.outputOffset >>
        result.limits.sharedBytesPerBlock >> result.limits.sharedBytesPerMultiprocessor >>
        result.limits.multiprocessors >> order >> result.inputFile >> result.outputFile;
    if (!stream)
    {
        throw std::invalid_argument{"malformed case: " + line};
    }
    result.type = parseType(type);
    result.limits.sharedBytesReserved = 1024;
    result.order =
        order == "descending" ? emulation::ThreadOrder::kDescending : emulation::ThreadOrder::kAscending;
    return result;
}

//! Memory that begins at a 16-byte boundary and ends where the tensor ends, so that the sanitizer sees each
//! access beyond it. All bytes are set: as a number of any type they are NaN.
std::unique_ptr<unsigned char[]> allocate(int64_t bytes)
{
    std::unique_ptr<unsigned char[]> memory{new unsigned char[static_cast<size_t>(bytes)]};
    std::memset(memory.get(), 0xFF, static_cast<size_t>(bytes));
    return memory;
}

void run(Case const& test)
{
    int64_t const elementSize = elementBytes(test.type);
    int64_t const bytes = test.shape.volume() * elementSize;
    int64_t const inputShift = test.inputOffset * elementSize;
    int64_t const outputShift = test.outputOffset * elementSize;
    auto const input = allocate(inputShift + bytes);
    auto const output = allocate(outputShift + bytes);
    auto const workspaceSize = static_cast<int64_t>(workspaceBytes(test.params, test.shape, test.type));
    auto const workspace = allocate(workspaceSize);
    std::ifstream source{test.inputFile, std::ios::binary};
    if (!source.read(reinterpret_cast<char*>(input.get() + inputShift), bytes))
    {
        throw std::runtime_error{"cannot read " + std::to_string(bytes) + " bytes from " + test.inputFile};
    }

    LaunchPlan const plan = makeLaunchPlan(test.params, test.shape, test.type, test.limits);
    auto const launch = [&](auto kernel, int64_t blocks, uint32_t sharedBytes, auto... arguments)
    {
        auto const thread = [&]
        {
            kernel(arguments...);
        };
        return emulation::launch(thread, blocks, tuning::kThreads, sharedBytes, test.order);
    };
    cudaError_t const status = dispatch(plan, input.get() + inputShift, output.get() + outputShift,
                                        workspaceSize > 0 ? workspace.get() : nullptr, launch);
    if (status != cudaSuccess)
    {
        throw std::runtime_error{"launch failed with error " + std::to_string(status)};
    }
    for (int64_t i = 0; i < outputShift; ++i)
    {
        if (output[static_cast<size_t>(i)] != 0xFF)
        {
            throw std::runtime_error{"memory before the output was written"};
        }
    }
    std::ofstream destination{test.outputFile, std::ios::binary};
    destination.write(reinterpret_cast<char const*>(output.get() + outputShift), bytes);
    if (!destination)
    {
        throw std::runtime_error{"cannot write " + test.outputFile};
    }
    char const* const runKinds[] = {"block", "slab", "row", "pixel"};
    TilePlan const& tiles = plan.tiles;
    std::printf(
        "{\"kernel\": \"%s\", \"runs\": \"%s\", \"planes\": %d, \"tile\": [%d, %d, %d], \"channels\": %d, "
        "\"blocks\": %ld, \"shared\": %u}\n",
        plan.usesTiles ? "tile" : "axis", runKinds[static_cast<int32_t>(tiles.runKind)], tiles.planes,
        tiles.tile.depth, tiles.tile.height, tiles.tile.width, tiles.tileChannels, tiles.blocks,
        tiles.sharedBytes);
}

} // namespace

int main()
{
    std::string line;
    while (std::getline(std::cin, line))
    {
        try
        {
            run(parseCase(line));
        }
        catch (std::exception const& error)
        {
            std::fprintf(stderr, "%s\nin case: %s\n", error.what(), line.c_str());
            return 1;
        }
    }
    return 0;
}
