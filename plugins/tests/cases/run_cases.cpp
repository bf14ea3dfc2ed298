//! Executes the kernels, on the host or on a device. Each line of the standard input is a case, in one line:
//!
//!     type outer depth height width channels channelPitch spatialRank size alpha beta bias
//!     inputOffset outputOffset sharedPerBlock sharedPerMultiprocessor multiprocessors order inputFile
//!     outputFile
//!
//! `type` is float32, float16 or bfloat16, `order` ascending or descending. The offsets, in elements, shift
//! the tensors from a 16-byte boundary. inputFile holds the elements; outputFile receives the results. For
//! each case a line of JSON on the standard output says how it was launched.

#include "intra_channel_lrn/plan.h"
#include "tests/cases/execute.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>

namespace
{

using namespace normdeploy;
using normdeploy_test::Buffer;

//! As a number of any of the types this is NaN.
constexpr unsigned char kPoison = 0xFF;

struct Case
{
    ElementType type{};
    TensorShape shape;
    IntraChannelLrnParams params{};
    int64_t inputOffset{0};
    int64_t outputOffset{0};
    DeviceLimits limits{};
    std::string order;
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
    TensorShape& shape = result.shape;
    stream >> type >> shape.outer >> shape.depth >> shape.height >> shape.width >> shape.channels >>
        shape.channelPitch >> shape.spatialRank >> result.params.size >> result.params.alpha >>
        result.params.beta >> result.params.bias >> result.inputOffset >> result.outputOffset >>
        result.limits.sharedBytesPerBlock >> result.limits.sharedBytesPerMultiprocessor >>
        result.limits.multiprocessors >> result.order >> result.inputFile >> result.outputFile;
    if (!stream)
    {
        throw std::invalid_argument{"malformed case"};
    }
    result.type = parseType(type);
    result.limits.sharedBytesReserved = 1024;
    return result;
}

Buffer poisonedBuffer(int64_t shift, int64_t bytes)
{
    return {std::vector<unsigned char>(static_cast<size_t>(shift + bytes), kPoison), shift};
}

void printPlan(LaunchPlan const& plan)
{
    if (!plan.usesTiles)
    {
        std::puts("{\"kernel\": \"axis\"}");
        return;
    }
    char const* const runKinds[] = {"block", "slab", "row", "pixel"};
    TilePlan const& tiles = plan.tiles;
    std::ostringstream text;
    text << R"({"kernel": "tile", "runs": ")" << runKinds[static_cast<int32_t>(tiles.runKind)]
         << R"(", "planes": )" << tiles.planes << R"(, "tile": [)" << tiles.tile.depth << ", "
         << tiles.tile.height << ", " << tiles.tile.width << R"(], "channels": )" << tiles.tileChannels
         << R"(, "blocks": )" << tiles.blocks << R"(, "shared": )" << tiles.sharedBytes << "}";
    std::puts(text.str().c_str());
}

void run(Case const& test)
{
    int64_t const elementSize = elementBytes(test.type);
    int64_t const bytes = test.shape.volume() * elementSize;
    Buffer input = poisonedBuffer(test.inputOffset * elementSize, bytes);
    Buffer output = poisonedBuffer(test.outputOffset * elementSize, bytes);
    std::ifstream source{test.inputFile, std::ios::binary};
    if (!source.read(reinterpret_cast<char*>(input.bytes.data() + input.shift), bytes))
    {
        throw std::runtime_error{"cannot read " + std::to_string(bytes) + " bytes from " + test.inputFile};
    }

    LaunchPlan const plan = makeLaunchPlan(test.params, test.shape, test.type, test.limits);
    cudaError_t const status = normdeploy_test::execute(
        plan, input, output, workspaceBytes(test.params, test.shape, test.type), test.order == "descending");
    if (status != cudaSuccess)
    {
        throw std::runtime_error{"CUDA error " + std::to_string(status)};
    }
    auto const begin = output.bytes.begin() + output.shift;
    if (std::any_of(output.bytes.begin(), begin,
                    [](unsigned char byte)
                    {
                        return byte != kPoison;
                    }))
    {
        throw std::runtime_error{"memory before the output was written"};
    }
    std::ofstream destination{test.outputFile, std::ios::binary};
    destination.write(reinterpret_cast<char const*>(output.bytes.data() + output.shift), bytes);
    if (!destination)
    {
        throw std::runtime_error{"cannot write " + test.outputFile};
    }
    printPlan(plan);
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
