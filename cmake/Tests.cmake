# Tests that run more than one thread carry the label tsan as well; `tsan_tests` builds those and nothing else.
add_custom_target(tsan_tests)

# datasite_test(NAME SOURCES ... LINKS ... [LABELS ...] [TIMEOUT seconds]): one cmocka program, one ctest entry.
# The test finds the small data subset in the environment variable DATASITE_TEST_DATA and may write below its
# working directory, which is its own.
function(datasite_test name)
  cmake_parse_arguments(TEST "" "TIMEOUT" "SOURCES;LINKS;LABELS" ${ARGN})
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 60)
  endif()
  if(NOT TEST_LABELS)
    set(TEST_LABELS unit)
  endif()
  add_executable(${name} ${TEST_SOURCES})
  target_link_libraries(${name} PRIVATE ${TEST_LINKS} PkgConfig::CMOCKA)
  if(tsan IN_LIST TEST_LABELS)
    add_dependencies(tsan_tests ${name})
  endif()
  set(work ${CMAKE_BINARY_DIR}/work/${name})
  file(MAKE_DIRECTORY ${work})
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${work})
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${TEST_TIMEOUT} LABELS "${TEST_LABELS}"
    ENVIRONMENT "DATASITE_TEST_DATA=${CMAKE_SOURCE_DIR}/tests/data;DATASITE_SOURCE_DIR=${CMAKE_SOURCE_DIR}")
endfunction()
