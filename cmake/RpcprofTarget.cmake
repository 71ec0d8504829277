# SPDX-License-Identifier: Apache-2.0
# How every target of the project is built.
include(CheckLinkerFlag)

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

add_library(rpcprof_flags INTERFACE)
target_compile_features(rpcprof_flags INTERFACE c_std_11)
target_compile_options(rpcprof_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes> $<$<BOOL:${RPCPROF_WERROR}>:-Werror>)
target_compile_definitions(rpcprof_flags INTERFACE _GNU_SOURCE)
target_include_directories(rpcprof_flags INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR})

if(RPCPROF_SANITIZE)
  add_compile_options(-fsanitize=${RPCPROF_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${RPCPROF_SANITIZE})
  if(RPCPROF_SANITIZE MATCHES thread AND CMAKE_C_COMPILER_ID STREQUAL GNU)
    # gcc warns at each fence that TSan does not see it. The model tests check the fences.
    add_compile_options(-Wno-tsan)
  endif()
endif()

# The one export list serves several libraries: names of the others are not errors.
check_linker_flag(C LINKER:--undefined-version RPCPROF_HAVE_UNDEFINED_VERSION)
set(rpcprof_export_list ${PROJECT_SOURCE_DIR}/cmake/rpcprof.map)

# rpcprof_library(NAME SOURCES ... HEADERS ... LINK ... PRIVATE ... DESCRIPTION "..."):
# NAME (shared) and NAME_static.
#
# Both come from the same position-independent objects (target NAME_objects), compiled once.
# LINK: what users of the library see too, other rpcprof libraries above all; PRIVATE: what they
# do not. HEADERS: its public headers in include/rpcprof. Packages are named as rpcprof_package() made them, PkgConfig::X.
function(rpcprof_library name)
  cmake_parse_arguments(arg "" "DESCRIPTION" "SOURCES;HEADERS;LINK;PRIVATE" ${ARGN})
  string(REPLACE "_" "-" output ${name})

  add_library(${name}_objects OBJECT ${arg_SOURCES})
  set_target_properties(${name}_objects PROPERTIES C_VISIBILITY_PRESET hidden C_EXTENSIONS ON
    POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(${name}_objects PRIVATE rpcprof_flags ${arg_LINK} ${arg_PRIVATE})
  # What is said of NAME later holds for its objects.
  target_include_directories(${name}_objects PRIVATE $<TARGET_PROPERTY:${name},INCLUDE_DIRECTORIES>)

  add_library(${name} SHARED $<TARGET_OBJECTS:${name}_objects>)
  add_library(${name}_static STATIC $<TARGET_OBJECTS:${name}_objects>)
  foreach(target ${name} ${name}_static)
    add_library(rpcprof::${target} ALIAS ${target})
    set_target_properties(${target} PROPERTIES OUTPUT_NAME ${output} LINKER_LANGUAGE C
      VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
      INSTALL_RPATH "\$ORIGIN") # where the libraries find each other, whatever the prefix
    target_include_directories(${target} PUBLIC
      $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
      $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  endforeach()
  rpcprof_link_(${name} "" "${arg_LINK}" "${arg_PRIVATE}")
  rpcprof_link_(${name}_static _static "${arg_LINK}" "${arg_PRIVATE}")

  # nodelete: threads may be inside recording calls at any time, also after dlclose(). Never
  # -Bsymbolic: program and library would each see a rpcprof_control_page of their own.
  target_link_options(${name} PRIVATE LINKER:-z,nodelete
    LINKER:--version-script=${rpcprof_export_list}
    $<$<BOOL:${RPCPROF_HAVE_UNDEFINED_VERSION}>:LINKER:--undefined-version>)
  if(NOT RPCPROF_SANITIZE) # their runtime is in the program only
    target_link_options(${name} PRIVATE LINKER:-z,defs)
  endif()
  set_target_properties(${name} PROPERTIES LINK_DEPENDS ${rpcprof_export_list})

  set_property(GLOBAL APPEND PROPERTY RPCPROF_LIBRARIES ${name})
  foreach(list HEADERS LINK PRIVATE DESCRIPTION)
    set_property(GLOBAL PROPERTY RPCPROF_${name}_${list} ${arg_${list}})
  endforeach()
endfunction()

# Links a library to others, preferring those of the same kind: suffix is "_static" or "".
function(rpcprof_link_ target suffix public private)
  foreach(scope PUBLIC PRIVATE)
    string(TOLOWER ${scope} list)
    foreach(dependency ${${list}})
      if(TARGET ${dependency}_static)
        string(APPEND dependency "${suffix}")
      endif()
      target_link_libraries(${target} ${scope} ${dependency})
    endforeach()
  endforeach()
endfunction()

# rpcprof_header_library(NAME HEADERS ... LINK ... DESCRIPTION "..."): a target without a library,
# for C++17. As rpcprof_library(); the packages that LINK names need be there only for who links it.
function(rpcprof_header_library name)
  cmake_parse_arguments(arg "" "DESCRIPTION" "HEADERS;LINK" ${ARGN})
  add_library(${name} INTERFACE)
  add_library(rpcprof::${name} ALIAS ${name})
  target_compile_features(${name} INTERFACE cxx_std_17)
  target_link_libraries(${name} INTERFACE ${arg_LINK})
  set_property(GLOBAL APPEND PROPERTY RPCPROF_HEADER_LIBRARIES ${name})
  foreach(list HEADERS LINK DESCRIPTION)
    set_property(GLOBAL PROPERTY RPCPROF_${name}_${list} ${arg_${list}})
  endforeach()
endfunction()
