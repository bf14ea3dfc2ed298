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
``TensorRT_HEADERS_FROM``
  Where they were found: the name of one of the hints, ``system``, or ``pip``.

Hints
^^^^^

``TensorRT_ROOT``, ``TENSORRT_ROOT``, ``TRT_ROOT``, CMake or environment
variables, in this order: where TensorRT's archive was unpacked, or any folder
that holds the headers itself or in ``include``.

After them come the system's folders, and then the packages of the Python that
``Python3_EXECUTABLE`` names, if it is set.
#]=======================================================================]

set(_TensorRT_hints TensorRT_ROOT TENSORRT_ROOT TRT_ROOT)
if(TensorRT_INCLUDE_DIR)
  set(TensorRT_HEADERS_FROM TensorRT_INCLUDE_DIR)
endif()
foreach(_TensorRT_hint IN LISTS _TensorRT_hints)
  foreach(_TensorRT_folder IN ITEMS "${${_TensorRT_hint}}" "$ENV{${_TensorRT_hint}}")
    if(_TensorRT_folder AND NOT TensorRT_INCLUDE_DIR)
      find_path(
        TensorRT_INCLUDE_DIR
        NAMES NvInferRuntime.h
        HINTS "${_TensorRT_folder}"
        PATH_SUFFIXES include
        NO_DEFAULT_PATH
        DOC "Folder of TensorRT's NvInferRuntime.h")
      set(TensorRT_HEADERS_FROM ${_TensorRT_hint})
    endif()
  endforeach()
endforeach()
if(NOT TensorRT_INCLUDE_DIR)
  find_path(
    TensorRT_INCLUDE_DIR
    NAMES NvInferRuntime.h
    PATH_SUFFIXES include
    PATHS /usr/include/x86_64-linux-gnu /usr/include/aarch64-linux-gnu /usr/local/tensorrt
          /usr/local/TensorRT /opt/tensorrt)
  set(TensorRT_HEADERS_FROM system)
endif()
if(NOT TensorRT_INCLUDE_DIR AND Python3_EXECUTABLE)
  execute_process(
    COMMAND "${Python3_EXECUTABLE}" -c "import sysconfig; print(sysconfig.get_path('purelib'))"
    OUTPUT_VARIABLE _TensorRT_packages
    OUTPUT_STRIP_TRAILING_WHITESPACE
    ERROR_QUIET)
  file(GLOB _TensorRT_folders "${_TensorRT_packages}/tensorrt*" "${_TensorRT_packages}/nvidia/tensorrt*")
  find_path(
    TensorRT_INCLUDE_DIR
    NAMES NvInferRuntime.h
    HINTS ${_TensorRT_folders}
    PATH_SUFFIXES include
    NO_DEFAULT_PATH)
  set(TensorRT_HEADERS_FROM pip)
endif()
mark_as_advanced(TensorRT_INCLUDE_DIR)

if(EXISTS "${TensorRT_INCLUDE_DIR}/NvInferVersion.h")
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
    "NvInferRuntime.h is neither under TensorRT_ROOT, TENSORRT_ROOT or TRT_ROOT nor in a system folder: set TensorRT_ROOT")

if(TensorRT_FOUND AND NOT TARGET TensorRT::Headers)
  add_library(TensorRT::Headers INTERFACE IMPORTED)
  target_include_directories(TensorRT::Headers SYSTEM INTERFACE "${TensorRT_INCLUDE_DIR}")
endif()
