# One set of compiler flags for all rooms.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

add_compile_definitions(_GNU_SOURCE DATASITE_VERSION="${PROJECT_VERSION}")
# -ffp-contract=off: the same source gives the same bits on every machine and compiler; kernels that
# want fused multiply-add say so with intrinsics.
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
                    -Wmissing-prototypes -Wvla -Wformat=2 -Wundef -ffp-contract=off
                    -fno-strict-aliasing)
add_compile_options(-include ${CMAKE_SOURCE_DIR}/schemas/banned.h)
include_directories(${CMAKE_SOURCE_DIR})

if(DATASITE_WERROR)
  add_compile_options(-Werror)
endif()

if(DATASITE_SANITIZE)
  add_compile_options(-fsanitize=${DATASITE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${DATASITE_SANITIZE})
endif()

if(DATASITE_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()

if(DATASITE_HARDEN)
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong
                      -fstack-clash-protection -fcf-protection)
  add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-pie>)
endif()
