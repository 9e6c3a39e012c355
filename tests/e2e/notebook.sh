#!/usr/bin/env bash
# The notebook, top to bottom on the small subset; and no outputs are kept in the repository.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
notebook=$DATASITE_SOURCE_DIR/notebooks/01_two_datasites.ipynb
/usr/bin/python3 - "$notebook" <<'PY'
import json, sys
for cell in json.load(open(sys.argv[1]))["cells"]:
    assert not cell.get("outputs"), "the notebook has outputs: strip them before committing"
    assert cell.get("execution_count") is None
PY
port=$(free_ports 2)
export DATASITE_NOTEBOOK_DATASET=subset DATASITE_NOTEBOOK_PORT=$port TMPDIR=$work
export JUPYTER_CONFIG_DIR=$work/jupyter JUPYTER_DATA_DIR=$work/jupyter IPYTHONDIR=$work/ipython JUPYTER_RUNTIME_DIR=$work/jupyter
cd "$DATASITE_SOURCE_DIR/notebooks"
/usr/bin/python3 -m nbconvert --to notebook --execute --ExecutePreprocessor.timeout=120 \
  --output-dir "$work" --output done.ipynb "$notebook" >"$work/nbconvert.log" 2>&1 || fail "the notebook failed"
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
