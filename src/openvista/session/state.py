"""The objects of a session, as plain values. Everything a mask depends on is in here, so a change is undone by going
back to an earlier value. Needs no torch."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from openvista.anatomy.catalogue import LAST_OFFICIAL_ID, SPECIAL_IDS
from openvista.anatomy.colours import Colour, colour_for
from openvista.anatomy.vocabulary import ClassItem, Vocabulary
from openvista.errors import AnatomyError, PromptError
from openvista.geometry.grid import Axis3, Float3
from openvista.prompts import Click

AUTOMATIC = "automatic"
"""The base of an object that the automatic branch made; any other base is the name of a mask in the session."""
UNNAMED = "object"
"""The name of the object that clicks without an object are on."""


@dataclass(frozen=True)
class ClickWindow:
    """A window in which the network answers an object's clicks.

    Attributes:
        start: its first voxel on the model grid.
        placed: positive clicks that growing put there, voxels of the model grid; none where a user's click opened it.
        anchors: places in the mask that a user's click corrects, in voxels of the model grid; none where the window
            holds nothing of a mask, and with rules that need none.
    """

    start: Axis3
    placed: tuple[Float3, ...] = ()
    anchors: tuple[Float3, ...] = ()


@dataclass(frozen=True)
class Correction:
    """An answer that later clicks corrected.

    Attributes:
        clicks: how many of the object's clicks it answered; 0 for the mask that the object started from.
        windows: its windows; none where the clicks belong to a mask that the object started from.
    """

    clicks: int
    windows: tuple[ClickWindow, ...]


@dataclass(frozen=True)
class AppliedEdit:
    """An edit of an object's mask that was carried out; what was asked for is in the log.

    Attributes:
        kind: ``"brush"``, ``"smooth"``, ...; see :mod:`openvista.session.edits`.
        decided: the name of the voxels that it decided, in the session.
        clicks: how many of the object's clicks came before it.
    """

    kind: str
    decided: str
    clicks: int


@dataclass(frozen=True)
class MaskInputs:
    """All that an object's mask depends on.

    Attributes:
        class_id: id of the class, ``None`` for an object without one.
        zero_shot: it is new to the network; else it counts as something the network was trained on.
        base: what the clicks correct: ``AUTOMATIC``, the name of a mask, or ``None`` for nothing.
        clicks: of the user, in voxels of the scan, oldest first.
        windows: where the network answers them, oldest first.
        corrections: the answers that the last clicks corrected, oldest first; none where all clicks count together.
        edits: of the mask, oldest first. The voxels that they decided lie over whatever clicks say, before or after.
    """

    class_id: int | None = None
    zero_shot: bool = False
    base: str | None = None
    clicks: tuple[Click, ...] = ()
    windows: tuple[ClickWindow, ...] = ()
    corrections: tuple[Correction, ...] = ()
    edits: tuple[AppliedEdit, ...] = ()

    @property
    def unedited(self) -> "MaskInputs":
        """What clicks alone make of it."""
        return replace(self, edits=()) if self.edits else self

    @property
    def previous(self) -> "MaskInputs | None":
        """The object before its last clicks; ``None`` if they correct no earlier answer."""
        if not self.corrections:
            return None
        *others, last = self.corrections
        return replace(self, clicks=self.clicks[: last.clicks], windows=last.windows, corrections=tuple(others))

    @property
    def special(self) -> bool:
        """Whether its clicks have labels of their own (paper facts §1)."""
        return self.class_id in SPECIAL_IDS


@dataclass(frozen=True)
class ObjectState:
    """One object.

    Attributes:
        id: its value in label maps.
        name: unique in the session, whatever the case of letters.
        colour: red, green, blue, 0..255.
        inputs: all that its mask depends on.
        locked: no prompt changes it, and on export no other object takes its voxels.
        visible: whether viewers should show it; exports hold it all the same.
    """

    id: int
    name: str
    colour: Colour
    inputs: MaskInputs = field(default_factory=MaskInputs)
    locked: bool = False
    visible: bool = True


@dataclass(frozen=True)
class SessionState:
    """All objects, in order: on export later ones lie on top.

    Attributes:
        objects: oldest first, unless somebody changed the order.
    """

    objects: tuple[ObjectState, ...] = ()

    def find(self, wanted: int | str) -> ObjectState | None:
        """An object by id or name."""
        for item in self.objects:
            if item.id == wanted or (isinstance(wanted, str) and item.name.casefold() == wanted.casefold()):
                return item
        return None

    def of_class(self, class_id: int) -> ObjectState | None:
        """The object of a class, whatever it is called."""
        return next((item for item in self.objects if item.inputs.class_id == class_id), None)

    def with_objects(self, items: Iterable[ObjectState]) -> "SessionState":
        """The state in which objects are as given: changed where they are, or added at the end."""
        objects = {item.id: item for item in self.objects}
        return SessionState(tuple((objects | {item.id: item for item in items}).values()))

    def without(self, object_id: int) -> "SessionState":
        """The state without an object."""
        return SessionState(tuple(item for item in self.objects if item.id != object_id))

    def moved(self, object_id: int, position: int) -> "SessionState":
        """The state with an object at another position of the order."""
        others = [item for item in self.objects if item.id != object_id]
        chosen = [item for item in self.objects if item.id == object_id]
        others[position:position] = chosen
        return SessionState(tuple(others))

    def free_id(self, wanted: int | None, taken: Iterable[int]) -> int:
        """``wanted`` if no object has it, else the first id above 132 that is neither used nor in ``taken``."""
        used = {item.id for item in self.objects}
        if wanted is not None and wanted not in used:
            return wanted
        blocked = used | set(taken)
        free = LAST_OFFICIAL_ID + 1
        while free in blocked:
            free += 1
        return free

    def free_name(self, wanted: str) -> str:
        """``wanted``, with a number behind it if an object is called so already."""
        name, number = wanted, 1
        while self.find(name) is not None:
            number += 1
            name = f"{wanted} {number}"
        return name


def find_object(state: SessionState, wanted: int | str) -> ObjectState:
    """An object that is there.

    Raises:
        PromptError: it is not.
    """
    found = state.find(wanted)
    if found is None:
        there = ", ".join(repr(item.name) for item in state.objects) or "none yet"
        raise PromptError(f"there is no object {wanted!r}; there is {there}")
    return found


def find_or_make(state: SessionState, vocabulary: Vocabulary, wanted: int | str | None, automatic: bool) -> ObjectState:
    """The object that a prompt is for; one for a class, or the unnamed one, is made where there is none yet.

    Args:
        state: the objects.
        vocabulary: the classes that may be asked for.
        wanted: id or name of an object, or of a class; ``None`` for the unnamed object.
        automatic: an object made for a class starts from its automatic result.

    Raises:
        PromptError: it is locked, or a group of classes.
        AnatomyError: neither an object nor a class is called so.
    """
    found = state.find(UNNAMED if wanted is None else wanted)
    if found is None and wanted is not None:
        found = _find_or_make_class(state, vocabulary, wanted, automatic)
    found = found or new_item(state, vocabulary, UNNAMED)
    if found.locked:
        raise PromptError(f"object {found.name!r} is locked: unlock it first")
    return found


def new_item(
    state: SessionState, vocabulary: Vocabulary, name: str, colour: Colour | None = None, zero_shot: bool = False
) -> ObjectState:
    """An object without a class and without clicks.

    Raises:
        PromptError: the name cannot be used.
    """
    object_id = state.free_id(None, vocabulary.ids)
    name = state.free_name(_checked_name(name))
    return ObjectState(object_id, name, colour or colour_for(object_id), MaskInputs(zero_shot=zero_shot))


def class_items(state: SessionState, vocabulary: Vocabulary, class_ids: Iterable[int]) -> list[ObjectState]:
    """Objects that start from the automatic result of classes: those that are there, and new ones. Clicks stay; locked
    objects stay as they are."""
    items = []
    for class_id in class_ids:
        item = state.of_class(class_id)
        if item is None:
            item = _class_item(state, vocabulary, class_id, automatic=True)
        elif not item.locked and item.inputs.base is None:
            item = replace(item, inputs=replace(item.inputs, base=AUTOMATIC))
        state = state.with_objects([item])
        items.append(item)
    return items


def renamed(state: SessionState, item: ObjectState, name: str) -> ObjectState:
    """An object with another name.

    Raises:
        PromptError: the name is empty, a number, or another object's.
    """
    name = _checked_name(name)
    other = state.find(name)
    if other is not None and other.id != item.id:
        raise PromptError(f"an object is called {other.name!r} already (id {other.id}): choose another name")
    return replace(item, name=name)


def _checked_name(name: str) -> str:
    """A name without blanks around it; not an empty one, nor a number, which would be mistaken for an id."""
    name = name.strip()
    if not name or name.isdecimal():
        raise PromptError(f"{name!r} cannot name an object: use a word, numbers are ids")
    return name


def _find_or_make_class(state: SessionState, vocabulary: Vocabulary, wanted: ClassItem, automatic: bool) -> ObjectState:
    try:
        parts = vocabulary.expand([wanted])
    except AnatomyError as error:
        raise AnatomyError(f"no object is called {wanted!r}, and {error}; or make a new object") from None
    if len(parts) > 1:
        names = ", ".join(vocabulary.name(part) for part in parts[:3])
        raise PromptError(f"{wanted!r} is a group: a click is for one of its parts, such as {names}")
    return state.of_class(parts[0]) or _class_item(state, vocabulary, parts[0], automatic)


def _class_item(state: SessionState, vocabulary: Vocabulary, class_id: int, automatic: bool) -> ObjectState:
    return ObjectState(
        id=state.free_id(class_id, vocabulary.ids),
        name=state.free_name(vocabulary.name(class_id)),
        colour=vocabulary.colour(class_id),
        inputs=MaskInputs(class_id=class_id, base=AUTOMATIC if automatic else None),
    )
