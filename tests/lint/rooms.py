#!/usr/bin/env python3
"""The rules of the rooms, enforced on the sources: who may include whom, which header has which owner, which functions
are banned, and that numbers leave a datasite only through `release`.

    rooms.py check DIR     lists violations of the tree below DIR, one "file:line: sentence" a line; status 1 if any
    rooms.py selftest      plants one violation of each rule in a temporary tree and expects it to be found
"""
import pathlib
import re
import sys
import tempfile

ROOMS = {
    "schemas": {"schemas"},
    "console": {"console", "schemas"},
    "database": {"database", "schemas"},
    "crypto": {"crypto", "schemas"},
    "audit": {"audit", "crypto", "schemas"},
    "learning": {"learning"},
    "transport": {"transport", "crypto", "schemas"},
    "datasite": {"datasite", "transport", "learning", "audit", "crypto", "database", "console", "schemas"},
    "orchestrator": {"orchestrator", "transport", "learning", "audit", "crypto", "database", "console", "schemas"},
}
# Headers of another room that a room may use although the room as a whole is closed to it.
SINGLE = {("learning", "schemas/error.h")}

# Third-party headers and the files that own them.
OWNERS = [
    (r"sqlite3\.h", r"(database/|(datasite|orchestrator)/store)"),
    (r"zmq\.h", r"transport/session"),
    (r"openssl/", r"(crypto/|transport/tunnel)"),
    (r"yaml\.h", r"schemas/"),
    (r"popt\.h", r"console/"),
    (r"(cblas|lbfgs)\.h", r"learning/"),
]

BANNED = re.compile(
    r"\b(strcpy|strncpy|strcat|strncat|sprintf|vsprintf|strtok|atoi|atol|atof|gets|rand|srand|gmtime|localtime|ctime|"
    r"system|popen|alloca)\s*\("
)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# What makes an outgoing update or evaluation, or wraps one: nobody but the airlock may build these messages.
RELEASED = re.compile(
    r"\bfds__(update|evaluation|metrics|masked_input|released)__(init|pack)\b|"
    r"\bFDS__(UPDATE|EVALUATION|METRICS|MASKED_INPUT|RELEASED)__INIT\b"
)
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")


def strip_comments(text):
    """Comments and string literals become blanks, lines stay where they are."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def check_include(name, room, quote, header):
    if quote == '"' and header.split("/")[0] in ROOMS:
        target = header.split("/")[0]
        if target not in ROOMS[room] and (room, header) not in SINGLE:
            yield f"{room}/ may not include {header}: the rooms it may use are {', '.join(sorted(ROOMS[room]))}"
    for pattern, owner in OWNERS:
        if re.match(pattern, header) and not re.match(owner, name):
            yield f"{header} is included only by files that match {owner}"


def check_file(root, path):
    name = path.relative_to(root).as_posix()
    room = name.split("/")[0]
    text = path.read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            for sentence in check_include(name, room, match.group(1), match.group(2)):
                yield f"{name}:{number}: {sentence}"
        if UNFINISHED.search(line):
            yield f"{name}:{number}: unfinished work is not marked in the source"
    if name == "schemas/banned.h":
        return
    for number, line in enumerate(strip_comments(text).splitlines(), 1):
        match = BANNED.search(line)
        if match:
            yield f"{name}:{number}: {match.group(1)} is banned; schemas/banned.h says what to use"
        if RELEASED.search(line) and room == "datasite" and not name.startswith("datasite/release"):
            yield f"{name}:{number}: only datasite/release*.c makes what leaves the site"


def check(root):
    root = pathlib.Path(root)
    found = []
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.[ch]")):
            found.extend(check_file(root, path))
    return found


PLANTED = [
    ("crypto/a.c", '#include "transport/session.h"\n', "crypto/ may not include"),
    ("learning/a.c", '#include "schemas/job.h"\n', "learning/ may not include"),
    ("datasite/a.c", '#include "orchestrator/engine.h"\n', "datasite/ may not include"),
    ("orchestrator/a.c", '#include "datasite/store.h"\n', "orchestrator/ may not include"),
    ("schemas/a.c", '#include "crypto/digest.h"\n', "schemas/ may not include"),
    ("datasite/serve.c", "#include <sqlite3.h>\n", "sqlite3.h is included only"),
    ("datasite/a.c", "#include <zmq.h>\n", "zmq.h is included only"),
    ("transport/session.c", "#include <openssl/ssl.h>\n", "openssl/ssl.h is included only"),
    ("learning/a.c", "void f(char *a) { strcpy(a, a); }\n", "strcpy is banned"),
    ("datasite/executor.c", "Fds__Update u = FDS__UPDATE__INIT;\n", "only datasite/release"),
    ("datasite/requests.c", "fds__evaluation__init(&e);\n", "only datasite/release"),
    ("datasite/step.c", "Fds__Released r = FDS__RELEASED__INIT;\n", "only datasite/release"),
    ("datasite/trainer_mask.c", "Fds__MaskedInput m = FDS__MASKED_INPUT__INIT;\n", "only datasite/release"),
    ("datasite/request_mask.c", "fds__masked_input__init(&m);\n", "only datasite/release"),
    ("datasite/a.c", "/* TODO */\n", "unfinished work"),
]
HARMLESS = [
    ("learning/b.c", '#include "schemas/error.h"\n/* strcpy( in a comment */\nconst char *s = "atoi(";\n'),
    ("datasite/release_check.c", "Fds__Update u = FDS__UPDATE__INIT;\n"),
    ("datasite/release_masked.c", "Fds__MaskedInput m = FDS__MASKED_INPUT__INIT;\n"),
    ("orchestrator/engine.c", "Fds__Update *u;\n"),
    ("datasite/store_job.c", "#include <sqlite3.h>\n"),
]


def selftest():
    for name, text, expected in PLANTED:
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, name)
            path.parent.mkdir()
            path.write_text(text, encoding="utf-8")
            found = check(directory)
            if len(found) != 1 or expected not in found[0]:
                return [f"planted in {name}: expected '{expected}', found {found}"]
    for name, text in HARMLESS:
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, name)
            path.parent.mkdir()
            path.write_text(text, encoding="utf-8")
            found = check(directory)
            if found:
                return [f"harmless {name} was found: {found}"]
    return []


def main(arguments):
    if arguments[:1] == ["selftest"]:
        found = selftest()
    elif len(arguments) == 2 and arguments[0] == "check":
        found = check(arguments[1])
    else:
        print(__doc__, file=sys.stderr)
        return 2
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
