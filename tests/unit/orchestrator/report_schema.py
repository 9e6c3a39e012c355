"""Holds reports that the tests wrote against schemas/report.schema.json: report_schema.py SCHEMA REPORT...

Exit status 77: python3-jsonschema is not installed (the test is skipped)."""
import copy
import json
import sys

try:
    import jsonschema
except ImportError:
    print("python3-jsonschema is not installed")
    sys.exit(77)

with open(sys.argv[1], encoding="utf-8") as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)

SPOILED = [
    lambda report: report.update(version=2),
    lambda report: report.update(status="done"),
    lambda report: report.pop("timing"),
    lambda report: report["rounds"][0]["sites"][0].update(test_accuracy=1.5),
    lambda report: report["rounds"][0]["sites"][0].pop("epsilon_spent"),
    lambda report: report["rounds"][0].update(model_sha256="x"),
    lambda report: report["rounds"][0]["pooled"].update(confusion=[[-1]]),
]

MASKED = [
    lambda report: report["secure_aggregation"].pop("threshold"),
    lambda report: report["secure_aggregation"].update(ring=16),
    lambda report: report["secure_aggregation"].update(quantisation_bound=-1),
    lambda report: report["rounds"][0]["secure_aggregation"].update(attempts=0),
    lambda report: report["rounds"][0]["secure_aggregation"].pop("contributors"),
]

PRIVATE = [
    lambda report: report["privacy"].pop("epsilon"),
    lambda report: report["privacy"].update(mechanism="magic"),
    lambda report: report["privacy"].update(delta=0),
    lambda report: report["privacy"].update(metrics="exact"),
    lambda report: report["privacy"]["sites"][0].update(epsilon=-1),
    lambda report: report["rounds"][0]["pooled"]["noised"].update(standard_deviation=0),
    lambda report: report["rounds"][0]["pooled"]["noised"].pop("accuracy_standard_deviation"),
]

assert len(sys.argv) > 2
for path in sys.argv[2:]:
    with open(path, encoding="utf-8") as file:
        whole = json.load(file)
    validator.validate(whole)
    for number, spoil in enumerate(SPOILED
                                    + (MASKED if whole["secure_aggregation"] else [])
                                    + (PRIVATE if whole["privacy"] else [])):
        spoiled = copy.deepcopy(whole)
        spoil(spoiled)
        assert not validator.is_valid(spoiled), f"spoiled report {number} passes"
print(len(sys.argv) - 2, "reports agree with the schema")
