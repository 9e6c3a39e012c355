# datasite_room(NAME SOURCES ... LINKS ...): one static library per room, called room_NAME.
function(datasite_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;LINKS" ${ARGN})
  add_library(room_${name} STATIC ${ROOM_SOURCES})
  target_link_libraries(room_${name} PUBLIC ${ROOM_LINKS})
endfunction()
