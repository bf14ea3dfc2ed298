#pragma once

#include <NvInferRuntime.h>
#include <cuda_runtime_api.h>

#include <exception>
#include <string>

//! Messages go to the logger of the engine that runs the plugin. TensorRT hands it over through
//! setLoggerFinder, but only to libraries that came with a version-compatible engine; without it they go to
//! standard error.
namespace normdeploy
{

void setLoggerFinder(nvinfer1::ILoggerFinder* finder) noexcept;

void logError(char const* message) noexcept;

//! Reports an error of CUDA.
//! \param doing what failed, as in "launching the kernel".
//! \return 0 for success; else not 0, as TensorRT expects of a plugin.
int32_t reportCuda(cudaError_t status, char const* doing) noexcept;

//! Calls function() where TensorRT forbids exceptions: one that it throws is logged, and `otherwise`
//! returned.
template <typename Result, typename Function>
Result guard(Result otherwise, Function const& function) noexcept
{
    try
    {
        return function();
    }
    catch (std::exception const& error)
    {
        logError(error.what());
    }
    catch (...)
    {
        logError("unknown exception");
    }
    return otherwise;
}

} // namespace normdeploy
