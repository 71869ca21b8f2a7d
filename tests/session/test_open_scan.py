"""The memory an open scan says it takes is the memory it holds."""

import gc
import weakref
from collections.abc import Iterator
from types import FunctionType, ModuleType

import numpy as np
import pytest
import torch

from openvista.geometry.grid import Axis3, Grid
from openvista.scan import Scan
from openvista.session.session import Session
from small_evaluation import tiny_model

SMALL = 32_000
"""Bytes that do not count: the weights of a window, affines."""


@pytest.fixture
def session() -> Session:
    """With a class, and an object that clicks have made grow over several windows."""
    return work_in(open_on_noise((60, 50, 40)), (30, 25, 20), (10, 8, 8), (50, 40, 30))


def open_on_noise(shape: Axis3) -> Session:
    voxels = np.random.default_rng(0).integers(-800, 1200, shape).astype(np.int16)
    return tiny_model().open(Scan(voxels, Grid(shape, np.diag([2, 2, 2, 1.0]))))


def work_in(session: Session, *clicks: Axis3) -> Session:
    session.segment([1])
    session.new_object("lump")
    for voxel in clicks:
        session.click(voxel, "lump")
    return session


def held(session: Session) -> Iterator[np.ndarray | torch.Tensor]:
    """Every array that hangs on a session, but for model and scan, each once."""
    open_scan = session.open_scan
    queue, seen = [session], {id(open_scan.model), id(open_scan.scan), *map(id, vars(open_scan.model).values())}
    while queue:
        item = queue.pop()
        if id(item) in seen or isinstance(item, type | ModuleType | FunctionType | torch.nn.Module):
            continue
        seen.add(id(item))
        if isinstance(item, np.ndarray | torch.Tensor):
            yield item
        queue += gc.get_referents(item)


def real_bytes(session: Session) -> int:
    """Memory behind those arrays: views of one buffer count once, and the scan's own voxels not at all."""
    buffers = {}
    for array in held(session):
        array = array.numpy() if isinstance(array, torch.Tensor) else array
        while isinstance(array.base, np.ndarray):
            array = array.base
        buffers[array.ctypes.data] = max(array.nbytes, buffers.get(array.ctypes.data, 0))
    buffers.pop(session.open_scan.scan.voxels.ctypes.data, None)
    return sum(buffers.values())


def test_what_is_counted_is_what_is_held(session):
    assert session.open_scan.nbytes > 100_000
    assert real_bytes(session) <= session.open_scan.nbytes + SMALL


def test_a_session_is_gone_as_soon_as_nobody_holds_it():
    """Without waiting for a garbage collection: until then a server would hold what went to disk long ago."""
    session = work_in(open_on_noise((20, 18, 16)), (10, 8, 8))
    open_scan = weakref.ref(session.open_scan)
    gc.disable()
    try:
        del session
        assert open_scan() is None
    finally:
        gc.enable()


def test_what_is_forgotten_is_gone(session):
    before = real_bytes(session)
    session.open_scan.forget()
    assert real_bytes(session) < before
    assert real_bytes(session) <= session.open_scan.nbytes + SMALL


def test_caches_keep_to_their_limit_and_masks_stay(session):
    mask = session.mask("lump")
    session.open_scan.limit_caches(50_000)
    session.open_scan.forget()
    session.click((12, 10, 10), "lump")
    session.undo()
    assert np.array_equal(session.mask("lump"), mask)
    for cache in session.open_scan.object_masks.caches:
        assert cache.limit == 10_000
        assert cache.nbytes <= cache.limit or len(cache) == 1
