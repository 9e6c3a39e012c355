# datasite_fuzzer(NAME SOURCES ... LINKS ...): one decoder under LLVMFuzzerTestOneInput. NAME is fuzz_<what>; its corpus
# is corpus/<what>/ beside the caller, and is replayed by a test of label corpus in every build.
#
# With DATASITE_FUZZ (clang) the program is a libFuzzer one: bin/fuzz_<what> DIR… explores. Otherwise a small main
# (replay.c) gives it each file of the corpus, and each beginning of it, once.
if(DATASITE_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "DATASITE_FUZZ needs clang: apt-get install clang libclang-rt-14-dev")
  endif()
  foreach(room room_schemas room_console room_database room_crypto room_audit room_learning room_transport room_datasite
          orchestrator_objects)
    if(TARGET ${room})
      target_compile_options(${room} PRIVATE -fsanitize=fuzzer-no-link)
    endif()
  endforeach()
endif()

function(datasite_fuzzer name)
  cmake_parse_arguments(FUZZER "" "" "SOURCES;LINKS" ${ARGN})
  string(REGEX REPLACE "^fuzz_" "" what ${name})
  set(corpus ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${what})
  add_executable(${name} ${FUZZER_SOURCES})
  target_link_libraries(${name} PRIVATE ${FUZZER_LINKS})
  if(DATASITE_FUZZ)
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    add_test(NAME ${name} COMMAND ${name} -runs=0 ${corpus})
  else()
    target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay.c)
    add_test(NAME ${name} COMMAND ${name} ${corpus})
  endif()
  set_tests_properties(${name} PROPERTIES LABELS corpus TIMEOUT 120)
endfunction()
