"""Boxes, scribbles and lassos as users write them on the command line. Needs no torch."""

import re

from openvista.errors import PromptError

Ranges = list[tuple[float, float]]
Points = list[tuple[float, ...]]
Contour = tuple[Points, int, int]

_AXES = "xyz"
_SLICE = re.compile(r"\s*([xyz])\s*=\s*([0-9]+)\s*")


def parse_box(text: str) -> tuple[Ranges, bool]:
    """ "X1,X2,Y1,Y2,Z1,Z2", half-open, with ",-" at the end for a negative one: (ranges, positive).

    Raises:
        PromptError: it is not of that form.
    """
    body, positive = _sign(text, ",")
    numbers = _numbers(body, text, "box", "X1,X2,Y1,Y2,Z1,Z2 in voxels, half-open")
    if len(numbers) != 6:
        raise PromptError(f"box {text!r} is not understood: write X1,X2,Y1,Y2,Z1,Z2 in voxels, half-open")
    return list(zip(numbers[::2], numbers[1::2], strict=True)), positive


def parse_scribble(text: str) -> tuple[Points, bool]:
    """ "X,Y,Z;X,Y,Z;...", with ";-" at the end for a negative one: (points, positive).

    Raises:
        PromptError: it is not of that form.
    """
    body, positive = _sign(text, ";")
    return _points(body, 3, text, "scribble", "X,Y,Z;X,Y,Z;... in voxels"), positive


def parse_lasso(text: str) -> tuple[Contour, bool]:
    """ "z=15;X,Y;X,Y;X,Y": a slice, and points along the two other axes; with ";-" at the end for a negative one.

    Returns:
        ``((points, axis, index), positive)``.

    Raises:
        PromptError: it is not of that form.
    """
    body, positive = _sign(text, ";")
    place, _, points = body.partition(";")
    found = _SLICE.fullmatch(place)
    if found is None:
        raise PromptError(f"lasso {text!r} is not understood: write z=15;X,Y;X,Y;X,Y (a slice and points on it)")
    axis = _AXES.index(found[1])
    return (_points(points, 2, text, "lasso", "z=15;X,Y;X,Y;X,Y"), axis, int(found[2])), positive


def _sign(text: str, separator: str) -> tuple[str, bool]:
    body, found, sign = text.rpartition(separator)
    if found and sign.strip() in ("+", "-"):
        return body, sign.strip() == "+"
    return text, True


def _points(body: str, size: int, text: str, kind: str, form: str) -> Points:
    points = [tuple(_numbers(piece, text, kind, form)) for piece in body.split(";")]
    if any(len(point) != size for point in points):
        raise PromptError(f"{kind} {text!r} is not understood: write {form}")
    return points


def _numbers(body: str, text: str, kind: str, form: str) -> list[float]:
    try:
        return [float(part) for part in body.split(",")]
    except ValueError:
        raise PromptError(f"{kind} {text!r} is not understood: write {form}") from None
