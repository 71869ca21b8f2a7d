"""Protocol ``sam2-iterative``: how the authors of VISTA3D judged SAM 2 on CT (He et al. 2024, arXiv 2408.11210).

A simulated user annotates slices, up to eight. On the slice through the structure's middle there is a click in it, then
up to three corrections, each in the middle of the larger of what is missing and what is too much there. The object is
tracked through all slices. From then on, the slice with the lowest Dice gets up to three clicks (middle of what is
missing, of what is too much, and anywhere in the larger of the two), and everything is tracked again. Errors are eroded
by 3×3 pixels first, so an error that is thin is not clicked on.

Only slices with truth are clicked on. With the habit ``no-background`` the others are not shown at all (the report's
switch "saliency"), which uses the truth; without it they are shown, and whatever is found there counts.
"""

import zlib
from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from openvista.evaluate.answers import Answer, Settings
from openvista.evaluate.clicking import Habit
from openvista.evaluate.labelled import LabelledScan
from openvista.evaluate.meter import Meter
from openvista.evaluate.sam2 import Mask, Point, Sam2, Video
from openvista.geometry.components import label_components
from openvista.metrics.masks import dice

FIRST_ROUNDS = 4
"""Clicks on the first slice at most."""
_ERODER = np.ones((3, 3), bool)


def answer_slices(sam2: Sam2, labelled: LabelledScan, settings: Settings, meter: Meter) -> Iterator[Answer]:
    """One object at a time; after n annotated slices its mask on the whole scan."""
    for structure in labelled.structures:
        truth = labelled.truth(structure)
        if not truth.any():
            continue
        shown = np.arange(truth.shape[2])
        if Habit.NO_BACKGROUND in settings.habits:
            shown = np.flatnonzero(truth.any(axis=(0, 1)))
        offset = structure.region[2].start
        random = np.random.default_rng([settings.seed, zlib.crc32(labelled.name.encode()), structure.class_id])
        before, best = meter.seconds, np.zeros((*truth.shape[:2], len(shown)), bool)
        video = Video(sam2, labelled.scan, (shown + offset).tolist())
        rounds = _annotate(video, truth[:, :, shown], random, meter)
        for count in range(1, settings.clicks[-1] + 1):
            masks = next(rounds, best)
            if Habit.BEST not in settings.habits or dice(masks, truth[:, :, shown]) > dice(best, truth[:, :, shown]):
                best = masks
            if count in settings.clicks:
                yield Answer(structure, _on_scan(best, shown + offset, labelled), count, meter.seconds - before)


def _annotate(video: Video, truth_HWT: Mask, random: np.random.Generator, meter: Meter) -> Iterator[Mask]:
    """Masks of the slices shown after one more slice was annotated; ends when there is nothing to click on."""
    row, column, frame = _middle(truth_HWT)
    points: dict[int, list[Point]] = {frame: [(row, column, True)]}
    with meter.on():
        for _ in range(FIRST_ROUNDS):
            video.forget()
            mask_HW = video.click(frame, points[frame])
            missing, superfluous = _errors(truth_HWT[:, :, frame], mask_HW)
            larger = missing if missing.sum() > superfluous.sum() else superfluous
            if not larger.any() or len(points[frame]) == FIRST_ROUNDS:
                break
            points[frame].append((*_centre(larger), larger is missing))
        masks_HWT = video.track()
    while True:
        yield masks_HWT
        frame = _worst(truth_HWT, masks_HWT)
        new = _corrections(truth_HWT[:, :, frame], masks_HWT[:, :, frame], random)
        if not new:
            return
        points.setdefault(frame, []).extend(new)
        with meter.on():
            video.click(frame, points[frame])
            masks_HWT = video.track()


def _middle(truth_HWT: Mask) -> tuple[int, int, int]:
    """The voxel of the largest component that is nearest to its mean."""
    labels, _ = label_components(truth_HWT)
    voxels = np.argwhere(labels == np.bincount(labels.ravel())[1:].argmax() + 1)
    row, column, frame = voxels[((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1).argmin()].tolist()
    return row, column, frame


def _errors(truth_HW: Mask, mask_HW: Mask) -> tuple[Mask, Mask]:
    """What is missing and what is too much, eroded."""
    missing = ndimage.binary_erosion(truth_HW & ~mask_HW, _ERODER)
    return missing, ndimage.binary_erosion(mask_HW & ~truth_HW, _ERODER)


def _centre(error_HW: Mask) -> tuple[int, int]:
    """The pixel of an error that is nearest to its mean."""
    pixels = np.argwhere(error_HW)
    row, column = pixels[((pixels - pixels.mean(axis=0)) ** 2).sum(axis=1).argmin()].tolist()
    return row, column


def _corrections(truth_HW: Mask, mask_HW: Mask, random: np.random.Generator) -> list[Point]:
    missing, superfluous = _errors(truth_HW, mask_HW)
    points = [(*_centre(error), positive) for error, positive in ((missing, True), (superfluous, False)) if error.any()]
    larger = missing if missing.sum() > superfluous.sum() else superfluous
    if larger.any():
        pixels = np.argwhere(larger)
        row, column = pixels[random.integers(len(pixels))].tolist()
        points.append((row, column, larger is missing))
    return points


def _worst(truth_HWT: Mask, masks_HWT: Mask) -> int:
    """The slice with truth whose Dice is lowest; of those that are equally bad the one with the most wrong pixels."""
    wrong = (truth_HWT ^ masks_HWT).sum(axis=(0, 1))
    frames = np.flatnonzero(truth_HWT.any(axis=(0, 1))).tolist()
    return min(frames, key=lambda t: (dice(masks_HWT[:, :, t], truth_HWT[:, :, t]), -wrong[t]))


def _on_scan(masks_HWT: Mask, slices: np.ndarray, labelled: LabelledScan) -> Mask:
    whole = np.zeros(labelled.labels_XYZ.shape, bool)
    whole[:, :, slices] = masks_HWT
    return whole
