# SPDX-License-Identifier: Apache-2.0
# What the optional parts need, and what a user is told when it is not there.

# rpcprof_package(JANSSON jansson DEBIAN libjansson-dev OPTION RPCPROF_EXPORT): PkgConfig::JANSSON.
# With OPTIONAL it may be missing: then there is no such target. APART: the tests do not all link it.
# LIBRARY: all that a static link of ours takes of it; its own .pc names more for one than its
# package brings.
function(rpcprof_package prefix module)
  cmake_parse_arguments(arg "OPTIONAL;APART" "DEBIAN;OPTION;LIBRARY" "" ${ARGN})
  find_program(PKG_CONFIG_EXECUTABLE NAMES pkg-config pkgconf)
  if(NOT PKG_CONFIG_EXECUTABLE)
    rpcprof_missing_("pkg-config" pkgconf ${arg_OPTION})
  endif()
  find_package(PkgConfig REQUIRED QUIET)
  if(NOT TARGET PkgConfig::${prefix})
    pkg_check_modules(${prefix} QUIET IMPORTED_TARGET GLOBAL ${module})
  endif()
  if(NOT TARGET PkgConfig::${prefix} AND arg_OPTIONAL)
    return()
  endif()
  if(NOT TARGET PkgConfig::${prefix})
    rpcprof_missing_(${module} ${arg_DEBIAN} ${arg_OPTION})
  endif()
  set_property(GLOBAL PROPERTY RPCPROF_MODULE_${prefix} ${module})
  set_property(GLOBAL PROPERTY RPCPROF_LIBRARY_${prefix} ${arg_LIBRARY})
  if(NOT arg_APART)
    set_property(GLOBAL APPEND PROPERTY RPCPROF_PACKAGES PkgConfig::${prefix})
  endif()
endfunction()

# rpcprof_program(PROTOC_C protoc-c DEBIAN protobuf-c-compiler OPTION RPCPROF_EXPORT): ${PROTOC_C}.
function(rpcprof_program variable name)
  cmake_parse_arguments(arg "" "DEBIAN;OPTION" "" ${ARGN})
  find_program(${variable} NAMES ${name})
  if(NOT ${variable})
    rpcprof_missing_(${name} ${arg_DEBIAN} ${arg_OPTION})
  endif()
endfunction()

function(rpcprof_missing_ what debian option)
  get_property(help CACHE ${option} PROPERTY HELPSTRING)
  message(FATAL_ERROR "${what} is missing. Install it (Debian: apt-get install ${debian}), "
    "or leave this part out with -D${option}=OFF (${help}).")
endfunction()
