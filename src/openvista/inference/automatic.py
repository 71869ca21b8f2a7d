"""Automatic segmentation of a whole scan: from Hounsfield units to class ids on the scan's own grid.

The path, in order: prepare (model grid, 0..1) → body (crop) → windows that the target needs (for few classes, only
those near what is found) → encode and stitch, slab by slab → decide and bring back, slab by slab → drop strays. Nothing
here has one value per class and voxel of the scan.
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from openvista.anatomy.catalogue import ONE_PIECE_IDS
from openvista.errors import DeviceError, first_line
from openvista.inference.class_maps import ClassMapFiller
from openvista.inference.device import plan_slab_rows, plan_storage
from openvista.inference.labelling import Decision, ExactLabels, SmoothLabels, label_table
from openvista.inference.profiles import Profile
from openvista.inference.progress import Progress, Report, silent
from openvista.inference.search import first_windows, search, search_bytes
from openvista.inference.stitching import Encode, Storage, stitch
from openvista.inference.strays import remove_strays
from openvista.inference.target import Target
from openvista.inference.window_network import WindowNetwork
from openvista.inference.windows import Windowed, cut_windows
from openvista.memory import free_memory
from openvista.prepare import Prepared, prepare
from openvista.scan import ClassMaps, Scan

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class WindowQuestion:
    """What is asked of every window.

    Attributes:
        class_ids: in the order in which equal logits are decided.
        encode: the network, giving features or the logits of these classes.
        channels: how many values per voxel it gives.
        decision: how they become classes.
    """

    class_ids: tuple[int, ...]
    encode: Encode
    channels: int
    decision: Decision


CHANNELS_PER_CLASS = 4
"""With at least so many feature channels per class, logits are stitched (benchmarks/crossover.py: between 3 and 12)."""


def ask(network: WindowNetwork, class_ids: Sequence[int]) -> WindowQuestion:
    """Stitch logits when few classes are asked for, else features: whichever is faster.

    Both give the same result, since stitching and the dot product with an embedding are linear. Logits pay the dot
    product in every window, where windows overlap several times; features pay it once per voxel.
    """
    embeddings_KC = network.embeddings(list(class_ids))
    classes, channels = embeddings_KC.shape
    chunk = network.compute.chunk
    if classes * CHANNELS_PER_CLASS <= channels:
        logger.info("stitching the logits of %d classes", classes)
        return WindowQuestion(
            tuple(class_ids),
            partial(network.stream_logits, embeddings_KC),
            classes,
            Decision(None, chunk),
        )
    logger.info("stitching %d features for %d classes", channels, classes)
    return WindowQuestion(tuple(class_ids), network.stream, channels, Decision(embeddings_KC, chunk))


def segment_scan(
    network: WindowNetwork,
    wanted: Scan | Target,
    class_ids: Sequence[int],
    profile: Profile,
    progress: Report = silent,
    one_piece_ids: Collection[int] = ONE_PIECE_IDS,
    maps: ClassMaps | None = None,
    prepared: Prepared | None = None,
) -> NDArray[np.unsignedinteger]:
    """Class ids [X, Y, Z], 0 = none, uint8 if ids fit, else uint16: on the scan's own grid, in its voxel order, or on
    the target's.

    Args:
        network: ready to compute.
        wanted: a scan, HU on its own grid, any orientation and spacing; or the grid and the part of it that are wanted.
        class_ids: what to look for, at least one; a voxel gets the one with the largest logit if that is above 0.
        profile: the choices.
        progress: called after every step.
        one_piece_ids: classes that are one connected thing; where the profile drops strays, theirs are.
        maps: to be filled with what the network says of these classes; strays stay in them.
        prepared: the scan as :func:`prepare_scan` gives it, where that is done.

    Raises:
        DeviceError: the GPU is too small for a single window, or the memory for the slab that is worked on.
        GridError: the scan is too large for this machine at the model's spacing.
    """
    progress(Progress("prepare", 0, 1))
    target, needed = wanted if isinstance(wanted, Target) else Target.of(wanted), None
    if prepared is None:
        prepared = prepare_scan(network, target.scan, profile, lambda: progress(Progress("prepare", 0, 1)))
    progress(Progress("prepare", 1, 1))
    question = ask(network, class_ids)
    if not target.is_whole_scan:
        needed, prepared = target.needed(prepared.grid), replace(prepared, scan_grid=target.box_grid)
        maps = None if maps is None else target.maps_part(maps)
    windowed = cut_windows(prepared, network.network.preset, profile, needed, network.compute.device)
    dtype = network.compute.storage_dtype
    device = plan_storage(network.compute, windowed.slab_bytes(question.channels, dtype))

    only_near = maps is None and may_search(windowed, question, one_piece_ids, device)

    def label(where: torch.device) -> NDArray[np.unsignedinteger]:
        storage, chosen = Storage(where, dtype), windowed
        if only_near:
            chosen = search(windowed, question.encode, question.decision, question.channels, storage, progress)
        return label_windowed(chosen, question, storage, progress, maps)

    labels = target.pasted(with_room_on_host(label, device))
    if profile.drop_strays:
        axes, signs = target.grid.ras_order  # so that the file's orientation does not matter
        labels_XYZ = labels.transpose(axes)[tuple(slice(None, None, sign) for sign in signs)]
        remove_strays(labels_XYZ, [target.grid.spacing[axis] for axis in axes], one_piece_ids)
    return labels


def may_search(
    windowed: Windowed, question: WindowQuestion, one_piece_ids: Collection[int], device: torch.device
) -> bool:
    """Whether windows that lie where none of the classes is may be left out.

    Only where the profile says so, for few classes (their logits are stitched) that are one connected thing each and
    whose strays are dropped: of others, a piece far from the rest counts. And only if it may save a window, and what
    windows say has room in a quarter of the free memory.
    """
    plan, profile = windowed.plan, windowed.profile
    if profile.everywhere or not profile.drop_strays or not set(question.class_ids) <= set(one_piece_ids):
        return False
    if question.decision.embeddings_KC is not None or len(first_windows(plan)) == len(plan.starts):
        return False
    free = free_memory(device)
    return free is None or search_bytes(plan, question.channels) <= free // 4


def prepare_scan(
    network: WindowNetwork, scan: Scan, profile: Profile, between: Callable[[], None] = lambda: None
) -> Prepared:
    """A scan as a network wants it; arguments are as for :func:`segment_scan` and :func:`openvista.prepare.prepare`.

    Raises:
        GridError: the scan is too large for this machine at the model's spacing.
    """
    preset = network.network.preset
    return prepare(scan, preset.spacing, preset.scaling, between=between, orient_first=profile.orient_first)


def label_windowed(
    windowed: Windowed,
    question: WindowQuestion,
    storage: Storage,
    progress: Report = silent,
    maps: ClassMaps | None = None,
) -> NDArray[np.unsignedinteger]:
    """A scan cut into windows to class ids on the scan's own grid: the loop over slabs."""
    prepared, plan = windowed.prepared, windowed.plan
    if not plan.starts:
        return np.zeros(prepared.scan_grid.shape, dtype=label_table(question.class_ids).dtype)
    began = time.monotonic()
    axis = plan.streaming_axis
    way_back = SmoothLabels if windowed.profile.mode == "smooth" else ExactLabels
    labels = way_back(prepared.grid, windowed.box, prepared.scan_grid, axis, question.decision, question.class_ids)
    filler = None if maps is None else ClassMapFiller(windowed, question.decision, maps)
    row_bytes = windowed.slab_bytes(question.channels, storage.dtype) // plan.window[axis]
    rows = plan_slab_rows(storage.device, row_bytes, plan.window[axis])
    for slab in stitch(windowed, question.encode, question.channels, storage, progress):
        for part in slab.parts(axis, rows):
            labels.add(part)
            if filler is not None:
                filler.add(part)
            del part
        progress(Progress("label", slab.first + slab.values_XYZC.shape[axis], plan.volume[axis]))
        del slab  # or it would live on while the next one is filled
    if not windowed.encoded:
        _tell_saved(len(plan.starts), windowed.left_out, time.monotonic() - began)
    return labels.result()


def _tell_saved(windows: int, left_out: int, seconds: float) -> None:
    if left_out:
        saved = seconds * left_out / windows
        logger.info(
            "%d windows in %.1f s; %d outside the region left out, about %.1f s", windows, seconds, left_out, saved
        )


def with_room_on_host(run: Callable[[torch.device], T], device: torch.device) -> T:
    """Run with sums on this device, and again with sums on the host when the GPU's memory is too small for them.

    Raises:
        DeviceError: it is too small even so.
    """
    host = torch.device("cpu")
    try:
        return run(device)
    except torch.OutOfMemoryError as error:
        reason = first_line(error)
        if device == host:
            raise DeviceError(f"the GPU's memory is too small for one window ({reason}); use --device cpu") from None
    logger.warning("out of GPU memory (%s): starting again with sums on the host", reason)
    torch.cuda.empty_cache()  # outside the handler, whose traceback would keep the tensors alive
    return with_room_on_host(run, host)
