# The benchmarks: benchmarks/*.cpp in one program, built only when asked for (./dev bench).

file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/benchmarks/*.cpp)
if(NOT sources OR NOT TARGET thixo_static)
  return()
endif()
find_package(benchmark REQUIRED)
add_executable(thixo_benchmarks EXCLUDE_FROM_ALL ${sources})
target_link_libraries(thixo_benchmarks PRIVATE thixo_flags thixo_static benchmark::benchmark benchmark::benchmark_main)
add_dependencies(thixo_benchmarks thixo_generated)
