# Everything from outside that the C++ part is built with.

find_package(LLVM 19.1 CONFIG QUIET HINTS /usr/lib/llvm-19)
if(NOT LLVM_FOUND)
  message(STATUS "thixo: LLVM 19 not found: no thixo-gen and no compiler plugin (Debian: llvm-19-dev)")
endif()

# Found by hand: Debian's dnnl-config.cmake insists on OpenCL, which the CPU library does not need.
find_path(DNNL_INCLUDE_DIR dnnl.hpp)
find_library(DNNL_LIBRARY dnnl)
set(onednn_default OFF)
if(DNNL_INCLUDE_DIR AND DNNL_LIBRARY)
  set(onednn_default ON)
endif()
option(THIXO_WITH_ONEDNN "Use oneDNN for contractions" ${onednn_default})
if(THIXO_WITH_ONEDNN AND NOT (DNNL_INCLUDE_DIR AND DNNL_LIBRARY))
  message(FATAL_ERROR "THIXO_WITH_ONEDNN is on, but oneDNN was not found (Debian: libdnnl-dev)")
endif()

find_package(Threads REQUIRED)
if(THIXO_WITH_ONEDNN)
  find_package(OpenMP REQUIRED COMPONENTS CXX)  # to tell oneDNN to stay on the calling thread
endif()

if(THIXO_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()

# What every program or library that contains the engine links.
add_library(thixo_link INTERFACE)
target_link_libraries(thixo_link INTERFACE Threads::Threads ${CMAKE_DL_LIBS})
if(THIXO_WITH_ONEDNN)
  target_link_libraries(thixo_link INTERFACE ${DNNL_LIBRARY} ${OpenMP_CXX_LIBRARIES})
endif()

# The headers of outside libraries that the rooms include (LLVM's are for src/codegen/llvm alone).
add_library(thixo_headers INTERFACE)
if(THIXO_WITH_ONEDNN)
  target_include_directories(thixo_headers SYSTEM INTERFACE ${DNNL_INCLUDE_DIR})
endif()
