# Gives the target TensorRT::Headers, from where NORMDEPLOY_TENSORRT_HEADERS says:
#
#   AUTO   FIND, then WHEEL, then GIT: what is there, else the smaller download (the default)
#   FIND   TensorRT_ROOT, TENSORRT_ROOT, TRT_ROOT, the system's folders, Python's packages; see FindTensorRT.cmake
#   WHEEL  a package on PyPI that carries the headers, pinned by its SHA-256, for machines that reach no other
#          place. It is unpacked, never installed or imported.
#   GIT    the release tag of NVIDIA's open-source repository, pinned by its commit
#
# TensorRT_HEADERS_FROM tells afterwards where they came from: as FindTensorRT.cmake says, wheel, or git.

set(NORMDEPLOY_TENSORRT_HEADERS "AUTO" CACHE STRING "Where TensorRT's headers come from: AUTO, FIND, WHEEL or GIT")
set_property(CACHE NORMDEPLOY_TENSORRT_HEADERS PROPERTY STRINGS AUTO FIND WHEEL GIT)
set(NORMDEPLOY_TENSORRT_GIT "https://github.com/NVIDIA/TensorRT.git" CACHE STRING "The repository, or a mirror of it")
set(NORMDEPLOY_TENSORRT_COMMIT "3b4ddc1d45f11167f2ea53dc6046bba8df800e2d" CACHE STRING "v10.14")
mark_as_advanced(NORMDEPLOY_TENSORRT_GIT NORMDEPLOY_TENSORRT_COMMIT)
if(POLICY CMP0144)
  cmake_policy(SET CMP0144 NEW) # or a newer CMake warns where TENSORRT_ROOT is set; older ones know TensorRT_ROOT only
endif()

# IPluginV3 came with TensorRT 10.
set(_least_version 10.0)

# What an earlier run has found is looked for again, since the variables may have changed; what the user sets stays.
if(TensorRT_INCLUDE_DIR AND TensorRT_INCLUDE_DIR STREQUAL "${_normdeploy_headers_found}")
  unset(TensorRT_INCLUDE_DIR CACHE)
endif()
set(_tried "")

# The first line of a program's output that tells an error, or its last line; without what would break a list.
function(_reason output variable)
  string(REPLACE ";" "," output "${output}")
  string(STRIP "${output}" output)
  if(output MATCHES "(ERROR|fatal|error): [^\n]*")
    set(output "${CMAKE_MATCH_0}")
  else()
    string(REGEX REPLACE ".*\n" "" output "${output}")
  endif()
  set(${variable} "${output}" PARENT_SCOPE)
endfunction()

macro(_find_tensorrt_headers)
  find_package(TensorRT ${_least_version} QUIET)
  if(NOT TensorRT_FOUND)
    set(_where "NvInferRuntime.h is neither under TensorRT_ROOT, TENSORRT_ROOT or TRT_ROOT nor in a system folder")
    set(_named "")
    foreach(_variable IN ITEMS TensorRT_ROOT TENSORRT_ROOT TRT_ROOT)
      foreach(_value IN ITEMS "${${_variable}}" "$ENV{${_variable}}")
        if(_value)
          list(APPEND _named "${_variable} is ${_value}")
        endif()
      endforeach()
    endforeach()
    if(_named)
      list(JOIN _named ", " _named)
      string(APPEND _where " (${_named})")
    endif()
    if(TensorRT_INCLUDE_DIR)
      set(_where "the headers in ${TensorRT_INCLUDE_DIR} are of TensorRT ${TensorRT_VERSION}, and ${_least_version} is needed")
    endif()
    list(APPEND _tried "${_where}")
    unset(TensorRT_INCLUDE_DIR CACHE)
  endif()
endmacro()

# Takes the headers from a folder that they were fetched into.
macro(_fetched_tensorrt_headers folder from)
  set(TensorRT_ROOT "${folder}")
  find_package(TensorRT ${_least_version} QUIET)
  set(TensorRT_HEADERS_FROM ${from})
endmacro()

