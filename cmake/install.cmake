# `cmake --install`: the programs, the libraries with their headers, and the CMake package that find_package(parley) finds.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

get_property(modules GLOBAL PROPERTY PARLEY_MODULES)
add_library(parley_all INTERFACE)
add_library(parley::parley ALIAS parley_all)
set_target_properties(parley_all PROPERTIES EXPORT_NAME parley)
target_link_libraries(parley_all INTERFACE ${modules})

install(TARGETS parley speak transcribe RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
# Models that come with the programs (cli/model_lookup.h).
install(DIRECTORY ${PROJECT_SOURCE_DIR}/data/models DESTINATION ${CMAKE_INSTALL_DATADIR}/parley)
install(TARGETS ${modules} parley_all EXPORT parleyTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})

# Headers keep their folders: #include "pipeline/transcriber.h".
foreach(module ${modules})
  string(REPLACE parley_ "" folder ${module})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/parley 
          FILES_MATCHING PATTERN "*.h" PATTERN "*-inl.h" EXCLUDE PATTERN "onednn.h" EXCLUDE)
endforeach()

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/parley)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/parleyConfig.cmake.in ${PROJECT_BINARY_DIR}/parleyConfig.cmake
                              INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/parleyConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/parleyConfig.cmake ${PROJECT_BINARY_DIR}/parleyConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/cmake/dependencies.cmake DESTINATION ${package})
install(EXPORT parleyTargets NAMESPACE parley:: DESTINATION ${package})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/NOTICE DESTINATION ${CMAKE_INSTALL_DOCDIR})
