"""Users at the same time, more than fit into memory or queue: what each gets is what they would get alone.

``benchmarks/serve_load.py`` is the long version of this, with figures.
"""

from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from serving import ct_file, running

from openvista.client import Client
from openvista.io import read_scan
from openvista.prompts import Click
from openvista.session.session import Session

USERS, CLICKS = 4, 4


def places(user: int) -> list[tuple[tuple[int, int, int], int]]:
    """Where a user clicks, on which class."""
    random = np.random.default_rng(user)
    voxels = random.integers(2, 12, size=(CLICKS, 3)).tolist()
    return [((x, y, z), int(random.choice((1, 5)))) for x, y, z in voxels]


def remotely(url: str, user: int, ct) -> list[np.ndarray]:
    with Client(url, patience=240) as client:
        session = client.open(client.upload(ct))
        session.segment(["liver", "brainstem"])
        seen = [session.labels.copy()]
        for voxel, which in places(user):
            session.click(voxel, which)
            seen.append(session.labels.copy())
        session.undo()
        return [*seen, session.labels.copy()]


def alone(session: Session, user: int) -> list[np.ndarray]:
    session.segment(["liver", "brainstem"])
    seen = [session.segmentation().labels]
    for voxel, which in places(user):
        session.clicks([Click(voxel)], which)
        seen.append(session.segmentation().labels)
    session.undo()
    return [*seen, session.segmentation().labels]


@pytest.mark.parametrize("queue", [32, 1])
def test_nothing_is_mixed_up(two_branches, tmp_path, queue):
    """Four users on two scans; memory for two sessions; with a queue of one the clients hear 429 and come again."""
    scans = [ct_file(tmp_path / f"{number}.nii.gz", seed=number) for number in range(2)]
    choices = {"models": (str(two_branches),), "precision": "float32", "state": tmp_path / "state"}
    with running(**choices, open_sessions=2, queue=queue) as server:
        with ThreadPoolExecutor(USERS) as pool:
            seen = list(pool.map(lambda user: remotely(server.url, user, scans[user % 2]), range(USERS)))
        page = httpx.get(f"{server.url}/metrics").text
        model = server.app.state.service.engine.model(None)
        expected = [alone(model.open(read_scan(scans[user % 2])), user) for user in range(USERS)]
    for mine, theirs in zip(seen, expected, strict=True):
        for step, (labels, wanted) in enumerate(zip(mine, theirs, strict=True)):
            assert np.array_equal(labels, wanted), f"step {step}"
    assert "openvista_sessions_evicted_total 0.0" not in page
    assert ("openvista_jobs_refused_total 0.0" in page) == (queue == 32)
    assert 'status="500"' not in page
