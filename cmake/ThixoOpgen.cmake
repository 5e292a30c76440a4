# Stage 0: tools/opgen.py reads the schemas out of src/ops/ and writes headers and lists into <build>/gen.

# Every file that opgen writes, relative to <build>/gen. Public headers are installed.
set(THIXO_OPGEN_PUBLIC_HEADERS thixo/gen/op_options.h thixo/gen/ops.h thixo/gen/tensor_methods.inc)
set(THIXO_OPGEN_PRIVATE_HEADERS op_ids.h private_ops.h)
set(THIXO_OPGEN_CPP ops_list.cpp ops_front.cpp)

# thixo_opgen(): makes the target thixo_generated, which everything that includes generated headers depends on,
# and sets THIXO_OPGEN_SOURCES (compiled into thixo_front).
function(thixo_opgen)
  add_custom_target(thixo_generated)
  set(opgen ${PROJECT_SOURCE_DIR}/tools/opgen.py)
  if(NOT EXISTS ${opgen})
    return()
  endif()
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  set(gen ${PROJECT_BINARY_DIR}/gen)
  set(outputs ${THIXO_OPGEN_PUBLIC_HEADERS} ${THIXO_OPGEN_PRIVATE_HEADERS} ${THIXO_OPGEN_CPP})
  list(TRANSFORM outputs PREPEND ${gen}/)
  file(GLOB_RECURSE inputs CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/ops/*.cpp ${PROJECT_SOURCE_DIR}/src/ops/*.h
                                             ${PROJECT_SOURCE_DIR}/tools/opgen/*.py)
  list(FILTER inputs EXCLUDE REGEX "_test\\.cpp$")
  # opgen leaves a file alone whose content did not change, so that an edit of one op's body compiles one file:
  # ninja then looks at the outputs' times again (restat).
  add_custom_command(
    OUTPUT ${outputs}
    COMMAND ${Python3_EXECUTABLE} ${opgen} ${PROJECT_SOURCE_DIR}/src/ops ${gen}
    DEPENDS ${opgen} ${inputs}
    COMMENT "opgen: headers from the op definitions" VERBATIM)
  add_custom_target(thixo_opgen DEPENDS ${outputs})
  add_dependencies(thixo_generated thixo_opgen)
  list(FILTER outputs INCLUDE REGEX "\\.cpp$")
  set(THIXO_OPGEN_SOURCES ${outputs} PARENT_SCOPE)
endfunction()
