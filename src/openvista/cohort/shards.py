"""Put the manifests of shards together, when all of them have ended."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from openvista.cohort.manifest import ENDED, Shard, headers, last_records, locked, manifest_path, manifests_in
from openvista.errors import InputError
from openvista.io.atomic import replacing


def merge_shards(folder: Path) -> tuple[dict[int, str], int]:
    """One ``manifest.jsonl`` of all shards' manifests, which are gone afterwards; the last line of each case is kept.

    Returns:
        The names of the classes, by id; and how many cases have not come to an end: their shard was stopped.

    Raises:
        InputError: there is no manifest of a shard; one of a shard is missing; a driver is still at work.
        OutputError: the manifest cannot be written.
    """
    found = manifests_in(folder)
    shards = {path: shard for path, shard in found.items() if shard is not None}
    if not shards:
        raise InputError(f"{folder}: no manifest of a shard is there; give the folder that --shard was run with")
    counts = {shard.count for shard in shards.values()}
    for count in counts:
        missing = sorted(set(range(count)) - {shard.index for shard in shards.values() if shard.count == count})
        if missing:
            some = ", ".join(f"{index}/{count}" for index in missing[:10])
            raise InputError(f"{folder}: shard {some} has left no manifest; run it first")
    target = manifest_path(folder, None)
    with ExitStack() as locks:
        for path in {target, *found}:
            locks.enter_context(locked(path))
        listed = max(sum(_last_header(path)["cases"] for path in _split(shards, count)) for count in counts)
        ended = 0
        first = {**_last_header(next(iter(shards))), "cases": listed}
        with replacing(target) as temporary, temporary.open("w", encoding="utf-8") as stream:
            stream.write(json.dumps(first) + "\n")
            for content in last_records(found):
                ended += content["state"] in ENDED
                stream.write(json.dumps(content, ensure_ascii=False) + "\n")
        for path, shard in shards.items():
            path.unlink()
            (folder / f"progress.{shard}.json").unlink(missing_ok=True)
    return {int(key): name for key, name in first["names"].items()}, max(0, listed - ended)


def _split(shards: dict[Path, Shard], count: int) -> list[Path]:
    return [path for path, shard in shards.items() if shard.count == count]


def _last_header(path: Path) -> dict[str, Any]:
    found = headers(path)
    if not found:
        raise InputError(f"{path}: has no header; run that shard again")
    return found[-1]
