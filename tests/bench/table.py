#!/usr/bin/env python3
"""Prints the rows that tests/bench/run has measured as one table, and writes them as JSON.

A row is a line of seven fields with tabs between: id, what, unit, ours, reference, ratio, reach; "-" where there is none.
"""
import argparse
import json
import pathlib

FIELDS = ("id", "what", "unit", "ours", "reference", "ratio", "reach")
HEADS = ("what", "ours", "reference", "ratio", "reach")


def number(text):
    """A figure as a number where it is one: of a mean with its spread, the mean; None for none."""
    try:
        return float(text.split()[0])
    except (ValueError, IndexError):
        return None


def with_unit(text, unit):
    if text == "-" or not unit:
        return text
    try:
        text = f"{float(text):.3g}" if abs(float(text)) < 10 else f"{float(text):.2f}"
    except ValueError:
        pass
    return f"{text} {unit}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", required=True)
    parser.add_argument("--json", type=pathlib.Path, required=True)
    parser.add_argument("rows", type=pathlib.Path)
    options = parser.parse_args()
    rows = [dict(zip(FIELDS, line.split("\t"))) for line in options.rows.read_text(encoding="utf-8").splitlines()]
    lines = [HEADS]
    for row in rows:
        lines.append((row["what"], with_unit(row["ours"], row["unit"]), with_unit(row["reference"], row["unit"]),
                      row["ratio"], row["reach"]))
    if options.size == "smoke":
        print("Sizes of the smoke test: the figures say nothing beside what these rows promise.")
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADS))]
    for line in lines:
        print(" | ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
    report = [{**row, "shown": row["ours"], **{key: number(row[key]) for key in ("ours", "reference", "ratio")}}
              for row in rows]
    options.json.write_text(json.dumps({"version": 1, "size": options.size, "rows": report}, indent=2) + "\n",
                            encoding="utf-8")


if __name__ == "__main__":
    main()
