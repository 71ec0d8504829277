# SPDX-License-Identifier: Apache-2.0
# How every test is built and run.

# rpcprof_testing: the project's flags and static libraries, and every package they use. assert()
# works in tests whatever the build type.
add_library(rpcprof_testing INTERFACE)
target_compile_options(rpcprof_testing INTERFACE -UNDEBUG)
target_include_directories(rpcprof_testing INTERFACE ${PROJECT_BINARY_DIR}/export) # profile.pb-c.h
get_property(rpcprof_libraries GLOBAL PROPERTY RPCPROF_LIBRARIES)
get_property(rpcprof_packages GLOBAL PROPERTY RPCPROF_PACKAGES)
list(TRANSFORM rpcprof_libraries APPEND _static OUTPUT_VARIABLE rpcprof_static_libraries)
list(REVERSE rpcprof_static_libraries)
target_link_libraries(rpcprof_testing INTERFACE
  rpcprof_flags ${rpcprof_static_libraries} ${rpcprof_packages} Threads::Threads)

# Criterion does not start under TSan, is not built with MSan, and is not there for other machines:
# a small header of ours then takes its place.
option(RPCPROF_CRITERION "Tests use Criterion, not the header that stands in for it" ON)
add_library(rpcprof_criterion INTERFACE)
if(NOT RPCPROF_CRITERION OR RPCPROF_SANITIZE MATCHES "thread|memory" OR CMAKE_CROSSCOMPILING)
  target_include_directories(rpcprof_criterion BEFORE INTERFACE ${PROJECT_SOURCE_DIR}/tests/include)
else()
  rpcprof_package(CRITERION criterion DEBIAN libcriterion-dev OPTION RPCPROF_TESTS)
  target_link_libraries(rpcprof_criterion INTERFACE PkgConfig::CRITERION)
endif()

# As add_test(), with the sanitizers' settings and an end to a test that hangs.
# ignore_noninstrumented_modules: distributions' libraries, libgrpc above all, are not built with TSan.
function(rpcprof_test name)
  add_test(NAME ${name} ${ARGN})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 ENVIRONMENT
    "PYTHONDONTWRITEBYTECODE=1;TSAN_OPTIONS=ignore_noninstrumented_modules=1:second_deadlock_stack=1:\
suppressions=${PROJECT_SOURCE_DIR}/tests/tsan.supp;\
ASAN_OPTIONS=detect_stack_use_after_return=1;UBSAN_OPTIONS=print_stacktrace=1")
endfunction()

# rpcprof_criterion_test(unit.tags unit/tags.c): the test and its program, test_tags.
function(rpcprof_criterion_test name source)
  string(REGEX REPLACE "^unit\\." "" program ${name})
  string(REPLACE "." "_" program test_${program})
  add_executable(${program} ${source})
  target_link_libraries(${program} PRIVATE rpcprof_criterion rpcprof_testing)
  rpcprof_test(${name} COMMAND ${program})
endfunction()
