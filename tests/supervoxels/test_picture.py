"""The picture of boundaries."""

import numpy as np
import pytest
from small_phantoms import make_phantom

pytest.importorskip("matplotlib")

from openvista.scan import Segmentation
from openvista.supervoxels.picture import outlined, write_picture


def test_lines_lie_between_supervoxels_and_nowhere_else():
    labels = np.zeros((20, 30), np.uint16)
    labels[:, 15:] = 1
    image = outlined(labels, np.full((20, 30), 40.0), (2.0, 1.0))
    assert image.shape == (720, 540, 3)
    coloured = (image != image[0, 0]).any(-1)
    assert np.flatnonzero(coloured.any(0)).tolist() == [270, 271]
    assert coloured[:, 270].all()


@pytest.mark.parametrize("shape", [(20, 16, 12), (20, 16, 1)])
def test_a_png_is_written(tmp_path, shape):
    scan = make_phantom(shape, (4, 4, 9)) if shape[2] > 1 else make_phantom(shape, (4, 4, 70))
    labels = (np.indices(shape)[0] // 4 + 1).astype(np.uint16)
    write_picture(Segmentation(labels, scan.grid, {}, {}, scan), tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]
