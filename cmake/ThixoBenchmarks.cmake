# The benchmarks in C++: benchmarks/*.cpp in one program, built only when asked for (./dev bench). It links the shared
# library, as a user's program does.

file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/benchmarks/*.cpp)
if(NOT sources OR NOT TARGET thixo)
  return()
endif()
find_package(benchmark REQUIRED)
add_executable(thixo_benchmarks EXCLUDE_FROM_ALL ${sources})
target_link_libraries(thixo_benchmarks PRIVATE thixo_flags thixo benchmark::benchmark benchmark::benchmark_main)
add_dependencies(thixo_benchmarks thixo_generated)
