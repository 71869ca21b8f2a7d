"""Truth and prediction drawn on the CT: which colour where, in true proportions, whatever the file's orientation."""

import struct
import zlib

import numpy as np
import pytest

from openvista.geometry.grid import Grid
from openvista.report.outlines import PREDICTED_COLOUR, TRUTH_COLOUR, compare_masks, png_bytes

SPACING = (2.0, 2.5, 5.0)
SHAPE = (30, 24, 12)
WHITE = (255, 255, 255)


def box(x, y, z):
    mask = np.zeros(SHAPE, bool)
    mask[slice(*x), slice(*y), slice(*z)] = True
    return mask


TRUTH, PREDICTED = box((6, 18), (6, 18), (3, 9)), box((10, 24), (6, 18), (3, 9))
GRID = Grid(SHAPE, np.diag([*SPACING, 1.0]))
HU = np.random.default_rng(0).integers(-100, 100, SHAPE).astype(np.int16)


def colours(picture):
    """The colours of lines; the rest of a picture is grey, never quite white with these HU."""
    return {colour for colour in (TRUTH_COLOUR, PREDICTED_COLOUR, WHITE) if (picture == colour).all(axis=-1).any()}


def test_one_line_where_both_agree_and_three_colours_where_they_differ():
    assert colours(compare_masks(HU, TRUTH, TRUTH, GRID)) == {WHITE}
    assert colours(compare_masks(HU, TRUTH, PREDICTED, GRID)) == {TRUTH_COLOUR, PREDICTED_COLOUR, WHITE}
    assert colours(compare_masks(HU, TRUTH, np.zeros_like(TRUTH), GRID)) == {TRUTH_COLOUR}
    assert colours(compare_masks(HU, np.zeros_like(TRUTH), TRUTH, GRID)) == {PREDICTED_COLOUR}


def test_exchanging_the_masks_exchanges_the_colours():
    picture, other = compare_masks(HU, TRUTH, PREDICTED, GRID), compare_masks(HU, PREDICTED, TRUTH, GRID)
    in_truth = (picture == TRUTH_COLOUR).all(-1)
    assert np.array_equal(in_truth, (other == PREDICTED_COLOUR).all(-1))
    rest = ~in_truth & ~(other == TRUTH_COLOUR).all(-1)
    assert np.array_equal(picture[rest], other[rest])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("signs", [(-1, -1, 1), (1, -1, -1)])
def test_the_order_of_the_files_axes_changes_nothing(order, signs):
    volumes = [
        volume.transpose(order)[tuple(slice(None, None, sign) for sign in signs)] for volume in (HU, TRUTH, PREDICTED)
    ]
    affine = np.eye(4)
    affine[:3, :3] = (np.diag(SPACING)[:, order]) * np.array(signs)
    turned = compare_masks(*volumes, Grid(volumes[0].shape, affine))
    assert np.array_equal(turned, compare_masks(HU, TRUTH, PREDICTED, GRID))


def test_panels_have_the_proportions_of_the_patient():
    """A ball is round in each panel, though its voxels are not."""
    places = (np.stack(np.indices(SHAPE), -1) - np.array(SHAPE) // 2) * SPACING
    ball = (places**2).sum(-1) < 20**2
    picture = compare_masks(np.zeros(SHAPE, np.int16), ball, ball, GRID)
    line = (picture == WHITE).all(-1)
    columns = np.flatnonzero(line.any(axis=0))
    for panel in np.split(columns, np.flatnonzero(np.diff(columns) > 20) + 1):
        rows = np.flatnonzero(line[:, panel].any(axis=1))
        assert len(panel) == pytest.approx(np.ptp(rows) + 1, rel=0.15)


def test_the_slices_go_through_the_largest_error():
    small_error = TRUTH.copy()
    small_error[14:18, 14:18, 8] = False  # seen on this slice only, at its middle not at all
    assert TRUTH_COLOUR in colours(compare_masks(HU, TRUTH, small_error, GRID))


def test_a_png_file_is_what_its_standard_says():
    image = np.random.default_rng(1).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    content = png_bytes(image)
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, rest = {}, content[8:]
    while rest:
        length, kind = struct.unpack(">I4s", rest[:8])
        chunks[kind], (checksum,) = rest[8 : 8 + length], struct.unpack(">I", rest[8 + length : 12 + length])
        assert checksum == zlib.crc32(rest[4 : 8 + length])
        rest = rest[12 + length :]
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (7, 5, 8, 2, 0, 0, 0)
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(5, 1 + 7 * 3)
    assert not lines[:, 0].any()
    assert np.array_equal(lines[:, 1:].reshape(5, 7, 3), image)
