"""Everything that a refactoring must not change, as one JSON file; and whether it has changed.

    python benchmarks/unchanged write before.json            # at the commit that is right
    python benchmarks/unchanged compare before.json          # later: one line per item, exit code 1 if one differs
    python benchmarks/unchanged compare before.json --only http --only help

Asks only what users see: the command line, ``import openvista``, HTTP. Numbers are compared exactly, so both runs must
be on the same machine with the same torch; every process has one thread. Takes three minutes on two cores.
"""

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from differences import differences
from items import challenge, demo, evaluation, files, help_texts, session, training, words
from server_item import http
from tools import ROOT, machine, package_folder

ITEMS: dict[str, Callable[[Path], Any]] = {
    "training": training,
    "demo": demo,
    "http": http,
    "session": session,
    "evaluate": evaluation,
    "help": help_texts,
    "words": words,
    "cvpr": challenge,
    "files": files,
}
LINES = 60


def run_item(name: str) -> dict[str, Any]:
    """One item in a folder of its own: what it gave, or the error that stopped it."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"unchanged-{name}-") as folder:
        try:
            result = {"result": ITEMS[name](Path(folder))}
        except Exception:  # noqa: BLE001 (an item that fails must not stop the others)
            result = {"error": traceback.format_exc()}
    print(f"  {name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return result


def run_items(names: Sequence[str], together: int) -> dict[str, Any]:
    """These items, some at the same time."""
    with ThreadPoolExecutor(together) as pool:
        found = dict(zip(names, pool.map(run_item, names), strict=True))
    return {"machine": machine(), "items": found}


def write(path: Path, names: Sequence[str], together: int) -> int:
    """Run the items and keep what they gave; items of the file that were not run stay in it."""
    found = run_items(names, together)
    failed = [name for name, item in found["items"].items() if "error" in item]
    for name in failed:
        print(f"{name}: failed\n{found['items'][name]['error']}")
    if path.exists():
        found["items"] = json.loads(path.read_text())["items"] | found["items"]
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if failed else 0


def compare(path: Path, names: Sequence[str], together: int) -> int:
    """Run the items again; 1 if one of them differs."""
    before = json.loads(path.read_text(encoding="utf-8"))
    if lines := list(differences(before["machine"], machine())):
        print("warning: not the machine of the file, numbers will differ:", *lines, sep="\n  ")
    missing = [name for name in names if name not in before["items"]]
    now = json.loads(json.dumps(run_items([name for name in names if name not in missing], together)))
    worst = 1 if lines or missing else 0
    for name in names:
        if name in missing:
            print(f"{name}: not in {path}")
            continue
        found = list(differences(before["items"][name], now["items"][name]))
        if "error" in now["items"][name] and not found:
            found = ["it fails now, as it did before"]
        print(f"{name}: {'DIFFERENT' if found else 'equal'}")
        print(*[f"    {line}" for line in found[:LINES]], sep="\n", end="\n" if found else "")
        if len(found) > LINES:
            print(f"    ... and {len(found) - LINES} lines more")
        worst = worst or int(bool(found))
    return worst


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("write", "compare"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--only", action="append", choices=list(ITEMS), help="only this item; repeatable")
    parser.add_argument("--together", type=int, default=2, help="items at the same time (default: 2)")
    asked = parser.parse_args()
    package = package_folder()
    print(f"asking {package}", file=sys.stderr)
    if ROOT not in package.parents:
        print(f"warning: this is not the package of {ROOT}; PYTHONPATH={ROOT / 'src'} takes that", file=sys.stderr)
    names = [name for name in ITEMS if not asked.only or name in asked.only]
    return {"write": write, "compare": compare}[asked.command](asked.file.resolve(), names, asked.together)


if __name__ == "__main__":
    sys.exit(main())
