"""Which object is meant: by handle, id, name, or the name of a class. Needs no torch."""

from dataclasses import replace

from openvista.anatomy.colours import Colour, colour_for
from openvista.anatomy.vocabulary import ClassItem, Vocabulary
from openvista.errors import AnatomyError, PromptError
from openvista.inference.objects import AUTOMATIC, Description, ObjectState, SessionState, checked_name, shown_names

UNNAMED = "object"
"""What clicks without an object describe."""


def find_object(state: SessionState, wanted: int | str) -> ObjectState:
    """An object that is there.

    Raises:
        PromptError: it is not.
    """
    found = state.find(wanted)
    if found is None:
        raise PromptError(f"there is no object {wanted!r}; there is {shown_names(state.objects)}")
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
    if found is None and wanted is None:
        found = new_item(state, vocabulary, UNNAMED)
    elif found is None:
        assert wanted is not None
        found = _class_item(state, vocabulary, wanted, automatic)
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
    name = state.free_name(checked_name(name))
    return ObjectState(object_id, name, colour or colour_for(object_id), Description(zero_shot=zero_shot))


def class_items(state: SessionState, vocabulary: Vocabulary, class_ids: list[int]) -> list[ObjectState]:
    """Objects that start from the automatic result of classes: those that are there, and new ones. Clicks stay; locked
    objects stay as they are."""
    items = []
    for class_id in class_ids:
        item = of_class(state, class_id)
        if item is None:
            item = _make(state, vocabulary, class_id, automatic=True)
        elif not item.locked and item.description.start is None:
            item = replace(item, description=replace(item.description, start=AUTOMATIC))
        state = state.with_object(item)
        items.append(item)
    return items


def of_class(state: SessionState, class_id: int) -> ObjectState | None:
    """The object of a class, whatever it is called."""
    return next((item for item in state.objects if item.description.class_id == class_id), None)


def _class_item(state: SessionState, vocabulary: Vocabulary, wanted: ClassItem, automatic: bool) -> ObjectState:
    try:
        parts = vocabulary.expand([wanted])
    except AnatomyError as error:
        raise AnatomyError(f"no object is called {wanted!r}, and {error}; or make a new object") from None
    if len(parts) > 1:
        names = ", ".join(vocabulary.name(part) for part in parts[:3])
        raise PromptError(f"{wanted!r} is a group: a click is for one of its parts, such as {names}")
    return of_class(state, parts[0]) or _make(state, vocabulary, parts[0], automatic)


def _make(state: SessionState, vocabulary: Vocabulary, class_id: int, automatic: bool) -> ObjectState:
    return ObjectState(
        id=state.free_id(class_id, vocabulary.ids),
        name=state.free_name(vocabulary.name(class_id)),
        colour=vocabulary.colour(class_id),
        description=Description(class_id=class_id, start=AUTOMATIC if automatic else None),
    )
