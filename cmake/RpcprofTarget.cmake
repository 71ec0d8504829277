# SPDX-License-Identifier: Apache-2.0
# How every target of the project is built.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

add_library(rpcprof_flags INTERFACE)
target_compile_features(rpcprof_flags INTERFACE c_std_11)
target_compile_options(rpcprof_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes> $<$<BOOL:${RPCPROF_WERROR}>:-Werror>)
target_compile_definitions(rpcprof_flags INTERFACE _GNU_SOURCE)
target_include_directories(rpcprof_flags INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR})

# rpcprof_library(NAME SOURCES ... LINK ...): NAME (shared) and NAME_static from the same objects.
function(rpcprof_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK;PRIVATE" ${ARGN})
  string(REPLACE "_" "-" output ${name})
  foreach(kind SHARED STATIC)
    set(target ${name}$<$<STREQUAL:${kind},STATIC>:_static>)
    if(kind STREQUAL STATIC)
      set(target ${name}_static)
    else()
      set(target ${name})
    endif()
    add_library(${target} ${kind} ${arg_SOURCES})
    set_target_properties(${target} PROPERTIES OUTPUT_NAME ${output} C_VISIBILITY_PRESET hidden
      POSITION_INDEPENDENT_CODE ON C_EXTENSIONS ON
      VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
    target_include_directories(${target} PUBLIC
      $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
    target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:rpcprof_flags> ${arg_PRIVATE})
    foreach(dependency ${arg_LINK})
      if(kind STREQUAL STATIC AND TARGET ${dependency}_static)
        target_link_libraries(${target} PUBLIC ${dependency}_static)
      else()
        target_link_libraries(${target} PUBLIC ${dependency})
      endif()
    endforeach()
  endforeach()
endfunction()
