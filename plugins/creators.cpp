//! What the library exports: TensorRT looks these two functions up by name when it loads the library, whether
//! from IPluginRegistry::loadLibrary or out of a version-compatible engine.

#include "common/logging.h"
#include "intra_channel_lrn/plugin.h"

extern "C" __attribute__((visibility("default"))) void setLoggerFinder(nvinfer1::ILoggerFinder* finder)
{
    normdeploy::setLoggerFinder(finder);
}

extern "C" __attribute__((visibility("default"))) nvinfer1::IPluginCreatorInterface* const*
getCreators(int32_t& nbCreators)
{
    static normdeploy::IntraChannelLrnCreator intraChannelLrn;
    static nvinfer1::IPluginCreatorInterface* const creators[] = {&intraChannelLrn};
    nbCreators = 1;
    return creators;
}
