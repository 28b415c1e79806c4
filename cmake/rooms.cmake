# SPDX-License-Identifier: Apache-2.0
# A room is a folder under src/, an OBJECT library rc_<room>, and the rooms it may use.
#
# rc_room(<room> USES <room>... SOURCES file.c... [LIBS target...])
#
# Headers are included as "<room>/<header>.h". Each room gets an include folder that shows only
# itself and the rooms it USES (links made in the build tree), so that an arrow which is not
# allowed does not compile. tests/unit/test_rooms.py says the same in words.
function(rc_room room)
  cmake_parse_arguments(R "" "" "USES;SOURCES;LIBS" ${ARGN})
  set(view ${CMAKE_BINARY_DIR}/rooms/${room})
  file(MAKE_DIRECTORY ${view})
  foreach(seen IN LISTS R_USES ITEMS ${room})
    file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${seen} ${view}/${seen} SYMBOLIC)
  endforeach()
  add_library(rc_${room} OBJECT ${R_SOURCES})
  target_include_directories(rc_${room} PRIVATE ${view} ${CMAKE_SOURCE_DIR}/include)
  target_link_libraries(rc_${room} PRIVATE Threads::Threads ${R_LIBS})
  set_property(GLOBAL APPEND PROPERTY RC_ROOMS ${room})
  set_property(GLOBAL PROPERTY RC_ROOM_${room}_USES "${R_USES}")
  set_property(GLOBAL PROPERTY RC_ROOM_${room}_LIBS "${R_LIBS}")
endfunction()

# rc_link_rooms(<target> room...): links rooms, everything they use, and their libraries; the
# target sees the headers of all of them.
function(rc_link_rooms target)
  set(all)
  set(todo ${ARGN})
  while(todo)
    list(POP_FRONT todo room)
    if(NOT room IN_LIST all)
      list(APPEND all ${room})
      get_property(uses GLOBAL PROPERTY RC_ROOM_${room}_USES)
      list(APPEND todo ${uses})
    endif()
  endwhile()
  foreach(room IN LISTS all)
    get_property(libs GLOBAL PROPERTY RC_ROOM_${room}_LIBS)
    target_link_libraries(${target} PRIVATE rc_${room} ${libs})
  endforeach()
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
  target_link_libraries(${target} PRIVATE Threads::Threads m dl)
endfunction()
