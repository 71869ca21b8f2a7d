"""The label map of a session, kept up to date box by box, so that a click costs what it changed."""

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from openvista.geometry.box import Box, Crop, minus
from openvista.session.label_maps import Composer, by_hand
from openvista.session.session import Session
from openvista.session.state import ObjectState, SessionState

_REMEMBERED = 256
"""Changes whose boxes are kept; a client that is further behind gets the whole volume."""


class LabelMap:
    """What the viewer shows: later objects on top, as :meth:`Session.segmentation` with policy "order" has it.

    Labels are decided voxel by voxel, so it can be done on a box.

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
        changed = self._compose(Box.hull(suspects)) if suspects else None
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
            return Box.whole(self._session.scan.grid.shape)
        boxes = [box for number, box in self._changes if number > revision and box is not None]
        return Box.hull(boxes) if boxes else None

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
            same_mask = old is not None and old.inputs == item.inputs
            moved = reordered or (old is not None and _rank(old) != _rank(item))
            if same_mask and not moved:
                continue
            if old is not None and not moved and old.inputs.unedited == item.inputs.unedited:
                suspects.append(self._session.open_scan.edits.box_between(old.inputs.edits, item.inputs.edits))
                self._measure(item)
                continue
            suspects.append(self._boxes.get(item.id, _NOTHING))
            if not same_mask:
                self._measure(item)
            suspects.append(self._boxes[item.id])
        return [box for box in suspects if box != _NOTHING]

    def _measure(self, item: ObjectState) -> None:
        voxels, boxes = 0, []
        for crop in self._session.open_scan.show(item).crops:
            inside_XYZ = crop.values_XYZ > 0
            voxels += int(np.count_nonzero(inside_XYZ))
            box = Box.around(inside_XYZ)
            boxes += [] if box is None else [box.shifted(crop.start)]
        self.voxels[item.id], self._boxes[item.id] = voxels, Box.hull(boxes)

    def _compose(self, box: Box) -> Box | None:
        """Decide the voxels of a box anew."""
        items = [item for item in self._state.objects if self._boxes[item.id].intersect(box)]
        composer = Composer(items, lambda item: self._cropped(item, box), box.shape, "order")
        found_XYZ = composer.labels()
        if found_XYZ.itemsize > self.labels_XYZ.itemsize:
            self.labels_XYZ = self.labels_XYZ.astype(found_XYZ.dtype, order="F")
        view_XYZ = self.labels_XYZ[box.slices()]
        differs = Box.around(view_XYZ != found_XYZ)
        view_XYZ[...] = found_XYZ
        return None if differs is None else differs.shifted(box.start)

    def _cropped(self, item: ObjectState, box: Box) -> Iterator[Crop]:
        """An object's logits on what it shares with a box, counted from the box's first voxel."""
        for crop in self._session.open_scan.show(item).crops:
            shared = crop.box.intersect(box)
            if shared is not None:
                yield Crop(minus(shared.start, box.start), crop.values_XYZ[shared.slices(crop.start)])


_NOTHING = Box((0, 0, 0), (0, 0, 0))


def _order(some: Iterable[int], others: Iterable[int]) -> list[int]:
    """The ids that both have, in the order of the first."""
    known = set(others)
    return [key for key in some if key in known]


def _rank(item: ObjectState) -> tuple[bool, bool]:
    """What decides, besides the order, who lies on top."""
    return (item.locked, by_hand(item))
