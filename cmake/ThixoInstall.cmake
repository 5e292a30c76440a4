# What `cmake --install` puts on a machine: headers, libraries, the command, and thixoConfig.cmake, so that
# find_package(thixo) gives the target thixo::thixo.

if(NOT TARGET thixo)
  return()
endif()
include(CMakePackageConfigHelpers)

install(TARGETS thixo EXPORT thixoTargets)
if(TARGET thixo_compiler)
  install(TARGETS thixo_compiler LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
if(TARGET thixo_cli)
  install(TARGETS thixo_cli)
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/thixo DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(TARGET thixo_opgen)
  foreach(header IN LISTS THIXO_OPGEN_PUBLIC_HEADERS)
    get_filename_component(folder ${header} DIRECTORY)
    install(FILES ${PROJECT_BINARY_DIR}/gen/${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/${folder})
  endforeach()
endif()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/thixo)
install(EXPORT thixoTargets NAMESPACE thixo:: DESTINATION ${package_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/thixoConfig.cmake.in ${PROJECT_BINARY_DIR}/thixoConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/thixoConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/thixoConfig.cmake ${PROJECT_BINARY_DIR}/thixoConfigVersion.cmake
        DESTINATION ${package_dir})
