"""Colours of classes: the catalogue's for official ids, computed ones above; the same every time."""

import colorsys

from openvista.anatomy.catalogue import CATALOGUE

Colour = tuple[int, int, int]

_GOLDEN_RATIO = 0.618033988749895
_FIRST_HUE = 0.865
"""Chosen so that the first own ids stand out from each other and from the catalogue's colours."""
_RIGHT_SIDE = 0.74
_LEVELS = ((0.85, 1.0), (0.5, 1.0), (0.9, 0.72), (0.45, 0.8))
"""Saturation and value, taken in turn: ids whose hues come close again differ in these."""


def colour_for(class_id: int) -> Colour:
    """Red, green, blue (0..255) of a class id, official or not; never black, which is background.

    Ids outside the catalogue step round the hue circle by the golden ratio, so that neighbours lie far apart.
    """
    if class_id in CATALOGUE:
        return CATALOGUE[class_id].colour
    saturation, value = _LEVELS[class_id % len(_LEVELS)]
    red, green, blue = colorsys.hsv_to_rgb((_FIRST_HUE + class_id * _GOLDEN_RATIO) % 1.0, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def to_hex(colour: Colour) -> str:
    """Red, green, blue (0..255) as ``"#rrggbb"``."""
    return "#" + "".join(f"{channel:02x}" for channel in colour)


def from_hex(text: str) -> Colour:
    """``"#rrggbb"``, the ``#`` optional, to red, green, blue.

    Raises:
        ValueError: it is not three bytes in hex.
    """
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue


def right_of(left: Colour) -> Colour:
    """The colour of a right structure, given that of its left twin: the same hue, darker."""
    red, green, blue = (round(_RIGHT_SIDE * part) for part in left)
    return red, green, blue
