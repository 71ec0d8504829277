# SPDX-License-Identifier: Apache-2.0
# make install: headers, libraries, pkg-config files, the CMake package, man pages.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/rpcprof)
set(generated_dir ${PROJECT_BINARY_DIR}/install)
# Relative, so that an installed tree may be moved.
file(RELATIVE_PATH PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})

# name.pc. The shared library needs only `public`; a static link needs `private` beside it.
function(rpcprof_write_pc name public private)
  string(REPLACE "_" "-" PC_NAME ${name})
  set(requires ${public})
  set(requires_private)
  set(libs_private)
  foreach(dependency ${private})
    if(dependency MATCHES "^PkgConfig::(.*)$")
      get_property(module GLOBAL PROPERTY RPCPROF_MODULE_${CMAKE_MATCH_1})
      list(APPEND requires_private ${module})
    elseif(dependency STREQUAL Threads::Threads)
      list(APPEND libs_private -pthread)
    elseif(TARGET ${dependency})
      string(REPLACE "_" "-" dependency ${dependency})
      list(APPEND requires_private ${dependency})
    else()
      list(APPEND libs_private -l${dependency})
    endif()
  endforeach()
  list(JOIN requires " " PC_REQUIRES)
  list(JOIN requires_private " " PC_REQUIRES_PRIVATE)
  list(JOIN libs_private " " PC_LIBS_PRIVATE)
  get_property(PC_DESCRIPTION GLOBAL PROPERTY RPCPROF_${name}_DESCRIPTION)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/rpcprof.pc.in ${generated_dir}/${PC_NAME}.pc @ONLY)
  install(FILES ${generated_dir}/${PC_NAME}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

# What LINK names: other libraries of ours and packages whose headers ours include.
function(rpcprof_public_modules out)
  set(modules)
  foreach(dependency ${ARGN})
    if(dependency MATCHES "^PkgConfig::(.*)$")
      get_property(dependency GLOBAL PROPERTY RPCPROF_MODULE_${CMAKE_MATCH_1})
    endif()
    string(REPLACE "_" "-" dependency ${dependency})
    list(APPEND modules ${dependency})
  endforeach()
  set(${out} ${modules} PARENT_SCOPE)
endfunction()

get_property(libraries GLOBAL PROPERTY RPCPROF_LIBRARIES)
set(package_modules)
foreach(library ${libraries})
  get_property(public GLOBAL PROPERTY RPCPROF_${library}_LINK)
  get_property(private GLOBAL PROPERTY RPCPROF_${library}_PRIVATE)
  get_property(headers GLOBAL PROPERTY RPCPROF_${library}_HEADERS)
  rpcprof_public_modules(modules ${public})
  rpcprof_write_pc(${library} "${modules}" "${private}")

  foreach(dependency ${public} ${private})
    if(dependency MATCHES "^PkgConfig::(.*)$")
      get_property(module GLOBAL PROPERTY RPCPROF_MODULE_${CMAKE_MATCH_1})
      list(APPEND package_modules ${CMAKE_MATCH_1}=${module})
    endif()
  endforeach()

  list(TRANSFORM headers PREPEND ${PROJECT_SOURCE_DIR}/include/rpcprof/)
  install(FILES ${headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/rpcprof)
  install(TARGETS ${library} ${library}_static EXPORT ${library})
  install(EXPORT ${library} FILE ${library}-targets.cmake NAMESPACE rpcprof::
    DESTINATION ${package_dir})
endforeach()
if(TARGET rpcprof_command)
  install(TARGETS rpcprof_command)
endif()

list(REMOVE_DUPLICATES package_modules)
configure_package_config_file(cmake/rpcprof-config.cmake.in ${generated_dir}/rpcprof-config.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${generated_dir}/rpcprof-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${generated_dir}/rpcprof-config.cmake ${generated_dir}/rpcprof-config-version.cmake
  DESTINATION ${package_dir})

file(GLOB pages CONFIGURE_DEPENDS docs/man/*.[1-9])
foreach(page ${pages})
  string(REGEX MATCH "[1-9]$" section ${page})
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