macro(_tensorrt_headers_from_wheel)
  set(_folder "${CMAKE_BINARY_DIR}/tensorrt-headers")
  find_package(Python3 QUIET COMPONENTS Interpreter)
  file(GLOB _wheel "${_folder}/*.whl")
  if(NOT _wheel AND Python3_Interpreter_FOUND)
    message(STATUS "Downloading TensorRT's headers from PyPI")
    execute_process(
      COMMAND "${Python3_EXECUTABLE}" -m pip --disable-pip-version-check download --quiet --no-deps --retries 1
              --require-hashes --only-binary ":all:" --dest "${_folder}" --requirement
              "${CMAKE_CURRENT_LIST_DIR}/tensorrt-headers.txt"
      OUTPUT_VARIABLE _said
      ERROR_VARIABLE _said)
    file(GLOB _wheel "${_folder}/*.whl")
  endif()
  if(_wheel)
    file(ARCHIVE_EXTRACT INPUT "${_wheel}" DESTINATION "${_folder}" PATTERNS "*/include/tensorrt/*")
    _fetched_tensorrt_headers("${_folder}/kernel_lens/include/tensorrt" wheel)
  elseif(Python3_Interpreter_FOUND)
    _reason("${_said}" _why)
    list(APPEND _tried "pip could not download the wheel (${_why})")
  else()
    list(APPEND _tried "without Python no wheel can be downloaded")
  endif()
endmacro()

macro(_tensorrt_headers_from_git)
  set(_folder "${CMAKE_BINARY_DIR}/tensorrt-git")
  find_package(Git QUIET)
  set(_result "there is no git")
  if(EXISTS "${_folder}/${NORMDEPLOY_TENSORRT_COMMIT}")
    set(_result 0)
  elseif(Git_FOUND)
    message(STATUS "Fetching TensorRT's headers from ${NORMDEPLOY_TENSORRT_GIT}")
    set(_said "")
    file(REMOVE_RECURSE "${_folder}")
    foreach(_command IN ITEMS
            "init;--quiet;${_folder}"
            "-C;${_folder};fetch;--quiet;--depth=1;${NORMDEPLOY_TENSORRT_GIT};${NORMDEPLOY_TENSORRT_COMMIT}"
            "-C;${_folder};checkout;--quiet;${NORMDEPLOY_TENSORRT_COMMIT};--;include")
      execute_process(
        COMMAND "${CMAKE_COMMAND}" -E env GIT_TERMINAL_PROMPT=0 "${GIT_EXECUTABLE}" ${_command}
        RESULT_VARIABLE _result
        OUTPUT_VARIABLE _said
        ERROR_VARIABLE _said)
      if(NOT _result EQUAL 0)
        break()
      endif()
    endforeach()
    if(_result EQUAL 0)
      file(TOUCH "${_folder}/${NORMDEPLOY_TENSORRT_COMMIT}") # it is all there
    endif()
    _reason("${_said}" _why)
  else()
    set(_why "git is not installed")
  endif()
  if(_result EQUAL 0)
    _fetched_tensorrt_headers("${_folder}" git)
  else()
    list(APPEND _tried "git could not fetch them (${_why})")
  endif()
endmacro()

if(NORMDEPLOY_TENSORRT_HEADERS STREQUAL "AUTO")
  _find_tensorrt_headers()
  if(NOT TensorRT_FOUND)
    _tensorrt_headers_from_wheel()
  endif()
  if(NOT TensorRT_FOUND)
    _tensorrt_headers_from_git()
  endif()
  set(_advice "install TensorRT's headers, or set TensorRT_ROOT to the folder that holds them")
elseif(NORMDEPLOY_TENSORRT_HEADERS STREQUAL "FIND")
  _find_tensorrt_headers()
  set(_advice "set TensorRT_ROOT to the folder that holds them, or fetch them: --headers wheel, or --headers git")
elseif(NORMDEPLOY_TENSORRT_HEADERS STREQUAL "WHEEL")
  unset(TensorRT_INCLUDE_DIR CACHE)
  _tensorrt_headers_from_wheel()
  set(_advice "where PyPI is not reached, set TensorRT_ROOT to the folder that holds them, with --headers find")
elseif(NORMDEPLOY_TENSORRT_HEADERS STREQUAL "GIT")
  unset(TensorRT_INCLUDE_DIR CACHE)
  _tensorrt_headers_from_git()
  set(_advice "where only PyPI is reached, use --headers wheel")
else()
  message(FATAL_ERROR "NORMDEPLOY_TENSORRT_HEADERS is ${NORMDEPLOY_TENSORRT_HEADERS}; "
                      "it must be AUTO, FIND, WHEEL or GIT")
endif()
if(NOT TensorRT_FOUND)
  list(JOIN _tried "; " _tried)
  message(FATAL_ERROR "TensorRT's headers are missing: ${_tried}: ${_advice}")
endif()
set(_normdeploy_headers_found "${TensorRT_INCLUDE_DIR}" CACHE INTERNAL "")
message(STATUS "TensorRT's headers: ${TensorRT_VERSION}, from ${TensorRT_HEADERS_FROM} (${TensorRT_INCLUDE_DIR})")
