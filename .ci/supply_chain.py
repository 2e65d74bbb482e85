#!/usr/bin/env python3
"""Checks every package of Cargo.lock against deny.toml: licences, banned crates and versions, sources.

`cargo deny check` does this and asks the advisory database too; it is run when it is installed. It takes minutes to
build and needs the network, so this script is the gate: it needs Python 3.11 and cargo alone.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent


def licence_is_allowed(expression, allowed):
    """Evaluates an SPDX expression (`A OR (B AND C)`, and the old `A/B`) where each allowed licence is true."""
    tokens = re.findall(r"\(|\)|[A-Za-z0-9.+-]+(?: WITH [A-Za-z0-9.-]+)?", expression.replace("/", " OR "))
    words = {"OR": "or", "AND": "and", "(": "(", ")": ")"}
    return eval(" ".join(words.get(token) or str(token in allowed) for token in tokens), {"__builtins__": {}})


def is_banned(package, rule):
    """`name` bans every version, `name@<1.2.3` those below."""
    name, _, requirement = rule["crate"].partition("@")
    if package["name"] != name:
        return False
    if not requirement:
        return True
    if not requirement.startswith("<"):
        sys.exit(f"deny.toml: {rule['crate']}: only name and name@<version are understood")
    numbers = lambda text: [int(part) for part in re.findall(r"\d+", text.split("-")[0].split("+")[0])]
    return numbers(package["version"]) < numbers(requirement[1:])


def main():
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    allowed = set(rules["licenses"]["allow"])
    metadata = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"],
        cwd=ROOT, check=True, stdout=subprocess.PIPE,
    ).stdout
    packages = json.loads(metadata)["packages"]
    faults = []
    for package in packages:
        label = f"{package['name']} {package['version']}"
        licence = package["license"] or ""
        if not licence or not licence_is_allowed(licence, allowed):
            faults.append(f"{label}: licence {licence or 'unknown'!r} is not in deny.toml")
        for rule in rules["bans"]["deny"]:
            if is_banned(package, rule):
                faults.append(f"{label}: banned: {rule['reason']}")
        if package["source"] is not None and not package["source"].startswith("registry+"):
            faults.append(f"{label}: comes from {package['source']}, not from the registry")
    for fault in faults:
        print(fault)
    print(f"{len(packages)} packages, {len(faults)} faults")
    if shutil.which("cargo-deny"):
        database = subprocess.run(["cargo", "deny", "fetch"], cwd=ROOT, capture_output=True, text=True)
        if database.returncode == 0:
            faults += [1] * (subprocess.run(["cargo", "deny", "check"], cwd=ROOT).returncode != 0)
        else:
            print("SKIPPED: cargo deny check: the advisory database cannot be reached")
    else:
        print("SKIPPED: cargo deny check: cargo-deny is not installed (cargo install cargo-deny)")
    sys.exit(1 if faults else 0)


main()
