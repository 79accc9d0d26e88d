# One folder of the house is one static library, parley_<folder>, that sees the repository root as its
# include path ("nn/tensor.h"). What a folder may include is enforced by tests/include_directions.

add_library(parley_options INTERFACE)
target_compile_options(parley_options INTERFACE -Wall -Wextra $<$<BOOL:${PARLEY_WERROR}>:-Werror>)
if(PARLEY_SANITIZE)
  target_compile_options(parley_options INTERFACE -fsanitize=${PARLEY_SANITIZE} -fno-sanitize-recover=all
                                                  -fno-omit-frame-pointer -g1)
  target_link_options(parley_options INTERFACE -fsanitize=${PARLEY_SANITIZE})
  # Instrumented, GCC 12 warns of its own <regex>.
  target_compile_options(parley_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
endif()

# parley_module(<folder> SOURCES <files...> [DEPENDS <folders or libraries...>] [USES <private libraries...>])
function(parley_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;USES" ${ARGN})
  add_library(parley_${name} STATIC ${ARG_SOURCES})
  add_library(parley::${name} ALIAS parley_${name})
  set_target_properties(parley_${name} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(parley_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                                                   $<INSTALL_INTERFACE:include/parley>)
  target_compile_features(parley_${name} PUBLIC cxx_std_20)
  target_link_libraries(parley_${name} PUBLIC ${ARG_DEPENDS} PRIVATE ${ARG_USES}
                                              $<BUILD_INTERFACE:parley_options>)
  set_property(GLOBAL APPEND PROPERTY PARLEY_MODULES parley_${name})
endfunction()
