# Stage 1: thixo-gen lowers every kernel of the pack for each ISA; the objects are linked into the library.

# thixo_lowering_version(): machine code is kept by content, in the pack's build and in the user's cache; what lowered it
# is a part of it: the lowering's sources and LLVM. Sets THIXO_LOWERING_VERSION to the source that says so.
function(thixo_lowering_version)
  file(GLOB_RECURSE lowering CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/codegen/llvm/*
                                               ${PROJECT_SOURCE_DIR}/src/codegen/math/*)
  list(FILTER lowering EXCLUDE REGEX "_test\\.cpp$|/sample_[a-z]+\\.h$|\\.md$")
  set(version ${PROJECT_BINARY_DIR}/gen/lowering_version.cpp)
  add_custom_command(OUTPUT ${version}
    COMMAND ${CMAKE_COMMAND} "-DSOURCES=${lowering}" -DLLVM=${LLVM_PACKAGE_VERSION} -DOUT=${version}
            -P ${PROJECT_SOURCE_DIR}/cmake/lowering_version.cmake
    DEPENDS ${lowering} ${PROJECT_SOURCE_DIR}/cmake/lowering_version.cmake
    COMMENT "version of the lowering" VERBATIM)
  set(THIXO_LOWERING_VERSION ${version} PARENT_SCOPE)
endfunction()

# thixo_gen_program(): the host program, always built optimised and with an empty pack (it never computes).
function(thixo_gen_program)
  thixo_has(thixo_llvm llvm)
  if(NOT llvm)
    message(FATAL_ERROR "thixo-gen needs src/codegen/llvm and LLVM 19 (Debian: llvm-19-dev)")
  endif()
  if(NOT CMAKE_BUILD_TYPE STREQUAL "Release" OR THIXO_SANITIZE)
    message(FATAL_ERROR "thixo-gen is always a release program: build the preset 'release' first and give its pack "
                        "with -DTHIXO_PACK_DIR=<release build>/pack (the other presets do)")
  endif()
  add_executable(thixo-gen ${PROJECT_SOURCE_DIR}/src/codegen/gen_main.cpp
                           ${PROJECT_SOURCE_DIR}/src/codegen/gen_support.cpp
                           ${PROJECT_SOURCE_DIR}/src/codegen/empty_pack.cpp)
  target_include_directories(thixo-gen SYSTEM PRIVATE ${LLVM_INCLUDE_DIRS})
  target_link_libraries(thixo-gen PRIVATE thixo_front thixo_llvm thixo_flags thixo_headers thixo_link LLVM)
  target_link_directories(thixo-gen PRIVATE ${LLVM_LIBRARY_DIRS})
  add_dependencies(thixo-gen thixo_generated)
endfunction()

# Each run of thixo-gen uses all cores by itself.
set_property(GLOBAL APPEND PROPERTY JOB_POOLS pack_pool=1)
# LLVM's linker under the name that takes -flavor: it joins objects of any target.
find_program(THIXO_LLD_GENERIC NAMES lld lld-19 HINTS /usr/lib/llvm-19/bin NO_CACHE)

# thixo_pack(<variable>): sets the variable to the pack's objects and the table that lists them.
function(thixo_pack out)
  set(${out} "" PARENT_SCOPE)
  if(NOT EXISTS ${PROJECT_SOURCE_DIR}/src/codegen/gen_main.cpp)
    return()
  endif()
  set(objects "")
  foreach(isa IN LISTS THIXO_ISAS)
    if(THIXO_PACK_DIR)
      set(object ${THIXO_PACK_DIR}/${isa}.o)
      if(NOT EXISTS ${object})
        message(FATAL_ERROR "${object} is missing: build it with\n"
                            "  cmake --preset release && cmake --build --preset release --target thixo_pack")
      endif()
    else()
      set(object ${PROJECT_BINARY_DIR}/pack/${isa}.o)
      if(THIXO_GEN)
        set(gen ${THIXO_GEN})
      else()
        if(NOT TARGET thixo-gen)
          thixo_gen_program()
        endif()
        set(gen thixo-gen)
      endif()
      add_custom_command(OUTPUT ${object}
        COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/pack
        COMMAND ${gen} --isa ${isa} --out ${object} --cache ${PROJECT_BINARY_DIR}/pack/cache --linker ${THIXO_LLD_GENERIC}
        DEPENDS ${gen} JOB_POOL pack_pool COMMENT "kernel pack for ${isa}" VERBATIM)
    endif()
    list(APPEND objects ${object})
    string(MAKE_C_IDENTIFIER ${isa} name)
    string(APPEND declarations "extern const thixo::codegen::PackTable thixo_pack_${name};\n")
    string(APPEND entries "    &thixo_pack_${name},\n")
  endforeach()
  set_source_files_properties(${objects} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
  add_custom_target(thixo_pack DEPENDS ${objects})
  set(THIXO_PACK_DECLARATIONS "${declarations}")
  set(THIXO_PACK_ENTRIES "${entries}")
  configure_file(${PROJECT_SOURCE_DIR}/cmake/pack_table.cpp.in ${PROJECT_BINARY_DIR}/gen/pack_table.cpp @ONLY)
  set(${out} ${objects} ${PROJECT_BINARY_DIR}/gen/pack_table.cpp PARENT_SCOPE)
endfunction()
