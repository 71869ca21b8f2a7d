"""The item that asks a real server: ``openvista serve`` on loopback, twice, the second time with a token."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exchange import Player, monai_label, native, nim, strangers
from tools import EXAMPLES, ROOT, array_sha, environment, exact, sha256

CT = EXAMPLES / "case_092_ct.nii.gz"
TOKEN = "token-of-the-script"
_SECONDS = 300


def http(work: Path) -> dict[str, Any]:
    """The exchange with each interface, and the description of all of them."""
    store = work / "store"
    store.mkdir()
    shutil.copy(CT, store / "case 1.nii.gz")
    places = [(str(work), "<work>"), (str(ROOT), "<root>")]
    found: dict[str, Any] = {}
    with _server(work, "--state", work / "state", "--datastore", store) as client:
        for play in (native, nim, monai_label):
            player = Player(client, places)
            play(player, CT)
            found[play.__name__] = player.records
        found["client"] = _client(str(client.base_url))
        player = Player(client, places)
        player.ask("GET", "/metrics")
        player.ask("GET", "/")
        found["pages"] = player.records
        document = client.get("/openapi.json").json()
        found["openapi"] = {"sha256": sha256(json.dumps(document, sort_keys=True).encode()), "document": document}
    with _server(work, "--state", work / "second", "--token", TOKEN) as client:
        player = Player(client, places)
        strangers(player, TOKEN)
        found["strangers"] = player.records
    return found


def _client(url: str) -> list[Any]:
    """What the Python client sees; it needs no torch."""
    from openvista.client import Client

    seen: list[Any] = []
    with Client(url, owner="another secret of the script") as client:
        scan = client.upload(CT)
        session = client.open(scan)
        acts = (
            lambda: session.segment(["spinal cord", "brainstem"]),
            lambda: session.click((26, 30, 28), object=session.new_object("lesion")),
            lambda: session.click((20, 30, 28), object="lesion", positive=False),
            lambda: session.box(((20, 30), (25, 35), (20, 30)), object="lesion"),
            lambda: session.undo(),
            lambda: session.change(session.objects[0], name="renamed"),
        )
        for act in acts:
            act()
            objects = [[item.id, item.name, item.voxels] for item in session.objects]
            seen.append([objects, array_sha(session.labels)])
        seen.append(exact(session.table()))
        client.remove(scan)
    return seen


@contextmanager
def _server(work: Path, *options: object) -> Iterator[Any]:
    """A server of its own, and a client of it."""
    import httpx

    command = [sys.executable, "-m", "openvista", "serve", "--port", "0", *map(str, options)]
    with (work / "server.txt").open("w") as log:
        started = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment(work), cwd=work
        )
    try:
        line = started.stdout.readline() if started.stdout else ""
        if " at " not in line:
            raise RuntimeError(f"the server did not start: {(work / 'server.txt').read_text()[-2000:]}")
        url = line.split(" at ")[1].strip().split("?")[0].rstrip("/")
        with httpx.Client(base_url=url, timeout=_SECONDS) as client:
            _wait(client)
            yield client
    finally:
        started.terminate()
        started.communicate(timeout=_SECONDS)


def _wait(client: Any) -> None:
    import httpx

    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        try:
            if client.get("/v1/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise RuntimeError("the server did not become ready")
