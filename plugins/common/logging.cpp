#include "common/logging.h"

#include <atomic>
#include <cstdio>

namespace normdeploy
{
namespace
{

constexpr char const* kPrefix = "normdeploy: ";
std::atomic<nvinfer1::ILoggerFinder*> loggerFinder{nullptr};

nvinfer1::ILogger* findLogger()
{
    nvinfer1::ILoggerFinder* const finder = loggerFinder.load();
    return finder == nullptr ? nullptr : finder->findLogger();
}

} // namespace

void setLoggerFinder(nvinfer1::ILoggerFinder* finder) noexcept
{
    loggerFinder.store(finder);
}

void logError(char const* message) noexcept
{
    try
    {
        if (nvinfer1::ILogger* const logger = findLogger())
        {
            logger->log(nvinfer1::ILogger::Severity::kERROR, (std::string{kPrefix} + message).c_str());
            return;
        }
    }
    catch (...)
    {
        // The logger cannot be had; standard error still can.
    }
    std::fprintf(stderr, "%s%s\n", kPrefix, message);
}

int32_t reportCuda(cudaError_t status, char const* doing) noexcept
{
    if (status == cudaSuccess)
    {
        return 0;
    }
    return guard(static_cast<int32_t>(status),
                 [&]
                 {
                     std::string const message = std::string{"CUDA error "} + cudaGetErrorName(status) +
                                                 " while " + doing + ": " + cudaGetErrorString(status);
                     logError(message.c_str());
                     return static_cast<int32_t>(status);
                 });
}

} // namespace normdeploy
