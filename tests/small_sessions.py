"""What tests of sessions share: a tiny network with both branches, and one that sees brightness instead of anatomy.

``BrightRegions`` answers clicks as a perfect network would on made-up scans: the bright component under each positive
click, without a ball around each negative one, and only inside its window. So the geometry of windows, growing and
merging can be tested with masks that make sense.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage

from openvista.anatomy import official_vocabulary
from openvista.geometry.grid import Axis3, Grid
from openvista.inference.profiles import BEST, Profile
from openvista.model import Model
from openvista.network import ClickLabel, Preset, build
from openvista.scan import Scan
from openvista.session.click_engine import WindowClick
from openvista.session.open_scan import SessionModel
from openvista.session.session import Session
from openvista.weights import ModelCard
from small_inference import HALF_STORAGE

TWO_BRANCHES = Preset(
    name="two-branches",
    filters=8,
    blocks_per_level=(1, 1),
    window=(16, 16, 16),
    spacing=(2.0, 2.0, 2.0),
    class_rows=140,
)
CARD = ModelCard.from_preset(TWO_BRANCHES, classes=(1, 3, 24), name="tiny")
AFFINE = np.diag([-2.1, -1.7, 2.6, 1.0])
SHAPE = (30, 22, 16)
BRIGHT, DARK = 300, -50
"""HU of objects and of what surrounds them, in made-up scans."""


@dataclass(frozen=True)
class SeenWindow:
    image_XYZ: torch.Tensor
    nbytes: int


class BrightRegions:
    """See the module. Counts windows that were encoded and questions that were asked."""

    def __init__(self, window: Axis3 = (16, 16, 16), hu_window: tuple[float, float] = TWO_BRANCHES.hu_window) -> None:
        self.window = window
        low, high = hu_window
        self.threshold = ((BRIGHT + DARK) / 2 - low) / (high - low)
        self.encoded = 0
        self.asked: list[tuple[WindowClick, ...]] = []

    def encode(self, window_XYZ: torch.Tensor) -> SeenWindow:
        self.encoded += 1
        return SeenWindow(window_XYZ.clone(), window_XYZ.numel() * 4)

    def answer(self, features: SeenWindow, clicks: Sequence[WindowClick], zero_shot: bool) -> torch.Tensor:
        self.asked.append(tuple(clicks))
        pieces, _ = ndimage.label(features.image_XYZ.numpy() > self.threshold, np.ones((3, 3, 3)))
        inside = np.zeros(pieces.shape, dtype=bool)
        places = np.stack(np.indices(pieces.shape), -1)
        for click in clicks:
            if click.label in (ClickLabel.POSITIVE, ClickLabel.SPECIAL_POSITIVE):
                found = pieces[tuple(min(int(p + 0.5), n - 1) for p, n in zip(click.place, pieces.shape, strict=True))]
                inside |= (pieces == found) & (found > 0)
        for click in clicks:
            if click.label in (ClickLabel.NEGATIVE, ClickLabel.SPECIAL_NEGATIVE):
                inside &= ((places - np.array(click.place)) ** 2).sum(-1) > 3.5**2
        return torch.from_numpy(np.where(inside, 4.0, -4.0).astype(np.float32))


def bright_scan(inside_XYZ: np.ndarray, affine: np.ndarray | None = None) -> Scan:
    """A scan that is bright where the mask says so."""
    voxels = np.where(inside_XYZ, BRIGHT, DARK).astype(np.int16)
    return Scan(voxels, Grid(voxels.shape, np.diag([2.0, 2.0, 2.0, 1.0]) if affine is None else affine), "made-up")


def bright_session(scan: Scan, network: BrightRegions | None = None, profile: Profile = BEST) -> Session:
    """A session on a made-up scan with the network that sees brightness."""
    network = BrightRegions() if network is None else network
    preset = replace(TWO_BRANCHES, window=network.window)
    model = SessionModel("bright", "b" * 64, preset, official_vocabulary(), torch.float16, None, network)
    return Session(model, scan, profile)


def two_branches_model(seed: int = 4) -> Model:
    """A random model that answers class prompts and clicks."""
    network = build(TWO_BRANCHES, seed=seed)
    with torch.no_grad():
        network.class_head.linear2.weight *= 5  # so that classes differ
    return Model(network, CARD, HALF_STORAGE)


def ball(shape: Axis3, centre: Sequence[float], radius: float) -> np.ndarray:
    """True inside a ball."""
    places = np.stack(np.indices(shape), -1)
    return ((places - np.array(centre)) ** 2).sum(-1) <= radius**2


def two_balls() -> Scan:
    return bright_scan(ball((40, 40, 30), (10, 12, 14), 5) | ball((40, 40, 30), (30, 28, 15), 6))


def picture(session: Session) -> dict[str, bytes]:
    """All that users can see of the masks."""
    return {item.name: item.mask.tobytes() for item in session.objects}
