#!/usr/bin/env python3
"""Writes the dashboards beside this file, or says how they differ from what it would write.

    dashboards/build.py            writes overview.json, calls.json, ...
    dashboards/build.py --check    writes nothing; exit code 1 and a line for each file that differs

Needs Python 3.9 or later and nothing else. The JSON is the product: people import it, and tests/it/dashboards reads it.
"""

import argparse
import json
import pathlib
import sys

sys.dont_write_bytecode = True

from builder import calls, cost, exophones, exporter, overview, sms, webhooks

HERE = pathlib.Path(__file__).resolve().parent
BOARDS = {
    "overview": overview.BOARD,
    "calls": calls.BOARD,
    "exophones": exophones.BOARD,
    "webhooks": webhooks.BOARD,
    "sms": sms.BOARD,
    "cost": cost.BOARD,
    "exporter": exporter.BOARD,
}


def text(board):
    """A board as it stands in its file."""
    return json.dumps(board.json(), indent=2, ensure_ascii=False) + "\n"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--check", action="store_true", help="write nothing, compare")
    check = arguments.parse_args().check
    faults = []
    for name, board in BOARDS.items():
        file, wanted = HERE / f"{name}.json", text(board)
        if not check:
            file.write_text(wanted, encoding="utf-8")
        elif not file.exists():
            faults.append(f"{file.name} is missing")
        elif file.read_text(encoding="utf-8") != wanted:
            faults.append(f"{file.name} is not what build.py writes")
    faults += [f"{file.name} is written by nobody" for file in sorted(HERE.glob("*.json")) if file.stem not in BOARDS]
    for fault in faults:
        print(f"{fault}; run dashboards/build.py", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
