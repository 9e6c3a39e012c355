# Run by datasite_embed: turns SOURCE into a C array called SYMBOL.
file(READ ${SOURCE} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(SIZE ${SOURCE} size)
file(WRITE ${H_FILE} "#pragma once\n#include <stddef.h>\nextern const unsigned char ${SYMBOL}[];\nextern const size_t ${SYMBOL}_bytes;\n")
file(WRITE ${C_FILE} "#include \"${H_FILE}\"\nconst unsigned char ${SYMBOL}[] = {${bytes}0x00};\nconst size_t ${SYMBOL}_bytes = ${size};\n")
