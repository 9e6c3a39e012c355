# Whole processes of the transport. They need Debian's own Python, whose packages (python3-cryptography, python3-zmq,
# python3-protobuf) they use; a test says so and is skipped when one is missing.
add_executable(session_echo session_echo.c)
target_link_libraries(session_echo PRIVATE room_transport)
find_program(DATASITE_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH)
foreach(test matrix client faults)
  add_test(NAME e2e_transport_${test}
    COMMAND ${DATASITE_PYTHON} -W ignore::ResourceWarning ${CMAKE_CURRENT_SOURCE_DIR}/transport_${test}.py)
  set_tests_properties(e2e_transport_${test} PROPERTIES
    LABELS "e2e;transport" TIMEOUT 300
    ENVIRONMENT "SESSION_ECHO=$<TARGET_FILE:session_echo>;DATASITE_SOURCE_DIR=${CMAKE_SOURCE_DIR};PYTHONDONTWRITEBYTECODE=1")
endforeach()
