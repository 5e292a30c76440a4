# One set of compile flags for everything in the house, as the interface library thixo_flags.
# All targets share them exactly, which lets them share one precompiled header.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release or Debug" FORCE)
endif()
# NDEBUG silences the asserts of third-party headers; the house's own cheap checks do not depend on it.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1")

add_library(thixo_flags INTERFACE)
target_include_directories(thixo_flags INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src
                                                 ${PROJECT_BINARY_DIR}/gen)
target_compile_options(thixo_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion $<$<BOOL:${THIXO_WERROR}>:-Werror>
  -ffp-contract=off)  # same bits everywhere: a multiply and an add never become an fma behind our back
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(thixo_flags INTERFACE
    -fpch-preprocess)  # lets ccache see through the precompiled header
  if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(thixo_flags INTERFACE -Wno-restrict    # false alarm on "x" + std::string (GCC bug 105651)
                           -Wno-array-bounds        # on vectors of structs with strings (GCC bug 105329)
                           -Wno-maybe-uninitialized)  # and on moves of a std::variant (GCC bug 105562)
  endif()
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_definitions(thixo_flags INTERFACE THIXO_DEBUG)  # the costly checks: the IR's grammar after each pass
endif()
if(THIXO_WITH_ONEDNN)
  target_compile_definitions(thixo_flags INTERFACE THIXO_WITH_ONEDNN)
endif()
if(THIXO_SANITIZE)
  target_compile_options(thixo_flags INTERFACE
    -fsanitize=${THIXO_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)  # instrumented code confuses this warning
  target_link_options(thixo_flags INTERFACE -fsanitize=${THIXO_SANITIZE})
endif()

# lld links the many test programs several times faster than GNU ld.
find_program(THIXO_LLD NAMES ld.lld HINTS /usr/lib/llvm-19/bin NO_CACHE)
if(THIXO_LLD)
  get_filename_component(lld_dir ${THIXO_LLD} DIRECTORY)
  target_link_options(thixo_flags INTERFACE -fuse-ld=lld -B${lld_dir})
endif()
# A shared library that misses a symbol should fail to link, not to load; a sanitizer's symbols come from the program.
if(NOT THIXO_SANITIZE)
  set(THIXO_NO_UNDEFINED -Wl,-z,defs)
endif()

# A compile is about 1 GB at most and a link of LLVM more: links are limited so that they do not swap.
set_property(GLOBAL PROPERTY JOB_POOLS link_pool=2)
set(CMAKE_JOB_POOL_LINK link_pool)

find_program(THIXO_CCACHE NAMES ccache NO_CACHE)
if(THIXO_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # The sloppiness is what precompiled headers need; paths below the source folder are hashed as relative ones,
  # so that another checkout of the same sources finds the same objects.
  set(CMAKE_CXX_COMPILER_LAUNCHER env
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${THIXO_CCACHE})
endif()

# thixo_pch(<target>): the first caller builds the precompiled header, the others use it.
function(thixo_pch target)
  get_property(owner GLOBAL PROPERTY THIXO_PCH_OWNER)
  if(owner)
    target_precompile_headers(${target} REUSE_FROM ${owner})
  else()
    # In angle brackets, or the file that includes it would name this machine's folders.
    target_precompile_headers(${target} PRIVATE <pch.h>)
    set_property(GLOBAL PROPERTY THIXO_PCH_OWNER ${target})
  endif()
endfunction()
