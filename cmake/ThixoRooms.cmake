# Targets by room: each room is a folder of src/, its sources found by glob, its tests left out.

# thixo_glob(<variable> <folder>...): the sources below these folders of src/.
function(thixo_glob out)
  set(found "")
  foreach(folder IN LISTS ARGN)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${folder}/*.cpp)
    list(APPEND found ${sources})
  endforeach()
  list(FILTER found EXCLUDE REGEX "_test\\.cpp$")
  set(${out} ${found} PARENT_SCOPE)
endfunction()

# thixo_objects(<target> <source>...): an object library with the house's flags and precompiled header,
# or an empty target while there are no sources.
function(thixo_objects target)
  if(NOT ARGN)
    add_library(${target} INTERFACE)
    return()
  endif()
  add_library(${target} OBJECT ${ARGN})
  target_link_libraries(${target} PRIVATE thixo_flags thixo_headers)
  thixo_pch(${target})
  add_dependencies(${target} thixo_generated)
endfunction()

# thixo_rooms(<target> <room>...)
function(thixo_rooms target)
  thixo_glob(sources ${ARGN})
  # These belong to the compiler and to thixo-gen.
  list(FILTER sources EXCLUDE REGEX "/src/codegen/(llvm/|gen_[a-z]+\\.cpp$|empty_pack\\.cpp$)")
  if(target STREQUAL "thixo_front" AND sources)
    list(APPEND sources ${THIXO_OPGEN_SOURCES} ${THIXO_LOWERING_VERSION})
  endif()
  set(info ${PROJECT_SOURCE_DIR}/src/runtime/info.cpp)
  if(info IN_LIST sources)
    set_source_files_properties(${info} PROPERTIES COMPILE_DEFINITIONS "THIXO_VERSION=\"${PROJECT_VERSION}\"")
  endif()
  thixo_objects(${target} ${sources})
endfunction()

# thixo_llvm_room(<target> <room>): the sources that see LLVM's headers.
function(thixo_llvm_room target room)
  thixo_glob(sources ${room})
  if(NOT LLVM_FOUND)
    set(sources "")
  endif()
  thixo_objects(${target} ${sources})
  if(sources)
    target_include_directories(${target} SYSTEM PRIVATE ${LLVM_INCLUDE_DIRS})
  endif()
endfunction()

# True when a target has objects.
function(thixo_has target out)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "OBJECT_LIBRARY")
    set(${out} TRUE PARENT_SCOPE)
  else()
    set(${out} FALSE PARENT_SCOPE)
  endif()
endfunction()

# libthixo.so, and for tests of private functions the same objects as two archives: thixo_engine_static
# (down to the formats) and thixo_static (everything).
function(thixo_library)
  thixo_has(thixo_front built)
  if(NOT built)
    message(STATUS "thixo: no sources in src/ yet")
    return()
  endif()
  add_library(thixo SHARED ${THIXO_PACK_OBJECTS})
  add_library(thixo::thixo ALIAS thixo)
  target_link_libraries(thixo PRIVATE thixo_front thixo_engine thixo_high thixo_flags thixo_link)
  target_link_options(thixo PRIVATE ${THIXO_NO_UNDEFINED})
  target_include_directories(thixo PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/gen>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(thixo PUBLIC cxx_std_20)
  set_target_properties(thixo PROPERTIES LINKER_LANGUAGE CXX SOVERSION 0 INSTALL_RPATH "$ORIGIN")
  if(NOT SKBUILD)  # a wheel has no links: it would hold the library once per name
    set_target_properties(thixo PROPERTIES VERSION ${PROJECT_VERSION})
  endif()

  add_library(thixo_engine_static STATIC ${THIXO_PACK_OBJECTS})
  target_link_libraries(thixo_engine_static PRIVATE thixo_front thixo_engine PUBLIC thixo_link)
  set_target_properties(thixo_engine_static PROPERTIES LINKER_LANGUAGE CXX)
  thixo_has(thixo_high high)
  if(high)
    add_library(thixo_static STATIC)
    target_link_libraries(thixo_static PRIVATE thixo_high PUBLIC thixo_engine_static)
    set_target_properties(thixo_static PROPERTIES LINKER_LANGUAGE CXX)
  else()
    add_library(thixo_static ALIAS thixo_engine_static)
  endif()
endfunction()

# libthixo_compiler.so: LLVM's half of the code generator, opened by libthixo at the first compile. It takes what it
# needs of the front (the KernelIR and its byte form) from the archive and keeps it to itself.
function(thixo_compiler)
  thixo_has(thixo_llvm built)
  if(NOT built)
    return()
  endif()
  add_library(thixo_compiler MODULE)
  target_link_libraries(thixo_compiler PRIVATE thixo_llvm thixo_flags thixo_engine_static LLVM)
  target_link_options(thixo_compiler PRIVATE -Wl,--exclude-libs,ALL ${THIXO_NO_UNDEFINED})
  target_link_directories(thixo_compiler PRIVATE ${LLVM_LIBRARY_DIRS})
  set_target_properties(thixo_compiler PROPERTIES LINKER_LANGUAGE CXX)
endfunction()

# The thixo command.
function(thixo_cli)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cli/*.cpp)
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  if(NOT sources OR NOT TARGET thixo)
    return()
  endif()
  add_executable(thixo_cli ${sources})
  target_link_libraries(thixo_cli PRIVATE thixo_flags thixo)
  set_target_properties(thixo_cli PROPERTIES OUTPUT_NAME thixo INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
  add_dependencies(thixo_cli thixo_generated)
endfunction()
