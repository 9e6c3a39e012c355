#!/usr/bin/env bash
# Every header compiles by itself. Usage: headers_alone.sh SOURCE_DIR PROTO_INCLUDE_DIR COMPILER
set -u
cd "$1" || exit 2
failed=0
while IFS= read -r header; do
  printf '#include "%s"\nint main(void);\n' "$header" |
    "$3" -std=c17 -D_GNU_SOURCE -fsyntax-only -Wall -Wextra -Werror -I. -isystem "$2" -include schemas/banned.h -x c - || {
    echo "$header does not compile by itself"
    failed=1
  }
done < <(find schemas console database crypto audit learning transport datasite orchestrator -name '*.h')
exit $failed
