# The C++ tests: src/<room>/**/x_test.cpp in one program per room, tests/*.cpp (what crosses rooms) in thixo_tests.
# One ctest entry per program: starting a process per case would cost more than the cases.

enable_testing()

# thixo_test_program(<name> SOURCES <source>... LIBRARIES <library>... [SHARDS <n>])
function(thixo_test_program name)
  cmake_parse_arguments(arg "" "SHARDS" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${arg_SOURCES} $<TARGET_OBJECTS:thixo_test_main>)
  target_link_libraries(${name} PRIVATE thixo_flags thixo_headers ${arg_LIBRARIES} GTest::gtest)
  target_precompile_headers(${name} REUSE_FROM thixo_test_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_dependencies(${name} thixo_generated)
  set_property(GLOBAL APPEND PROPERTY THIXO_TEST_PROGRAMS ${name})

  if(NOT arg_SHARDS)
    set(arg_SHARDS 1)
  endif()
  math(EXPR last "${arg_SHARDS} - 1")
  foreach(shard RANGE ${last})
    set(test ${name})
    set(environment "")
    if(arg_SHARDS GREATER 1)
      set(test ${name}.${shard})
      list(APPEND environment GTEST_TOTAL_SHARDS=${arg_SHARDS} GTEST_SHARD_INDEX=${shard})
    endif()
    # From the source folder, so that tests find golden files as tests/...
    add_test(NAME ${test} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(${test} PROPERTIES ENVIRONMENT "${environment}" TIMEOUT 900)
    if(name STREQUAL "thixo_tests")
      set_tests_properties(${test} PROPERTIES LABELS slow)
    elseif(name IN_LIST THIXO_SANITIZER_PROGRAMS)
      set_tests_properties(${test} PROPERTIES LABELS sanitizer)
    endif()
  endforeach()
endfunction()

# thixo_test_again(<program> <suffix> <gtest filter> <setting>...): the program once more in another environment.
function(thixo_test_again program suffix filter)
  add_test(NAME ${program}.${suffix} COMMAND ${program} --gtest_filter=${filter}
           WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${program}.${suffix} PROPERTIES ENVIRONMENT "${ARGN}" TIMEOUT 900)
endfunction()

add_library(thixo_test_main OBJECT ${PROJECT_SOURCE_DIR}/tests/support/test_main.cpp)
target_link_libraries(thixo_test_main PRIVATE thixo_flags thixo_headers GTest::gtest)
target_precompile_headers(thixo_test_main PRIVATE <pch.h> <gtest/gtest.h>)
# Test programs are executables: with these equal, both compile with the same flags and share the header.
set(CMAKE_POSITION_INDEPENDENT_CODE OFF)
set_target_properties(thixo_test_main PROPERTIES POSITION_INDEPENDENT_CODE OFF)

list(TRANSFORM THIXO_SANITIZER_ROOMS REPLACE "/" "_" OUTPUT_VARIABLE THIXO_SANITIZER_PROGRAMS)
list(TRANSFORM THIXO_SANITIZER_PROGRAMS APPEND "_test")

# The room of a test is its first folder, and the second where rooms stand side by side.
file(GLOB_RECURSE sources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/src/*_test.cpp)
set(rooms "")
foreach(source IN LISTS sources)
  string(REGEX MATCH "^(backend/[^/]+|codegen/llvm|[^/]+)/" room ${source})
  string(REGEX REPLACE "/$" "" room "${room}")
  list(APPEND rooms ${room})
  list(APPEND tests_of_${room} ${PROJECT_SOURCE_DIR}/src/${source})
endforeach()
list(REMOVE_DUPLICATES rooms)
foreach(room IN LISTS rooms)
  string(REPLACE "/" "_" name ${room})
  # Rooms of the engine link only the engine, so the sanitizer builds compile nothing above it.
  if(room MATCHES "^(base|core|ir|ops|transform|codegen|backend|runtime|formats)(/|$)")
    set(libraries thixo_engine_static)
  else()
    set(libraries thixo_static)
  endif()
  thixo_test_program(${name}_test SOURCES ${tests_of_${room}} LIBRARIES ${libraries})
  if(room STREQUAL "codegen/llvm")
    target_link_libraries(${name}_test PRIVATE thixo_llvm LLVM)
    target_link_directories(${name}_test PRIVATE ${LLVM_LIBRARY_DIRS})
    target_include_directories(${name}_test SYSTEM PRIVATE ${LLVM_INCLUDE_DIRS})
  endif()
endforeach()

# Every op in every way; it links only the engine, so it is built before the layers above.
file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/conformance/*.cpp)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(op_forms ${PROJECT_BINARY_DIR}/gen/op_forms.cpp)
add_custom_command(
  OUTPUT ${op_forms}
  COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/opforms.py ${PROJECT_SOURCE_DIR}/src/ops ${op_forms}
  DEPENDS ${PROJECT_SOURCE_DIR}/tools/opforms.py ${PROJECT_SOURCE_DIR}/tools/opgen.py thixo_opgen
  COMMENT "opforms: every op by its public C++ names" VERBATIM)
thixo_test_program(conformance_test SOURCES ${sources} ${op_forms}
                   LIBRARIES thixo_engine_static SHARDS 4)
target_include_directories(conformance_test PRIVATE ${PROJECT_SOURCE_DIR}/tests/conformance)
if(TARGET thixo_compiler)
  add_dependencies(conformance_test thixo_compiler)  # compiled programs need it
endif()

# Contractions by the library as it is on a processor without AVX-512, and by the generated engine alone.
if(TARGET backend_cpu_test AND THIXO_WITH_ONEDNN)
  thixo_test_again(backend_cpu_test onednn_avx2 * DNNL_MAX_CPU_ISA=AVX2)
  thixo_test_again(backend_cpu_test no_onednn * THIXO_ONEDNN=0)
  thixo_test_again(conformance_test no_onednn *mul*:*linear*:*conv*:*attention*:*contract*:*Contract* THIXO_ONEDNN=0)
endif()

file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/*.cpp)
if(sources AND TARGET thixo_static)
  thixo_test_program(thixo_tests SOURCES ${sources} LIBRARIES thixo_static SHARDS 4)
endif()

get_property(programs GLOBAL PROPERTY THIXO_TEST_PROGRAMS)
add_custom_target(sanitizer_tests)
foreach(name IN LISTS programs)
  if(name IN_LIST THIXO_SANITIZER_PROGRAMS)
    add_dependencies(sanitizer_tests ${name})
  endif()
endforeach()
