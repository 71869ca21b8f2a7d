"""Label maps as a source of training patches: which maps, which classes, how varied, how often a patch is used again.

What is drawn depends on the seed, the step and the patch's index in the step, and on nothing else. A drawn patch serves
several steps, because drawing takes longer than learning from it; which ones is decided by the same numbers. So a run
that goes on after a break draws what it would have drawn.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from openvista.errors import RecipeError
from openvista.geometry.grid import Float3
from openvista.synthesis.anatomy import Atlas, make_atlas
from openvista.synthesis.draws import Draws
from openvista.synthesis.maps import read_label_map
from openvista.synthesis.structure import DrawnStructure
from openvista.synthesis.synthetic_ct import Drawing, Subject, Variety, draw_ct, draw_whole, random_place
from openvista.synthesis.warp import Raster

logger = logging.getLogger(__name__)

POOL = 24
"""Patches of each index in a step that take turns."""

_PATCHES, _WHOLE = 1, 2
"""Seeds that keep the patches and the held-out drawings of a recipe apart."""


@dataclass(frozen=True)
class LabelMapFile:
    """A label map of a recipe.

    Attributes:
        path: the map, or a folder of masks.
        names: file that names its labels.
        weight: how often it is drawn, relative to the other maps.
        held_out: never learned from; drawings of it are validated on.
        complete: what it does not show is not there. Otherwise a class that it does not show is unknown in it.
        unknown: classes that it shows in part only.
    """

    path: Path
    names: Path | None = None
    weight: float = 1.0
    held_out: bool = False
    complete: bool = False
    unknown: tuple[int, ...] = ()


@dataclass(frozen=True)
class Synthesis(Variety):
    """How a recipe draws from its label maps; the keys of :class:`Variety`, and these.

    Attributes:
        share: of all patches that are synthetic.
        reuse: so many steps learn from a drawn patch, on average; its intensities change each time.
        around_structure: share of patches centred on one of the classes' structures; the others on the trunk's middle.
        held_out_drawings: whole synthetic CT to validate on, of each held-out map.

    Raises:
        RecipeError: a share is not from 0 to 1, or ``reuse`` or the number of drawings is too low.
    """

    share: float = 0.5
    reuse: float = 3.0
    around_structure: float = 0.8
    held_out_drawings: int = 2

    def __post_init__(self) -> None:
        if self.reuse < 1:
            raise RecipeError(f"synthesis: reuse is {self.reuse:g}: give 1 or more steps for each patch")
        if self.held_out_drawings < 1:
            raise RecipeError(f"synthesis: held_out_drawings is {self.held_out_drawings}: give 1 or more")
        for key in ("share", "around_structure"):
            if not 0 <= getattr(self, key) <= 1:
                raise RecipeError(f"synthesis: {key} is {getattr(self, key):g}: give a share from 0 to 1")
        Variety(**{key: getattr(self, key) for key in Variety.__dataclass_fields__})


@dataclass(frozen=True, eq=False)
class LabelledDrawing:
    """A drawing with the classes of a recipe.

    Attributes:
        name: for messages.
        hu_XYZ: float16 HU.
        classes_XYZ: int16 class ids, 0 for none.
        pieces_XYZ: int16 everything that is drawn, by number.
        annotated: class ids that are known in it.
    """

    name: str
    hu_XYZ: Tensor
    classes_XYZ: Tensor
    pieces_XYZ: Tensor
    annotated: tuple[int, ...]


class PatchSource:
    """Draws patches of label maps, and whole bodies of held-out ones.

    Args:
        files: label maps; at least one that is not held out.
        structures: class id to names of the structures it is made of, as the vocabulary or the map calls them; ``*``
            stands for anything. Of a structure that fits several classes the first one counts.
        synthesis: how to draw.
        frame: voxels of a patch.
        seed: of everything that is drawn.

    Raises:
        ScanError: a map cannot be read, or cannot be drawn.
        RecipeError: all maps are held out, or no map shows a class.
    """

    def __init__(
        self,
        files: Sequence[LabelMapFile],
        structures: Mapping[int, Sequence[str]],
        synthesis: Synthesis,
        frame: Raster,
        seed: int,
    ) -> None:
        self.files = tuple(files)
        self.synthesis = synthesis
        self.frame = frame
        self.seed = seed
        if all(file.held_out for file in self.files):
            raise RecipeError("every label map is held out: leave one to learn from")
        maps = [read_label_map(file.path, file.names) for file in self.files]
        logger.info("preparing %d label maps for drawing", len(maps))
        self.atlas = make_atlas(maps)
        self.class_ids_S = with_mirror_images(classes_of(self.atlas.structures, structures), self.atlas)
        missing = set(structures) - set(self.class_ids_S.tolist())
        if missing:
            names = ", ".join(structures[min(missing)])
            raise RecipeError(f"structures: no label map shows {names}: check the spelling, or leave the class out")
        self.annotated = [self._known(index) for index in range(len(self.files))]
        self._learned = [index for index, file in enumerate(self.files) if not file.held_out]
        self._pool: OrderedDict[tuple[int, int], Future[LabelledDrawing]] = OrderedDict()
        self._lanes = 1  # how many patches a step takes, as far as we know
        self._lock = threading.Lock()

    @cached_property
    def _exchangeable(self) -> Atlas:
        """The bodies to learn from: held-out organs must not be seen in others."""
        return Atlas(self.atlas.structures, tuple(self.atlas.bodies[index] for index in self._learned))

    @cached_property
    def _wanted(self) -> list[list[int]]:
        """The numbers of the structures of each class."""
        ids = self.class_ids_S.unique().tolist()
        return [(self.class_ids_S == class_id).nonzero()[:, 0].tolist() for class_id in ids if class_id]

    def patch(self, step: int, index: int, turn: int) -> LabelledDrawing:
        """The patch of an index of a step: one of the pool's, which moves on as the steps do.

        Args:
            step: steps done before.
            index: place among the patches of the step.
            turn: which of the pool's, below ``POOL``; to be drawn at random.
        """
        number = int(step * self.synthesis.share / self.synthesis.reuse) + turn
        key = (number, index)
        with self._lock:
            found = self._pool.get(key)
            mine = found is None
            if found is None:
                found = self._pool[key] = Future()
            self._pool.move_to_end(key)
            self._lanes = max(self._lanes, index + 1)
            while len(self._pool) > 2 * POOL * self._lanes:
                self._pool.popitem(last=False)
        if mine:
            try:
                found.set_result(self._draw(number, index))
            except BaseException as error:
                found.set_exception(error)
                raise
        return found.result()

    def held_out(self, spacing: Float3) -> list[LabelledDrawing]:
        """Whole synthetic CT of the maps that are held out: the same in every run of the seed."""
        drawings = []
        for index, file in enumerate(self.files):
            for number in range(self.synthesis.held_out_drawings if file.held_out else 0):
                variety = Variety(strength=0.5 * self.synthesis.strength, exchange=0.0, mirror=0.0, slab=0.0, cut=0.0)
                draws = Draws(self.seed, _WHOLE, index, number)
                drawing = draw_whole(self.atlas, index, spacing, variety, draws)
                drawings.append(self._labelled(drawing, self.annotated[index], f"{drawing.body}, drawing {number}"))
        return drawings

    def _draw(self, number: int, index: int) -> LabelledDrawing:
        draws = Draws(self.seed, _PATCHES, number, index)
        chosen = draws.weighted([self.files[one].weight for one in self._learned])
        atlas = self._exchangeable
        place_3 = random_place(atlas.bodies[chosen], self._wanted, self.synthesis.around_structure, self.frame, draws)
        drawing = draw_ct(atlas, Subject(chosen, place_3), self.frame, self.synthesis, draws)
        return self._labelled(drawing, self.annotated[self._learned[chosen]], f"{drawing.body}, patch {number}.{index}")

    def _labelled(self, drawing: Drawing, annotated: tuple[int, ...], name: str) -> LabelledDrawing:
        classes_XYZ = self.class_ids_S[drawing.numbers_XYZ.long()]
        return LabelledDrawing(name, drawing.hu_XYZ.half(), classes_XYZ, drawing.pieces_XYZ, annotated)

    def _known(self, index: int) -> tuple[int, ...]:
        """Class ids that are known in a body; of a pair both or none, so that a mirrored drawing has the same."""
        file, body = self.files[index], self.atlas.bodies[index]
        every = {int(one) for one in self.class_ids_S if one}
        shown = {int(self.class_ids_S[number]) for number in body.places} - {0}
        twins_S = self.class_ids_S[self.atlas.twins_S.long()]
        twin = dict(zip(self.class_ids_S.tolist(), twins_S.tolist(), strict=True))
        unknown = set(file.unknown) | {twin.get(one, one) for one in file.unknown}
        known = (every if file.complete else {one for one in shown if twin[one] in shown}) - unknown
        return tuple(sorted(known))


def classes_of(structures: Sequence[DrawnStructure], patterns: Mapping[int, Sequence[str]]) -> Tensor:
    """Class id of every structure, int16 [S]; 0 for none.

    Args:
        structures: by number.
        patterns: class id to names, in which ``*`` stands for anything.
    """
    found = torch.zeros(len(structures), dtype=torch.int16)
    for number, structure in enumerate(structures):
        for class_id, names in patterns.items():
            if number and any(fnmatchcase(structure.name.casefold(), name.casefold()) for name in names):
                found[number] = class_id
                break
    return found


def with_mirror_images(class_ids_S: Tensor, atlas: Atlas) -> Tensor:
    """The same classes, also of mirror images that no map has: a heart is one with its appendage on either side."""
    twins_S = atlas.twins_S.long()
    sideless = set(class_ids_S[class_ids_S == class_ids_S[twins_S]].tolist()) - {0}
    shown = {number for body in atlas.bodies for number in body.places}
    result = class_ids_S.clone()
    for number, twin in enumerate(twins_S.tolist()):
        if number not in shown and not int(class_ids_S[number]) and int(class_ids_S[twin]) in sideless:
            result[number] = class_ids_S[twin]
    return result
