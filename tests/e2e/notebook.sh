#!/usr/bin/env bash
# The notebook, top to bottom on the small subset; and no outputs are kept in the repository.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
execute_notebook 01_two_datasites.ipynb
/usr/bin/python3 - "$work/done.ipynb" <<'PY'
import json, sys
outputs = [o for c in json.load(open(sys.argv[1]))["cells"] for o in c.get("outputs", [])]
text = "".join("".join(o.get("text", [])) for o in outputs)
assert "2 DataSites Up and Running." in text
assert "=== FL epoch 5/5 ===" in text
images = [o for o in outputs if "image/png" in o.get("data", {})]
assert len(images) == 2, f"two figures are expected, {len(images)} came"
PY
if ss -Htlnp "sport = :$port" | grep -q datasite; then fail "the notebook left a datasite"; fi
