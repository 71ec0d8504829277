# SPDX-License-Identifier: Apache-2.0
# What programs in C++ on gRPC are built of, ours: examples, tests and a benchmark.
enable_language(CXX)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)

# Not among the packages that every test links: this one alone is 60 libraries.
rpcprof_package(GRPCPP grpc++ DEBIAN libgrpc++-dev OPTION RPCPROF_GRPCPP APART)
rpcprof_package(PROTOBUF protobuf DEBIAN libprotobuf-dev OPTION RPCPROF_GRPCPP APART)
rpcprof_program(PROTOC protoc DEBIAN protobuf-compiler OPTION RPCPROF_GRPCPP)
rpcprof_program(GRPC_CPP_PLUGIN grpc_cpp_plugin DEBIAN protobuf-compiler-grpc OPTION RPCPROF_GRPCPP)

# rpcprof_grpcpp_proto(NAME FILE.proto): a library with its messages and services, by protoc's own
# plugin. Its header is <file>.grpc.pb.h.
function(rpcprof_grpcpp_proto name proto)
  get_filename_component(proto ${proto} ABSOLUTE)
  get_filename_component(folder ${proto} DIRECTORY)
  get_filename_component(stem ${proto} NAME_WE)
  set(generated ${CMAKE_CURRENT_BINARY_DIR}/${stem})
  set(sources ${generated}.pb.cc ${generated}.grpc.pb.cc)
  add_custom_command(OUTPUT ${sources} ${generated}.pb.h ${generated}.grpc.pb.h
    COMMAND ${PROTOC} --proto_path=${folder} --cpp_out=${CMAKE_CURRENT_BINARY_DIR}
      --grpc_out=${CMAKE_CURRENT_BINARY_DIR} --plugin=protoc-gen-grpc=${GRPC_CPP_PLUGIN} ${proto}
    DEPENDS ${proto} VERBATIM)
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} SYSTEM PUBLIC ${CMAKE_CURRENT_BINARY_DIR})
  target_link_libraries(${name} PUBLIC PkgConfig::GRPCPP PkgConfig::PROTOBUF)
endfunction()
