"""ANTs finds how a brain lies in its scanner. It wants an older numpy than the rest, so it lies in a folder of its own.

``make test-services`` installs it there.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from small_brain import moved_by

ANTS = Path(sys.prefix) / "ants"
SCRIPT = """
import json
import numpy as np
from openvista.geometry.grid import Grid
from openvista.inference.template import find_affine
from small_brain import brain_on, moved_by, template_brain

grid = Grid((60, 50, 40), np.array([[2.5, 0, 0, -75], [0, 3.1, 0, -78], [0, 0, 3.3, -66], [0, 0, 0, 1]]))
scan = brain_on(grid, moved_by(degrees=8, stretch=(1.08, 0.95, 1.05), by=(6, -9, 7)))
print(json.dumps(find_affine(scan, template_brain()).tolist()))
sheared = Grid(grid.shape, grid.affine @ np.array([[1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
try:
    find_affine(brain_on(sheared, np.eye(4)), template_brain())
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(not ANTS.is_dir(), reason="ANTs is not installed: make test-services does it")
def test_ants_finds_the_affine_of_a_brain():
    tests = Path(__file__).parents[1]
    paths = os.pathsep.join([str(ANTS), str(tests), *sys.path])
    environment = os.environ | {"PYTHONPATH": paths, "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}
    ended = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    found, refused = ended.stdout.splitlines()[-2:]
    expected = moved_by(degrees=8, stretch=(1.08, 0.95, 1.05), by=(6, -9, 7))
    corners = np.array([[x, y, z, 1] for x in (-50, 50) for y in (-60, 60) for z in (-40, 40)]).T
    apart = np.linalg.norm((np.array(json.loads(found)) @ corners - expected @ corners)[:3], axis=0)
    assert apart.max() < 3, "mm, less than a voxel of either; .8 to 2.2 were seen, by seed and processor"
    assert refused.startswith("GridError made-up brain: its axes are not at right angles")
