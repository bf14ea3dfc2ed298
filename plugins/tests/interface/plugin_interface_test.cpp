//! Loads the library as TensorRT does and drives its objects through TensorRT's own interfaces, as TensorRT
//! calls them when it builds, serializes and runs an engine. Needs no GPU; without one, what runs on a device
//! must fail with a message.
//!
//!     plugin_interface_test libnormdeploy_plugins.so

#include "tests/interface/test_support.h"

#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace
{

using namespace nvinfer1;
using namespace normdeploy_test;

DynamicPluginTensorDesc tensor(std::vector<int64_t> const& extents, DataType type, TensorFormat format)
{
    DynamicPluginTensorDesc result{};
    result.desc.type = type;
    result.desc.format = format;
    result.desc.scale = 1.0F;
    result.desc.dims.nbDims = static_cast<int32_t>(extents.size());
    std::copy(extents.begin(), extents.end(), result.desc.dims.d);
    result.min = result.max = result.opt = result.desc.dims;
    return result;
}

struct Fields
{
    int32_t size{5};
    float alpha{2e-4F};
    float beta{0.5F};
    float bias{2.0F};
    std::vector<PluginField> list{{"size", &size, PluginFieldType::kINT32, 1},
                                  {"alpha", &alpha, PluginFieldType::kFLOAT32, 1},
                                  {"beta", &beta, PluginFieldType::kFLOAT32, 1},
                                  {"bias", &bias, PluginFieldType::kFLOAT32, 1}};
};

std::unique_ptr<IPluginV3> create(IPluginCreatorV3One& creator, std::vector<PluginField> const& fields,
                                  TensorRTPhase phase = TensorRTPhase::kBUILD)
{
    PluginFieldCollection const collection{static_cast<int32_t>(fields.size()), fields.data()};
    return std::unique_ptr<IPluginV3>{creator.createPlugin("layer", &collection, phase)};
}

void testIdentity(IPluginCreatorV3One& creator)
{
    expectEqual(std::string{"IntraChannelLRN"}, creator.getPluginName(), "the creator's name");
    expectEqual(std::string{"1"}, creator.getPluginVersion(), "the creator's version");
    expectEqual(std::string{"normdeploy"}, creator.getPluginNamespace(), "the creator's namespace");
    PluginFieldCollection const* const fields = creator.getFieldNames();
    std::vector<std::string> names;
    for (int32_t i = 0; i < fields->nbFields; ++i)
    {
        names.emplace_back(fields->fields[i].name);
    }
    expect(names == std::vector<std::string>{"size", "alpha", "beta", "bias"},
           "the creator lists its fields");

    auto const plugin = create(creator, Fields{}.list);
    auto& core = capability<IPluginV3OneCore>(*plugin, PluginCapabilityType::kCORE);
    expectEqual(std::string{creator.getPluginName()}, core.getPluginName(), "the plugin's name");
    expectEqual(std::string{creator.getPluginVersion()}, core.getPluginVersion(), "the plugin's version");
    expectEqual(std::string{creator.getPluginNamespace()}, core.getPluginNamespace(),
                "the plugin's namespace");
    auto& build = capability<IPluginV3OneBuild>(*plugin, PluginCapabilityType::kBUILD);
    auto& runtime = capability<IPluginV3OneRuntime>(*plugin, PluginCapabilityType::kRUNTIME);
    expectEqual(std::string{"PLUGIN_V3ONE_CORE"}, core.getInterfaceInfo().kind, "the core's interface");
    expectEqual(std::string{"PLUGIN_V3ONE_BUILD"}, build.getInterfaceInfo().kind, "the build interface");
    expectEqual(std::string{"PLUGIN_V3ONE_RUNTIME"}, runtime.getInterfaceInfo().kind,
                "the runtime interface");
    expectEqual(1, build.getNbOutputs(), "one output");
    expectEqual(std::string{"size=5 alpha=0.000199999995 beta=0.5 bias=2"}, build.getTimingCacheID(),
                "the timing cache tells parameters apart");
}

void testShapesAndTypes(IPluginCreatorV3One& creator)
{
    auto const plugin = create(creator, Fields{}.list);
    auto& build = capability<IPluginV3OneBuild>(*plugin, PluginCapabilityType::kBUILD);
    for (DataType const type : {DataType::kFLOAT, DataType::kHALF, DataType::kBF16})
    {
        DataType output{};
        expectEqual(0, build.getOutputDataTypes(&output, 1, &type, 1), "output types succeed");
        expect(output == type, "the output has the input's type");
    }
    std::array<StubDimension, 4> dimensions;
    DimsExprs input{};
    input.nbDims = 4;
    for (size_t i = 0; i < dimensions.size(); ++i)
    {
        input.d[i] = &dimensions[i];
    }
    DimsExprs output{};
    StubExprBuilder builder;
    expectEqual(0, build.getOutputShapes(&input, 1, nullptr, 0, &output, 1, builder),
                "output shapes succeed");
    expect(output.nbDims == 4 && std::equal(output.d, output.d + 4, input.d),
           "the output has the input's shape");
    expect(build.getOutputShapes(&input, 2, nullptr, 0, &output, 1, builder) != 0, "two inputs are refused");
    DataType const types[2]{};
    DataType outputType{};
    expect(build.getOutputDataTypes(&outputType, 1, types, 2) != 0, "types of two inputs are refused");
}

//! What the documentation promises, written down a second time.
bool shouldSupport(int32_t rank, DataType type, TensorFormat format)
{
    bool const isFloat = type == DataType::kFLOAT;
    bool const isHalf = type == DataType::kHALF;
    bool const isBfloat = type == DataType::kBF16;
    if (!isFloat && !isHalf && !isBfloat)
    {
        return false;
    }
    switch (rank)
    {
    case 3:
        return format == TensorFormat::kLINEAR;
    case 4:
        return format == TensorFormat::kLINEAR || (format == TensorFormat::kHWC && isFloat) ||
               (format == TensorFormat::kHWC8 && !isFloat) || (format == TensorFormat::kHWC16 && isHalf);
    case 5:
        return format == TensorFormat::kLINEAR || (format == TensorFormat::kDHWC && isFloat) ||
               (format == TensorFormat::kDHWC8 && !isFloat);
    default:
        return false;
    }
}

void testFormats(IPluginCreatorV3One& creator)
{
    auto const plugin = create(creator, Fields{}.list);
    auto& build = capability<IPluginV3OneBuild>(*plugin, PluginCapabilityType::kBUILD);
    constexpr int32_t kTypes = 11;
    constexpr int32_t kFormats = 13;
    for (int32_t rank = 1; rank <= 6; ++rank)
    {
        std::vector<int64_t> const extents(static_cast<size_t>(rank), -1);
        for (int32_t t = 0; t < kTypes; ++t)
        {
            for (int32_t f = 0; f < kFormats; ++f)
            {
                auto const type = static_cast<DataType>(t);
                auto const format = static_cast<TensorFormat>(f);
                std::string const what = "rank " + std::to_string(rank) + " type " + std::to_string(t) +
                                         " format " + std::to_string(f);
                bool const supported = shouldSupport(rank, type, format);
                std::array<DynamicPluginTensorDesc, 2> inOut{tensor(extents, type, format),
                                                             tensor(extents, type, format)};
                expectEqual(supported, build.supportsFormatCombination(0, inOut.data(), 1, 1),
                            "input: " + what);
                expectEqual(supported, build.supportsFormatCombination(1, inOut.data(), 1, 1),
                            "output: " + what);
                inOut[1].desc.type = type == DataType::kFLOAT ? DataType::kHALF : DataType::kFLOAT;
                expect(!build.supportsFormatCombination(1, inOut.data(), 1, 1), "other output type: " + what);
                inOut[1] = inOut[0];
                inOut[1].desc.format =
                    format == TensorFormat::kLINEAR ? TensorFormat::kHWC8 : TensorFormat::kLINEAR;
                expect(!build.supportsFormatCombination(1, inOut.data(), 1, 1),
                       "other output format: " + what);
            }
        }
    }
}

void testConfigurationAndWorkspace(IPluginCreatorV3One& creator)
{
    Fields fields;
    auto const small = create(creator, fields.list);
    auto& build = capability<IPluginV3OneBuild>(*small, PluginCapabilityType::kBUILD);
    auto const input = tensor({8, 96, 55, 55}, DataType::kHALF, TensorFormat::kLINEAR);
    expectEqual(0, build.configurePlugin(&input, 1, &input, 1), "a shape is accepted");
    expectEqual(size_t{0}, build.getWorkspaceSize(&input, 1, &input, 1), "small windows need no workspace");
    auto const flat = tensor({8, 96}, DataType::kHALF, TensorFormat::kLINEAR);
    clearLog();
    expect(build.configurePlugin(&flat, 1, &flat, 1) != 0, "rank 2 is refused");
    expectLogged("rank 2");

    fields.size = 401;
    auto const large = create(creator, fields.list);
    auto& largeBuild = capability<IPluginV3OneBuild>(*large, PluginCapabilityType::kBUILD);
    auto const map = tensor({1, 2, 500, 600}, DataType::kHALF, TensorFormat::kLINEAR);
    expectEqual(size_t{2 * 500 * 600 * 4}, largeBuild.getWorkspaceSize(&map, 1, &map, 1),
                "a window beyond shared memory needs one float per element");
    auto const volume = tensor({1, 3, 100, 100, 100}, DataType::kHALF, TensorFormat::kDHWC8);
    expectEqual(size_t{2 * 8 * 1000000 * 4}, largeBuild.getWorkspaceSize(&volume, 1, &volume, 1),
                "two floats per element, padding included, for three axes");
}

//! Copies the serialized fields into memory of their own, as an engine does.
class SerializedFields
{
public:
    explicit SerializedFields(IPluginV3& plugin)
    {
        auto& runtime = capability<IPluginV3OneRuntime>(plugin, PluginCapabilityType::kRUNTIME);
        PluginFieldCollection const& collection = *runtime.getFieldsToSerialize();
        for (int32_t i = 0; i < collection.nbFields; ++i)
        {
            PluginField const& field = collection.fields[i];
            expect(field.length == 1, "a serialized field has one value");
            mNames.push_back(std::make_unique<std::string>(field.name));
            auto const* const bytes = static_cast<unsigned char const*>(field.data);
            mValues.push_back(std::make_unique<std::vector<unsigned char>>(bytes, bytes + 4));
            list.emplace_back(mNames.back()->c_str(), mValues.back()->data(), field.type, field.length);
        }
    }

    bool operator==(SerializedFields const& other) const
    {
        bool equal = list.size() == other.list.size();
        for (size_t i = 0; equal && i < list.size(); ++i)
        {
            equal = *mNames[i] == *other.mNames[i] && *mValues[i] == *other.mValues[i] &&
                    list[i].type == other.list[i].type;
        }
        return equal;
    }

    std::vector<PluginField> list;

private:
    std::vector<std::unique_ptr<std::string>> mNames;
    std::vector<std::unique_ptr<std::vector<unsigned char>>> mValues;
};

void testCloneAndSerialize(IPluginCreatorV3One& creator)
{
    auto original = create(creator, Fields{}.list);
    SerializedFields const expected{*original};
    expectEqual(size_t{4}, expected.list.size(), "all fields are serialized");
    std::unique_ptr<IPluginV3> const copy{original->clone()};
    std::unique_ptr<IPluginV3> const attached{
        capability<IPluginV3OneRuntime>(*original, PluginCapabilityType::kRUNTIME).attachToContext(nullptr)};
    original.reset();
    expect(SerializedFields{*copy} == expected, "a clone outlives the original with the same fields");
    expect(SerializedFields{*attached} == expected, "so does a plugin attached to a context");
    auto const recreated = create(creator, expected.list, TensorRTPhase::kRUNTIME);
    expect(recreated != nullptr && SerializedFields{*recreated} == expected,
           "the fields re-create the plugin");
}

void testFieldTypes(IPluginCreatorV3One& creator)
{
    int64_t const size = 5;
    double const alpha = 2e-4;
    double const beta = 0.5;
    double const bias = 2.0;
    auto const wide = create(creator, {{"bias", &bias, PluginFieldType::kFLOAT64, 1},
                                       {"size", &size, PluginFieldType::kINT64, 1},
                                       {"beta", &beta, PluginFieldType::kFLOAT64, 1},
                                       {"alpha", &alpha, PluginFieldType::kFLOAT64, 1}});
    auto const narrow = create(creator, Fields{}.list);
    expect(wide != nullptr && SerializedFields{*wide} == SerializedFields{*narrow},
           "wide numbers, in any order, give the same plugin");

    auto const defaults = create(creator, {{"size", &size, PluginFieldType::kINT64, 1}});
    auto& build = capability<IPluginV3OneBuild>(*defaults, PluginCapabilityType::kBUILD);
    expectEqual(std::string{"size=5 alpha=9.99999975e-05 beta=0.75 bias=1"}, build.getMetadataString(),
                "alpha, beta and bias have defaults");
}

void testBadFields(IPluginCreatorV3One& creator)
{
    struct Bad
    {
        std::vector<PluginField> fields;
        std::string message;
    };
    int32_t const five = 5;
    int32_t const zero = 0;
    int64_t const huge = int64_t{1} << 40;
    float const number = 5.0F;
    float const infinite = std::numeric_limits<float>::infinity();
    double const beyond = 1e300;
    PluginField const size{"size", &five, PluginFieldType::kINT32, 1};
    std::vector<Bad> const cases{
        {{}, "size is missing"},
        {{{"size", &zero, PluginFieldType::kINT32, 1}}, "from 1 to 2^31 - 1; it is 0"},
        {{{"size", &huge, PluginFieldType::kINT64, 1}}, "it is 1099511627776"},
        {{{"size", &number, PluginFieldType::kFLOAT32, 1}}, "size must be an INT32 or INT64"},
        {{{"size", nullptr, PluginFieldType::kINT32, 1}}, "size must hold one value"},
        {{{"size", &five, PluginFieldType::kINT32, 2}}, "size must hold one value; it holds 2"},
        {{size, size}, "size is there twice"},
        {{size, {"sise", &five, PluginFieldType::kINT32, 1}}, "sise is unknown; the fields are: size"},
        {{size, {"alpha", &five, PluginFieldType::kINT32, 1}}, "alpha must be a FLOAT32 or FLOAT64"},
        {{size, {"beta", &infinite, PluginFieldType::kFLOAT32, 1}}, "beta must be finite"},
        {{size, {"bias", &beyond, PluginFieldType::kFLOAT64, 1}}, "bias must be finite in float32"},
        {{size, {nullptr, &five, PluginFieldType::kINT32, 1}}, "a field has no name"},
    };
    for (Bad const& bad : cases)
    {
        clearLog();
        expect(create(creator, bad.fields) == nullptr, "refused: " + bad.message);
        expectLogged(bad.message);
        expectLogged("IntraChannelLRN 'layer'");
    }
    clearLog();
    expect(creator.createPlugin(nullptr, nullptr, TensorRTPhase::kBUILD) == nullptr, "no fields at all");
    expectLogged("size is missing");
    PluginFieldCollection const empty{3, nullptr};
    expect(creator.createPlugin("layer", &empty, TensorRTPhase::kBUILD) == nullptr, "a count without fields");
}

void testRuntime(IPluginCreatorV3One& creator)
{
    auto const plugin = create(creator, Fields{}.list);
    auto& runtime = capability<IPluginV3OneRuntime>(*plugin, PluginCapabilityType::kRUNTIME);
    auto const empty = tensor({0, 96, 55, 55}, DataType::kFLOAT, TensorFormat::kLINEAR).desc;
    expectEqual(0, runtime.onShapeChange(&empty, 1, &empty, 1), "a tensor without elements is no error");
    void const* const noInput = nullptr;
    void* const noOutput = nullptr;
    expectEqual(0, runtime.enqueue(&empty, &empty, &noInput, &noOutput, nullptr, nullptr),
                "nor is its enqueue");

    auto const flat = tensor({2, 3}, DataType::kFLOAT, TensorFormat::kLINEAR).desc;
    clearLog();
    expect(runtime.onShapeChange(&flat, 1, &flat, 1) != 0, "rank 2 is refused at run time");
    expectLogged("rank 2");

    auto const input = tensor({8, 96, 55, 55}, DataType::kFLOAT, TensorFormat::kLINEAR).desc;
    clearLog();
    if (hasDevice())
    {
        expectEqual(0, runtime.onShapeChange(&input, 1, &input, 1), "a shape is accepted");
        return;
    }
    expect(runtime.onShapeChange(&input, 1, &input, 1) != 0, "without a device the shape change fails");
    expectLogged("CUDA error");
    expectLogged("while reading the device's limits");
    clearLog();
    expect(runtime.enqueue(&input, &input, &noInput, &noOutput, nullptr, nullptr) != 0,
           "and so does enqueue");
    expectLogged("CUDA error");
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 2)
    {
        std::fprintf(stderr, "usage: plugin_interface_test LIBRARY\n");
        return 2;
    }
    Library const library{argv[1]};
    library.setLoggerFinder(&loggerFinder());
    std::vector<IPluginCreatorInterface*> const creators = library.creators();
    expectEqual(size_t{1}, creators.size(), "the library has one creator");
    expectEqual(std::string{"PLUGIN CREATOR_V3ONE"}, creators.at(0)->getInterfaceInfo().kind,
                "of the V3 kind");
    auto& creator = static_cast<IPluginCreatorV3One&>(*creators.at(0));

    testIdentity(creator);
    testShapesAndTypes(creator);
    testFormats(creator);
    testConfigurationAndWorkspace(creator);
    testCloneAndSerialize(creator);
    testFieldTypes(creator);
    testBadFields(creator);
    testRuntime(creator);
    loggerFinder().failNext();
    expect(create(creator, {}) == nullptr, "a logger finder that throws ends nothing");
    library.setLoggerFinder(nullptr);
    expect(create(creator, {}) == nullptr, "without a finder, messages go to standard error");
    return summarize();
}
