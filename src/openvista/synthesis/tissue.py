"""What tissues look like in CT: a table of HU per tissue and contrast phase, and one patient's values drawn from it.

The ranges are those of means between patients, widened: a network that is to read any scanner has to see more than one
hospital's patients (domain randomisation, B. Billot et al., *SynthSeg*, Medical Image Analysis 86:102789, 2023).
Where the means come from:

- unenhanced organs of the abdomen: R. Lamba et al., *CT Hounsfield numbers of soft tissues on unenhanced abdominal CT
  scans*, American Journal of Roentgenology 203:1013-1020, 2014;
- contrast phases, vessels and organs: K.T. Bae, *Intravenous contrast medium administration and scan timing at CT*,
  Radiology 256:32-61, 2010;
- bone, cartilage, lung, fat, brain, fluids, from their composition: U. Schneider et al., *The calibration of CT
  Hounsfield units for radiotherapy treatment planning*, Physics in Medicine and Biology 41:111-124, 1996;
- muscle and fat, the usual thresholds of body composition: J. Aubrey et al., *Measurement of skeletal muscle radiation
  attenuation and basis of its biological variation*, Acta Physiologica 210:489-497, 2014.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from openvista.synthesis.draws import Draws
from openvista.synthesis.structure import DrawnStructure

Bounds = tuple[float, float]

PHASES = ("plain", "arterial", "venous", "delayed")
PHASE_SHARES = (0.4, 0.2, 0.3, 0.1)
"""How often each is drawn: a third of routine abdominal CT is without contrast, most of the rest portal venous."""


@dataclass(frozen=True)
class Tissue:
    """HU of a tissue.

    Attributes:
        plain, arterial, venous, delayed: lowest and highest mean of the inside, in HU, per contrast phase.
        wall: lowest and highest HU of the wall above the inside; for ``hollow`` tissues of the wall itself, without
            contrast.
        wall_mm: lowest and highest thickness of the wall; 0 for none.
        texture: lowest and highest deviation of what the eye sees as texture, in HU.
        shrinks_mm: how far the surface may lie inside the label, at most: labels of others are often generous.
        hollow: the inside holds fluid, gas or food; the wall takes up contrast.
    """

    plain: Bounds
    arterial: Bounds
    venous: Bounds
    delayed: Bounds
    texture: Bounds = (3, 15)
    wall: Bounds = (0, 0)
    wall_mm: Bounds = (0, 0)
    shrinks_mm: float = 2.0
    hollow: bool = False

    def inside(self, phase: str) -> Bounds:
        """Bounds of the mean in a phase."""
        bounds: Bounds = getattr(self, phase)
        return bounds


def _same(low: float, high: float, **more: object) -> Tissue:
    """A tissue that takes up no contrast worth mentioning."""
    bounds = (low, high)
    return Tissue(bounds, bounds, bounds, bounds, **more)  # type: ignore[arg-type]


def _hollow(texture: Bounds = (4, 40)) -> Tissue:
    return _same(-5, 45, texture=texture, wall=(20, 50), wall_mm=(1.5, 5), hollow=True)


_BONE = _same(60, 280, texture=(15, 80), wall=(80, 600), wall_mm=(1.5, 4), shrinks_mm=0.6)

TISSUES: dict[str, Tissue] = {
    "liver": Tissue((35, 70), (45, 90), (75, 135), (65, 110), (2, 12)),
    "spleen": Tissue((32, 58), (70, 160), (90, 145), (70, 110), (2, 12)),
    "kidney": Tissue((15, 45), (70, 150), (120, 220), (100, 200), (3, 25), (-10, 25), (4, 9)),
    "pancreas": Tissue((15, 50), (65, 130), (60, 115), (50, 90), (5, 40)),
    "adrenal gland": Tissue((-5, 38), (30, 90), (35, 95), (20, 60), (3, 12), shrinks_mm=0.5),
    "gallbladder": Tissue((-5, 25), (-5, 25), (-5, 25), (-5, 60), (1, 8), (10, 40), (0, 3)),
    "urine": Tissue((-5, 18), (-5, 20), (-5, 30), (50, 600), (1, 6), (15, 45), (1, 6), 1.0),
    "prostate": Tissue((22, 50), (30, 85), (40, 100), (40, 90), (3, 15)),
    "thyroid": Tissue((70, 130), (110, 200), (90, 180), (80, 150), (3, 15)),
    "gland": Tissue((-20, 45), (20, 100), (30, 110), (20, 90), (5, 30)),
    "artery": Tissue((28, 52), (180, 400), (100, 190), (70, 130), (1, 10), (0, 15), (0, 2), 0.6),
    "vein": Tissue((25, 50), (35, 140), (95, 190), (70, 130), (1, 14)),
    "heart": Tissue((25, 52), (110, 320), (85, 165), (70, 120), (3, 25), (-150, 0), (3, 12)),
    "lung": _same(-910, -720, texture=(10, 50), shrinks_mm=0.6),
    "airway": _same(-1010, -960, texture=(0, 10), wall=(300, 900), wall_mm=(0, 3), shrinks_mm=0.6),
    "esophagus": _hollow(),
    "stomach": _hollow(),
    "duodenum": _hollow(),
    "small bowel": _hollow(),
    "colon": _hollow(),
    "mixed bowel": _hollow(),
    "bone": _BONE,
    "cartilage": _same(50, 150, texture=(10, 40), wall=(-30, 120), wall_mm=(2, 4), shrinks_mm=0.6),
    "disc": _same(55, 130, texture=(3, 20)),
    "muscle": _same(15, 65, texture=(4, 35), wall=(-25, 0), wall_mm=(0, 4)),
    "spinal cord": _same(10, 42, texture=(2, 8), shrinks_mm=0.6),
    "brain": _same(18, 45, texture=(2, 10)),
    "cyst": _same(-5, 22, texture=(1, 5)),
    "lesion": Tissue((15, 55), (20, 120), (25, 110), (25, 100), (4, 25)),
    "fat": _same(-122, -85, texture=(3, 18)),
    "skin": _same(-20, 60),
    "other": _same(0, 70, texture=(4, 25)),
}
"""Every tissue by name. "mixed bowel" is what an atlas did not tell apart; "other" what its name does not tell."""

_ENHANCES = {"plain": 0.0, "arterial": 40.0, "venous": 40.0, "delayed": 30.0}
"""HU that the wall of a hollow organ takes up (Bae 2010)."""


@dataclass(frozen=True)
class Values:
    """What one patient's structures look like, each tensor by number of the structure (S).

    Attributes:
        phase: one of ``PHASES``.
        inside_S, wall_S: HU.
        wall_mm_S: thickness of the wall.
        texture_S: deviation in HU.
        shrink_mm_S: how far the surface lies inside the label.
        muscle, fat: HU of what no label names.
    """

    phase: str
    inside_S: Tensor
    wall_S: Tensor
    wall_mm_S: Tensor
    texture_S: Tensor
    shrink_mm_S: Tensor
    muscle: float
    fat: float


def draw_values(structures: tuple[DrawnStructure, ...], draws: Draws) -> Values:
    """Draw a patient's values.

    Args:
        structures: by number; number 0 is what no label names.
        draws: source of randomness.
    """
    phase = PHASES[draws.weighted(PHASE_SHARES)]
    of_tissue = {name: _draw_tissue(name, tissue, phase, draws) for name, tissue in TISSUES.items()}
    if draws.chance(0.3):  # beyond physiology
        spread = draws.uniform(5, 25)
        for row in of_tissue.values():
            shift = float(draws.normal(1)) * spread
            row[0] += shift
            row[1] += shift
    fatty = draws.chance(0.15)
    if fatty:
        of_tissue["liver"][0] -= draws.uniform(20, 45)
        of_tissue["liver"][1] = of_tissue["liver"][0]
    rows = torch.tensor([of_tissue[structure.tissue] for structure in structures])
    rows[:, :2] += draws.normal(len(structures))[:, None] * 4  # one muscle is not like the other
    inside_S, wall_S, wall_mm_S, texture_S, shrink_mm_S = rows.T.contiguous()
    muscle, fat = of_tissue["muscle"][0], of_tissue["fat"][0]
    return Values(phase, inside_S, wall_S, wall_mm_S, texture_S, shrink_mm_S, muscle, fat)


def _draw_tissue(name: str, tissue: Tissue, phase: str, draws: Draws) -> list[float]:
    """Inside, wall, thickness of the wall, texture, and how far the surface lies inside the label."""
    inside = draws.within(tissue.inside(phase))
    wall = draws.within(tissue.wall) + (0 if tissue.hollow else inside)
    if tissue.hollow:
        wall += _ENHANCES[phase] * draws.uniform(0.3, 1.4)
        if draws.chance(0.2):  # contrast agent that was drunk
            inside = draws.uniform(100, 400)
    elif name == "kidney" and phase == "arterial":  # the cortex comes first
        wall = inside + draws.uniform(40, 120)
    elif name == "artery" and draws.chance(0.2):  # calcified
        wall += draws.uniform(50, 250)
    elif (name == "artery" and phase == "plain") or tissue.wall == (0, 0):
        wall = inside
    thickness = draws.within(tissue.wall_mm)
    shrink = draws.uniform(0, tissue.shrinks_mm) if draws.chance(0.3) else 0.0
    return [inside, wall, thickness, draws.within(tissue.texture), shrink]
