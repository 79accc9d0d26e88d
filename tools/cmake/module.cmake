# One folder of the house is one static library, parley_<folder>. Includes begin with parley/, for the repository's root
# ("parley/core/nn/tensor.h"): a link in the build folder leads there. What a folder may include is enforced by
# tests/core/base/include_directions_test.cpp.

set(PARLEY_INCLUDE ${PROJECT_BINARY_DIR}/include)
file(MAKE_DIRECTORY ${PARLEY_INCLUDE})
file(CREATE_LINK ${PROJECT_SOURCE_DIR} ${PARLEY_INCLUDE}/parley SYMBOLIC)

add_library(parley_options INTERFACE)
target_compile_options(parley_options INTERFACE -pthread -Wall -Wextra $<$<BOOL:${PARLEY_WERROR}>:-Werror>)
if(PARLEY_SANITIZE)
  target_compile_options(parley_options INTERFACE -fsanitize=${PARLEY_SANITIZE} -fno-sanitize-recover=all
                                                  -fno-omit-frame-pointer -g1)
  target_link_options(parley_options INTERFACE -fsanitize=${PARLEY_SANITIZE})
  # Instrumented, GCC 12 warns of its own <regex> and, when that comes precompiled, <string>.
  target_compile_options(parley_options INTERFACE
    "$<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized;-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread;-Wno-restrict>")
endif()

# Heavy headers are read once for all files that are compiled alike. parley_precompile(<target> [<more headers>...]) makes a set,
# which other targets take with REUSE_FROM. GCC only: ccache knows its sets by their contents.
function(parley_precompile target)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_compile_options(${target} PRIVATE -fpch-preprocess)
    target_precompile_headers(${target} PRIVATE <algorithm> <filesystem> <functional> <map> <memory> <optional> <string> <vector>
                              ${ARGN} <nlohmann/json.hpp>)
  endif()
endfunction()
# For a library whose set executables take: it must be compiled as they are.
function(parley_compile_as_executable target)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${target} PRIVATE -fPIE)
endfunction()
function(parley_reuse_precompiled target source)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_compile_options(${target} PRIVATE -fpch-preprocess)
    target_precompile_headers(${target} REUSE_FROM ${source})
  endif()
endfunction()

# parley_module(<folder> [INTERNAL] SOURCES <files...> [DEPENDS <folders or libraries...>] [USES <private libraries...>])
function(parley_module name)
  cmake_parse_arguments(ARG "INTERNAL" "" "SOURCES;DEPENDS;USES" ${ARGN})
  add_library(parley_${name} STATIC ${ARG_SOURCES})
  add_library(parley::${name} ALIAS parley_${name})
  set_target_properties(parley_${name} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(parley_${name} PUBLIC $<BUILD_INTERFACE:${PARLEY_INCLUDE}> $<INSTALL_INTERFACE:include>)
  target_compile_features(parley_${name} PUBLIC cxx_std_20)
  target_link_libraries(parley_${name} PUBLIC ${ARG_DEPENDS} PRIVATE ${ARG_USES}
                                              $<BUILD_INTERFACE:parley_options>)
  if(NOT ARG_INTERNAL)  # else of our programs only: not installed
    set_property(GLOBAL APPEND PROPERTY PARLEY_MODULES parley_${name})
  endif()
endfunction()
