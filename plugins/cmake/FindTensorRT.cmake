#[=======================================================================[.rst:
FindTensorRT
------------

Finds TensorRT's C++ headers. A plugin library needs no more: TensorRT hands
over all that it calls through interfaces, so nothing of TensorRT is linked and
one library loads into every TensorRT that has those interfaces.

Imported targets
^^^^^^^^^^^^^^^^

``TensorRT::Headers``
  Include directory of ``NvInferRuntime.h``, as a system directory.

Result variables
^^^^^^^^^^^^^^^^

``TensorRT_FOUND``
``TensorRT_VERSION``
  As in ``NvInferVersion.h``, for example ``10.14.1``.
``TensorRT_INCLUDE_DIR``

Hints
^^^^^

``TensorRT_ROOT``, a CMake or an environment variable: where TensorRT's archive
was unpacked, or any folder that holds the headers itself or in ``include``.
#]=======================================================================]

find_path(
  TensorRT_INCLUDE_DIR
  NAMES NvInferRuntime.h
  PATH_SUFFIXES include
  PATHS /usr/include/x86_64-linux-gnu /usr/include/aarch64-linux-gnu /usr/local/tensorrt
        /usr/local/TensorRT /opt/tensorrt
  DOC "Folder of TensorRT's NvInferRuntime.h")
mark_as_advanced(TensorRT_INCLUDE_DIR)

if(TensorRT_INCLUDE_DIR)
  # Since 10.12 NV_TENSORRT_MAJOR is defined as TRT_MAJOR_ENTERPRISE; before it is a number.
  file(STRINGS "${TensorRT_INCLUDE_DIR}/NvInferVersion.h" _TensorRT_lines
       REGEX "^#define (NV_TENSORRT|TRT)_(MAJOR|MINOR|PATCH)(_ENTERPRISE)? [0-9]+")
  set(_TensorRT_parts)
  foreach(_TensorRT_part IN ITEMS MAJOR MINOR PATCH)
    if("${_TensorRT_lines}" MATCHES "_${_TensorRT_part}(_ENTERPRISE)? ([0-9]+)")
      list(APPEND _TensorRT_parts "${CMAKE_MATCH_2}")
    endif()
  endforeach()
  list(JOIN _TensorRT_parts "." TensorRT_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  TensorRT
  REQUIRED_VARS TensorRT_INCLUDE_DIR
  VERSION_VAR TensorRT_VERSION
  REASON_FAILURE_MESSAGE
    "NvInferRuntime.h is neither under TensorRT_ROOT nor in a system folder. Set TensorRT_ROOT, or fetch the headers: normdeploy plugin build --headers git (or wheel), in CMake NORMDEPLOY_TENSORRT_HEADERS=GIT (or WHEEL)")

if(TensorRT_FOUND AND NOT TARGET TensorRT::Headers)
  add_library(TensorRT::Headers INTERFACE IMPORTED)
  target_include_directories(TensorRT::Headers SYSTEM INTERFACE "${TensorRT_INCLUDE_DIR}")
endif()
