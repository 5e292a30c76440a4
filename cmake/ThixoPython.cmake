# The Python extension _thixo, and in the build tree a package made of it and links to python/thixo, so that
# PYTHONPATH=<build>/python imports what is being edited.

set(venv_python ${PROJECT_SOURCE_DIR}/.venv/bin/python)
if(NOT DEFINED Python_EXECUTABLE AND EXISTS ${venv_python})
  set(Python_EXECUTABLE ${venv_python})
endif()
find_package(Python 3.10 QUIET COMPONENTS Interpreter Development.Module)
file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/python/src/*.cpp)
if(NOT sources OR NOT TARGET thixo)
  return()
endif()
if(NOT Python_FOUND)
  message(FATAL_ERROR "THIXO_BUILD_PYTHON is on, but no Python >= 3.10 with headers was found (Debian: python3-dev)")
endif()
execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir OUTPUT_VARIABLE nanobind_ROOT
                OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE missing ERROR_QUIET)
if(missing)
  message(FATAL_ERROR "THIXO_BUILD_PYTHON is on, but ${Python_EXECUTABLE} has no nanobind: run tools/setup.sh")
endif()
find_package(nanobind CONFIG REQUIRED)

nanobind_add_module(_thixo NB_STATIC ${sources})
target_link_libraries(_thixo PRIVATE thixo_flags thixo)
get_target_property(nanobind_include nanobind-static INTERFACE_INCLUDE_DIRECTORIES)
target_include_directories(_thixo SYSTEM BEFORE PRIVATE ${nanobind_include} ${Python_INCLUDE_DIRS})  # warnings are ours
target_precompile_headers(_thixo PRIVATE <nanobind/nanobind.h> <pch.h>)
add_dependencies(_thixo thixo_generated)
set(package ${PROJECT_BINARY_DIR}/python/thixo)
set_target_properties(_thixo PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${package} INSTALL_RPATH "$ORIGIN")

# Links to files in folders of the build tree: the stubs are written beside them.
file(GLOB_RECURSE entries CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/python/thixo ${PROJECT_SOURCE_DIR}/python/thixo/*.py)
foreach(entry IN LISTS entries)
  get_filename_component(folder ${package}/${entry} DIRECTORY)
  if(IS_SYMLINK ${folder})
    file(REMOVE ${folder})  # of a build tree from before
  endif()
  file(MAKE_DIRECTORY ${folder})
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/python/thixo/${entry} ${package}/${entry} SYMBOLIC)
endforeach()

# Type stubs, written from what the package is found to hold. A sanitizer's library cannot be imported just so.
if(NOT THIXO_SANITIZE AND NOT CMAKE_CROSSCOMPILING)
  list(TRANSFORM entries PREPEND ${PROJECT_SOURCE_DIR}/python/thixo/ OUTPUT_VARIABLE package_sources)
  add_custom_command(
    OUTPUT ${package}/py.typed
    COMMAND ${CMAKE_COMMAND} -E env PYTHONDONTWRITEBYTECODE=1
            ${Python_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/stubs.py ${PROJECT_BINARY_DIR}/python
    DEPENDS _thixo ${package_sources} ${PROJECT_SOURCE_DIR}/tools/stubs.py
    COMMENT "Writing the stubs of the Python package" VERBATIM)
  add_custom_target(thixo_stubs ALL DEPENDS ${package}/py.typed)
endif()

# In a wheel the library and its plugin lie beside the extension.
if(SKBUILD)
  install(TARGETS _thixo thixo LIBRARY DESTINATION thixo COMPONENT python NAMELINK_SKIP)
  install(DIRECTORY ${package}/ DESTINATION thixo COMPONENT python FILES_MATCHING PATTERN "*.pyi" PATTERN "py.typed")
  if(TARGET thixo_compiler)
    install(TARGETS thixo_compiler LIBRARY DESTINATION thixo COMPONENT python)
  endif()
endif()
