"""The label map of a session, kept up to date box by box, so that a click costs what it changed."""

from collections import deque
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from openvista.geometry.box import Part, around, box_slices, joint_box, shared_box
from openvista.geometry.grid import Axis3
from openvista.session.label_maps import Composer, by_hand
from openvista.session.session import Session
from openvista.session.state import ObjectState, SessionState

Box = tuple[Axis3, Axis3]
"""First voxel, and the one after the last."""

_REMEMBERED = 256
"""Changes whose boxes are kept; a client that is further behind gets the whole volume."""


class LabelMap:
    """What the viewer shows: later objects on top, as :meth:`Session.segmentation` with policy "order" has it.

    Composing is a matter of single voxels, so it may be done on a box.

    Args:
        session: whose objects; nothing is computed before :meth:`update`.

    Attributes:
        labels_XYZ: ids, as of the last update.
        revision: of the session at that time.
        voxels: how many each object's own mask has, by id, whatever lies over it.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.labels_XYZ: NDArray[np.unsignedinteger] = np.zeros(session.scan.grid.shape, dtype=np.uint8, order="F")
        self.revision = 0
        self.voxels: dict[int, int] = {}
        self._state = SessionState()
        self._boxes: dict[int, Box] = {}
        self._changes: deque[tuple[int, Box | None]] = deque(maxlen=_REMEMBERED)

    @property
    def nbytes(self) -> int:
        """Memory of the map."""
        return int(self.labels_XYZ.nbytes)

    def update(self) -> Box | None:
        """Catch up with the session.

        Returns:
            The box of voxels that have another id now; ``None`` if none has.
        """
        state, revision = self._session.state, self._session.revision
        if revision == self.revision:
            return None
        suspects = self._suspects(state)
        self._state = state
        changed = self._compose(joint_box(suspects)) if suspects else None
        self._changes.append((revision, changed))
        self.revision = revision
        return changed

    def since(self, revision: int) -> Box | None:
        """The box of voxels that may have changed after a revision; the whole volume if that is too long ago."""
        if revision >= self.revision:
            return None
        oldest = self._changes[0][0] if self._changes else self.revision + 1
        complete = len(self._changes) < _REMEMBERED or revision >= oldest
        if revision < 0 or not complete:
            return (0, 0, 0), self._session.scan.grid.shape
        boxes = [box for number, box in self._changes if number > revision and box is not None]
        return joint_box(boxes) if boxes else None

    def _suspects(self, state: SessionState) -> list[Box]:
        """Boxes of objects that look different, came, went, or changed places with others."""
        before = {item.id: item for item in self._state.objects}
        now = {item.id: item for item in state.objects}
        suspects = [self._boxes.pop(key) for key in before.keys() - now.keys()]
        for key in before.keys() - now.keys():
            self.voxels.pop(key, None)
        reordered = _order(before, now) != _order(now, before)
        for item in state.objects:
            old = before.get(item.id)
            same_mask = old is not None and old.description == item.description
            if not same_mask:
                suspects.append(self._boxes.get(item.id, _NOTHING))
                self._measure(item)
            if not same_mask or reordered or (old is not None and _rank(old) != _rank(item)):
                suspects.append(self._boxes[item.id])
        return [box for box in suspects if box != _NOTHING]

    def _measure(self, item: ObjectState) -> None:
        part = self._session.bench.show(item)
        inside_XYZ = part.values_XYZ > 0
        self.voxels[item.id] = int(np.count_nonzero(inside_XYZ))
        box = around(inside_XYZ)
        if box is None:
            self._boxes[item.id] = _NOTHING
        else:
            x, y, z = (a + o for a, o in zip(box[0], part.start, strict=True))
            u, v, w = (a + o for a, o in zip(box[1], part.start, strict=True))
            self._boxes[item.id] = ((x, y, z), (u, v, w))

    def _compose(self, box: Box) -> Box | None:
        """Decide the voxels of a box anew."""
        start, stop = box
        items = [item for item in self._state.objects if shared_box(*self._boxes[item.id], start, stop)]
        x, y, z = (b - a for a, b in zip(start, stop, strict=True))
        composer = Composer(items, lambda item: self._cropped(item, box), (x, y, z), "order")
        found_XYZ = composer.labels()
        if found_XYZ.itemsize > self.labels_XYZ.itemsize:
            self.labels_XYZ = self.labels_XYZ.astype(found_XYZ.dtype, order="F")
        view_XYZ = self.labels_XYZ[box_slices(start, stop)]
        differs = around(view_XYZ != found_XYZ)
        view_XYZ[...] = found_XYZ
        if differs is None:
            return None
        a, b, c = (first + o for first, o in zip(differs[0], start, strict=True))
        d, e, f = (last + o for last, o in zip(differs[1], start, strict=True))
        return (a, b, c), (d, e, f)

    def _cropped(self, item: ObjectState, box: Box) -> Part:
        """An object's logits on what it shares with a box, counted from the box's first voxel."""
        part = self._session.bench.show(item)
        shared = shared_box(part.start, part.stop, *box)
        if shared is None:
            return Part.nothing(part.values_XYZ.dtype)
        values_XYZ = part.values_XYZ[box_slices(*shared, origin=part.start)]
        x, y, z = (a - o for a, o in zip(shared[0], box[0], strict=True))
        return Part((x, y, z), values_XYZ)


_NOTHING: Box = ((0, 0, 0), (0, 0, 0))


def _order(some: Iterable[int], others: Iterable[int]) -> list[int]:
    """The ids that both have, in the order of the first."""
    known = set(others)
    return [key for key in some if key in known]


def _rank(item: ObjectState) -> tuple[bool, bool]:
    """What decides, besides the order, who lies on top."""
    return (item.locked, by_hand(item))
