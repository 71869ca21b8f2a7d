"""Whole scans answered window by window, each window with prompts of its own: for protocols that see the truth.

Shape letters: K structures, X Y Z voxels in RAS order.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openvista.evaluate.labelled_scan import LabelledScan, Structure
from openvista.geometry.box import minus, plus
from openvista.geometry.grid import Axis3, Float3, triple
from openvista.geometry.resample import resample_linear, resample_nearest
from openvista.inference.profiles import find_profile
from openvista.inference.windows import cut_windows, pad
from openvista.model import Model
from openvista.prepare import prepare

NO_PROMPT = -9999.0
"""Logit of a window without a prompt for a structure (paper facts §4)."""
_FLOOR = -20.0
"""Stitched logits are not let below it: interpolation must not carry the above into neighbours."""
AT_ONCE = 8
"""Structures whose logits are stitched together; more only cost memory."""


@dataclass(frozen=True, eq=False)
class Window:
    """What is known of one window.

    Attributes:
        index: its number.
        first: its first voxel on the model grid; negative where the scan is padded.
        image_XYZ: 0..1.
        labels_XYZ: label values of the data list, int32; 0 in padding.
    """

    index: int
    first: Axis3
    image_XYZ: Tensor
    labels_XYZ: Tensor

    def truth(self, structure: Structure) -> NDArray[np.bool_]:
        """The structure's mask in this window; all of what is marked, also beyond its region."""
        return np.isin(self.labels_XYZ.numpy(), structure.values)


Ask = Callable[[Window, Sequence[Structure]], Tensor]
"""A window and K structures to logits [K, X, Y, Z] on any device, ``NO_PROMPT`` for a structure without prompt."""


class WindowedScan:
    """A prepared scan with its truth, cut into windows.

    Args:
        model: for its preset; asking is up to whoever asks.
        labelled: scan and truth.
        profile: inference profile.

    Attributes:
        grid: the model grid.
    """

    def __init__(self, model: Model, labelled: LabelledScan, profile: str) -> None:
        preset, self.profile = model.network.network.preset, find_profile(profile)
        self.scan_grid = labelled.scan.grid
        prepared = prepare(labelled.scan, preset.spacing, preset.scaling)
        self.grid = prepared.grid
        self.windowed = cut_windows(prepared, preset, self.profile)
        self.plan = self.windowed.plan
        labels = torch.from_numpy(np.ascontiguousarray(labelled.labels_XYZ).astype(np.int32))
        labels_XYZ = resample_nearest(labels, self.scan_grid, self.grid)[self.windowed.box.slices()]
        self.labels_XYZ = pad(labels_XYZ, self.plan, "constant")

    def segment(self, structures: Sequence[Structure], ask: Ask) -> dict[int, NDArray[np.bool_]]:
        """Ask about every structure in every window and stitch; class id to mask on the scan's own grid.

        A voxel belongs to the structure with the largest logit if that is above 0.
        """
        exact = self.profile.mode == "exact"
        grid = self.grid if exact else self.scan_grid
        best, winner = torch.zeros(grid.shape), np.zeros(grid.shape, np.int32)
        for start in range(0, len(structures), AT_ONCE):
            some = structures[start : start + AT_ONCE]
            for structure, logits_XYZ in zip(some, self.stitch(some, ask), strict=True):
                if not exact:
                    logits_XYZ = resample_linear(logits_XYZ, self.grid, grid)
                better = logits_XYZ > best
                best[better] = logits_XYZ[better]
                winner[better.numpy()] = structure.class_id
        if exact:
            winner = resample_nearest(torch.from_numpy(winner), self.grid, self.scan_grid).numpy()
        return {structure.class_id: winner == structure.class_id for structure in structures}

    def __iter__(self) -> Iterator[tuple[Axis3, Window]]:
        for index, start in enumerate(self.plan.starts):
            inside = self.plan.slices(start)
            first = plus(minus(start, self.plan.pad_before), self.windowed.box.start)
            yield start, Window(index, first, self.windowed.image_XYZ[inside], self.labels_XYZ[inside])

    def on_model_grid(self, voxel: Axis3) -> Float3:
        """A voxel of the scan in voxels of the model grid, fractions allowed."""
        world = self.scan_grid.to_world(np.array([voxel]))
        return triple(self.grid.to_voxel(world)[0].tolist())

    def stitch(self, structures: Sequence[Structure], ask: Ask) -> Tensor:
        """Logits [K, X, Y, Z] on the whole model grid; where no window lies there is no prompt."""
        importance_XYZ = self.windowed.importance()
        total_XYZ = torch.zeros(self.plan.padded)
        sum_KXYZ = torch.zeros(len(structures), *self.plan.padded)
        for start, window in self:
            inside = self.plan.slices(start)
            sum_KXYZ[(slice(None), *inside)] += ask(window, structures).float().cpu() * importance_XYZ
            total_XYZ[inside] += importance_XYZ
        stitched_KXYZ = torch.where(total_XYZ > 0, sum_KXYZ / total_XYZ.clamp_min(1e-9), NO_PROMPT)
        stitched_KXYZ = stitched_KXYZ[(slice(None), *self.plan.inner.slices())]
        whole_KXYZ = torch.full((len(structures), *self.grid.shape), _FLOOR)
        whole_KXYZ[(slice(None), *self.windowed.box.slices())] = stitched_KXYZ.clamp_min(_FLOOR)
        return whole_KXYZ
