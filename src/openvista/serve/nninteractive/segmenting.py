"""Prompts of nnInteractive's protocol in the words of our sessions, and what they change in those of the protocol.

Its array is our scan: voxels keep their order. One object at a time; what the next one is, its client says by a reset.
Everything here runs in the session's turn.
"""

import json
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openvista.errors import PromptError
from openvista.geometry.box import Box
from openvista.inference.progress import Report
from openvista.prompts import Click, is_inside, shown_voxel
from openvista.scan import Segmentation
from openvista.serve.nninteractive.leases import Lease
from openvista.serve.nninteractive.packed import pack
from openvista.serve.workspace import Workspace
from openvista.session.drawing import draw_box, draw_lasso, draw_scribble

META_HEADER = "X-Meta"
_MOST_PENDING = 64
_OBJECT = "object"

Ranges = list[tuple[float, float]]
"""(first, stop) along each axis of the array, half-open."""


# --- prompts ------------------------------------------------------------------------------------------------------


def point_clicks(voxel: tuple[float, float, float], lease: Lease, positive: bool) -> list[Click]:
    """A point.

    Raises:
        PromptError: it lies outside the image.
    """
    click = Click(voxel, positive)
    if not is_inside(click, lease.shape):
        raise PromptError(f"point {shown_voxel(voxel)} lies outside the image of shape {lease.shape}")
    return [click]


def box_clicks(box: Ranges, lease: Lease, positive: bool) -> list[Click]:
    """A box, cut at the image's edge.

    Raises:
        PromptError: it is empty or lies outside the image.
    """
    inside = [(max(first, 0), min(stop, size)) for (first, stop), size in zip(box, lease.shape, strict=True)]
    if any(first >= stop for first, stop in inside):
        raise PromptError(f"box {[list(side) for side in box]} has no voxel in the image of shape {lease.shape}")
    return draw_box(inside, lease.shape, positive).marked


def mask_clicks(kind: str, mask: NDArray[np.bool_], where: Ranges | None, lease: Lease, positive: bool) -> list[Click]:
    """A scribble or a lasso.

    Args:
        kind: ``"scribble"`` or ``"lasso"``.
        mask: what was drawn, on the whole image or on a box of it.
        where: that box.
        lease: whose.
        positive: its sign.

    Raises:
        PromptError: the mask does not fit its box or the image, is empty, or, of a lasso, lies on several slices.
    """
    box = [(0.0, float(size)) for size in lease.shape] if where is None else where
    sides = tuple(stop - first for first, stop in box)
    outside = any(first < 0 or stop > size for (first, stop), size in zip(box, lease.shape, strict=True))
    if sides != mask.shape or outside or any(first != int(first) for first, _ in box):
        ranges = [list(side) for side in box]
        raise PromptError(f"a {kind} of shape {mask.shape} at {ranges} does not fit the image of shape {lease.shape}")
    drawn = draw_scribble(mask, positive) if kind == "scribble" else draw_lasso(mask, lease.shape, positive)
    (x, _), (y, _), (z, _) = box
    clicks = []
    for click in drawn.clicks:
        u, v, w = click.voxel
        clicks.append(replace(click, voxel=(u + x, v + y, w + z), drawn=True))
    return clicks


def wait_for_prediction(lease: Lease, clicks: list[Click]) -> None:
    """Keep a prompt that is answered later, together with others.

    Raises:
        PromptError: too many wait.
    """
    if len(lease.pending) >= _MOST_PENDING:
        raise PromptError(f"{_MOST_PENDING} prompts wait already: predict first")
    lease.pending.append(clicks)


# --- what changes the session -------------------------------------------------------------------------------------


def predict(lease: Lease, workspace: Workspace, progress: Report) -> bool:
    """Answer the prompts that wait, as one step to undo; whether there were any.

    Raises:
        ServiceError: 422, the network can use none of them.
    """
    clicks = [click for prompt in lease.pending for click in prompt]
    lease.pending.clear()
    if not clicks:
        return False
    past = workspace.session.history.past
    before = len(past)
    workspace.click_on(_the_object(workspace), clicks, lease.grow, progress)
    lease.steps.append(len(past) - before)  # none where the session is as it was
    return True


def undo(lease: Lease, workspace: Workspace) -> bool:
    """Take back the last prompt, or what was answered together; whether there was one."""
    if lease.pending:
        lease.pending.pop()
        return True
    if not lease.steps:
        return False
    for _ in range(lease.steps.pop()):
        workspace.undo()
    return True


def reset(lease: Lease, workspace: Workspace) -> None:
    """The next object: nothing is left of this one, in the session nor in the client's buffer."""
    _remove_objects(workspace)
    lease.forget_prompts()
    lease.revision = workspace.revision


def start_from(lease: Lease, workspace: Workspace, mask: NDArray[np.bool_]) -> None:
    """The object begins as a mask, which the client has in its buffer already; prompts before it are gone.

    Raises:
        PromptError: it has another shape than the image.
    """
    if mask.shape != lease.shape:
        raise PromptError(f"the mask has shape {mask.shape}, the image {lease.shape}")
    lease.pending.clear()
    steps = _remove_objects(workspace)
    if mask.any():
        workspace.start_from(Segmentation(mask.astype(np.uint8), workspace.session.scan.grid, {1: _OBJECT}))
        steps += 1
    lease.steps.append(steps)
    lease.revision = workspace.revision


def _remove_objects(workspace: Workspace) -> int:
    """How many there were."""
    objects = workspace.session.objects
    for item in objects:
        workspace.remove(item.id)
    return len(objects)


def _the_object(workspace: Workspace) -> int | None:
    objects = workspace.session.objects
    return objects[-1].id if objects else None


# --- answers ------------------------------------------------------------------------------------------------------


def changed_voxels(lease: Lease, workspace: Workspace) -> tuple[dict[str, str], bytes]:
    """Headers and body of an answer: what the client's buffer lacks. The lease's revision says what it has."""
    box = _changed_box(lease.revision, workspace)
    lease.revision = workspace.revision
    if box is None:
        return no_change(ran=True)
    values = (workspace.labels.labels_XYZ[box.slices()] > 0).astype(np.uint8)
    bounds = [[int(first), int(stop)] for first, stop in zip(box.start, box.stop, strict=True)]
    meta = {"ran_prediction": True, "bbox": bounds, "dtype": "uint8", "shape": list(values.shape)}
    return _meta(meta), pack(values)


def no_change(ran: bool) -> tuple[dict[str, str], bytes]:
    """The same where no voxel is different.

    Args:
        ran: whether anything was done.
    """
    return _meta({"ran_prediction": ran, "bbox": None}), b""


def _meta(meta: dict[str, Any]) -> dict[str, str]:
    return {META_HEADER: json.dumps(meta, separators=(",", ":"))}


def _changed_box(revision: int, workspace: Workspace) -> Box | None:
    if revision < 0:  # the client's buffer is empty
        return Box.around(workspace.labels.labels_XYZ > 0)
    return workspace.labels.since(revision)
