#pragma once

#include <NvInferRuntime.h>
#include <cuda_runtime_api.h>

#include <cstdio>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <dlfcn.h>

//! Expectations that count what fails, and the callers' side of TensorRT that the plugin asks for.
namespace normdeploy_test
{

struct Counts
{
    int passed{0};
    int failed{0};
};

inline Counts& counts()
{
    static Counts instance;
    return instance;
}

inline void expect(bool condition, std::string const& what)
{
    ++(condition ? counts().passed : counts().failed);
    if (!condition)
    {
        std::printf("FAILED: %s\n", what.c_str());
    }
}

template <typename T, typename U>
void expectEqual(T const& expected, U const& actual, std::string const& what)
{
    std::ostringstream text;
    text << what << ": expected " << expected << ", got " << actual;
    expect(expected == actual, text.str());
}

inline int summarize()
{
    std::printf("%d passed, %d failed\n", counts().passed, counts().failed);
    return counts().failed == 0 ? 0 : 1;
}

class RecordingLogger : public nvinfer1::ILogger
{
public:
    void log(Severity severity, char const* message) noexcept override
    {
        expect(severity == Severity::kERROR, "messages are errors");
        text += std::string{message} + "\n";
    }

    std::string text;
};

class RecordingLoggerFinder : public nvinfer1::ILoggerFinder
{
public:
    nvinfer1::ILogger* findLogger() override
    {
        if (mFailNext)
        {
            mFailNext = false;
            throw std::runtime_error{"no logger"};
        }
        return &logger;
    }

    void failNext()
    {
        mFailNext = true;
    }

    RecordingLogger logger;

private:
    bool mFailNext{false};
};

inline RecordingLoggerFinder& loggerFinder()
{
    static RecordingLoggerFinder instance;
    return instance;
}

inline void clearLog()
{
    loggerFinder().logger.text.clear();
}

inline void expectLogged(std::string const& part)
{
    std::string const& text = loggerFinder().logger.text;
    expect(text.find(part) != std::string::npos, "logged '" + part + "'; the log is: " + text);
}

class StubDimension : public nvinfer1::IDimensionExpr
{
};

class StubExprBuilder : public nvinfer1::IExprBuilder
{
};

template <typename Capability>
Capability& capability(nvinfer1::IPluginV3& plugin, nvinfer1::PluginCapabilityType type)
{
    auto* const found = static_cast<Capability*>(plugin.getCapabilityInterface(type));
    if (found == nullptr)
    {
        throw std::runtime_error{"the plugin lacks a capability"};
    }
    return *found;
}

inline bool hasDevice()
{
    int count = 0;
    return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

//! The shared object, opened the way TensorRT opens it.
class Library
{
public:
    explicit Library(char const* path)
        : mHandle{dlopen(path, RTLD_NOW | RTLD_LOCAL)}
    {
        if (mHandle == nullptr)
        {
            throw std::runtime_error{dlerror()};
        }
    }

    std::vector<nvinfer1::IPluginCreatorInterface*> creators() const
    {
        using Function = nvinfer1::IPluginCreatorInterface* const*(int32_t&);
        int32_t count = 0;
        auto const* const first = symbol<Function>("getCreators")(count);
        return {first, first + count};
    }

    void setLoggerFinder(nvinfer1::ILoggerFinder* finder) const
    {
        symbol<void(nvinfer1::ILoggerFinder*)>("setLoggerFinder")(finder);
    }

private:
    template <typename Function> Function* symbol(char const* name) const
    {
        auto* const address = reinterpret_cast<Function*>(dlsym(mHandle, name));
        if (address == nullptr)
        {
            throw std::runtime_error{dlerror()};
        }
        return address;
    }

    void* mHandle;
};

} // namespace normdeploy_test
