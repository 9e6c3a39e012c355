# datasite_embed(TARGET FILE SYMBOL): compiles the bytes of FILE into TARGET as
#   extern const unsigned char SYMBOL[]; extern const size_t SYMBOL_bytes;   (a NUL follows the last byte)
# declared in the generated header "embedded/SYMBOL.h".
set(DATASITE_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/embed_file.cmake)
function(datasite_embed target file symbol)
  get_filename_component(source ${file} ABSOLUTE)
  set(c_file ${CMAKE_CURRENT_BINARY_DIR}/embedded/${symbol}.c)
  set(h_file ${CMAKE_CURRENT_BINARY_DIR}/embedded/${symbol}.h)
  add_custom_command(
    OUTPUT ${c_file} ${h_file}
    COMMAND ${CMAKE_COMMAND} -DSOURCE=${source} -DSYMBOL=${symbol} -DC_FILE=${c_file} -DH_FILE=${h_file}
            -P ${DATASITE_EMBED_SCRIPT}
    DEPENDS ${source} ${DATASITE_EMBED_SCRIPT}
    VERBATIM)
  target_sources(${target} PRIVATE ${c_file} ${h_file})
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
endfunction()
