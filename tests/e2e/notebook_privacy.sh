#!/usr/bin/env bash
# The notebook about privacy, top to bottom on the small subset; and no outputs are kept in the repository.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
private=(--some)
execute_notebook 02_privacy.ipynb
/usr/bin/python3 - "$work/done.ipynb" <<'PY'
import json, sys
outputs = [o for c in json.load(open(sys.argv[1]))["cells"] for o in c.get("outputs", [])]
text = "".join("".join(o.get("text", [])) for o in outputs)
for wanted in ("pixels, unit norm          epsilon    1", "oriented gradients (HOG)   epsilon   10", "dp-sgd: noise multiplier",
               "by privacy loss distributions", "Records of"):
    assert wanted in text, wanted
images = [o for o in outputs if "image/png" in o.get("data", {})]
assert len(images) == 2, f"two figures are expected, {len(images)} came"
PY
