# `cmake --install`: the programs, the libraries, the headers of their C++ face, and the CMake package that find_package(parley) finds.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

get_property(modules GLOBAL PROPERTY PARLEY_MODULES)
add_library(parley_all INTERFACE)
add_library(parley::parley ALIAS parley_all)
set_target_properties(parley_all PROPERTIES EXPORT_NAME parley)
target_link_libraries(parley_all INTERFACE ${modules})

install(TARGETS parley speak transcribe RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
# Models that come with the programs (store/model_lookup.h).
install(DIRECTORY ${PROJECT_SOURCE_DIR}/data/models DESTINATION ${CMAKE_INSTALL_DATADIR}/parley)
install(TARGETS ${modules} parley_all EXPORT parleyTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})

# The C++ face of the library: what these headers include is among them, which tests/core/base/include_directions_test.cpp checks.
set(PARLEY_FACADE
  core/base/error.h core/nn/precision.h
  dsp/audio_reader.h dsp/microphone.h dsp/voice_front_end.h
  pipeline/live/conversation.h pipeline/live/live_event.h pipeline/live/live_intake.h pipeline/live/live_session.h
  pipeline/start_engine.h pipeline/stt/transcribe_options.h pipeline/stt/transcriber.h pipeline/stt/transcript.h
  pipeline/tts/synthesizer.h)
foreach(header ${PARLEY_FACADE})
  cmake_path(GET header PARENT_PATH folder)
  install(FILES ${PROJECT_SOURCE_DIR}/${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/parley/${folder})
endforeach()

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/parley)
configure_package_config_file(${PROJECT_SOURCE_DIR}/tools/cmake/parleyConfig.cmake.in ${PROJECT_BINARY_DIR}/parleyConfig.cmake
                              INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/parleyConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/parleyConfig.cmake ${PROJECT_BINARY_DIR}/parleyConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/tools/cmake/dependencies.cmake DESTINATION ${package})
install(EXPORT parleyTargets NAMESPACE parley:: DESTINATION ${package})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/NOTICE DESTINATION ${CMAKE_INSTALL_DOCDIR})
