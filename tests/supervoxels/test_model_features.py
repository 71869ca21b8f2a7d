"""Features of a model's automatic branch, brought to the working grid."""

import numpy as np
import pytest
import torch

from openvista.errors import ModelError
from openvista.geometry.grid import Grid
from openvista.inference.device import Compute
from openvista.inference.progress import Progress
from openvista.model import Model
from openvista.network import Preset, build
from openvista.prepare import prepare
from openvista.scan import Scan
from openvista.supervoxels.model_features import ModelFeatures
from openvista.supervoxels.volume import resample, working_grid
from openvista.weights import ModelCard

SMALL = {"filters": 4, "blocks_per_level": (1, 1), "spacing": (2.0, 2.0, 2.0), "class_rows": 140}
FLOAT32 = Compute(torch.device("cpu"), torch.float32, torch.float32)


def small_model(window, branches=("automatic",)):
    preset = Preset(name="small", window=window, branches=branches, **SMALL)
    return Model(build(preset, seed=3), ModelCard.from_preset(preset, classes=(1, 5)), FLOAT32)


@pytest.fixture
def scan():
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand((1, 1, 8, 8, 6), generator=generator)
    voxels = torch.nn.functional.interpolate(coarse, size=(34, 28, 22), mode="trilinear")[0, 0] * 900 - 200
    affine = np.diag([-1.7, 2.3, 3.1, 1.0])
    affine[:3, 3] = (30, -20, 5)
    return Scan(voxels.numpy().astype(np.int16), Grid((34, 28, 22), affine), "tissue")


def test_one_window_over_all_is_the_networks_own_answer_resampled(scan):
    model = small_model((32, 36, 36))
    grid = working_grid(scan.grid)
    features = ModelFeatures(model).features(scan, grid)
    prepared = prepare(scan, (2.0, 2.0, 2.0), model.network.network.preset.hu_window)
    padded = torch.zeros(32, 36, 36)
    assert all(n <= w for n, w in zip(prepared.grid.shape, padded.shape, strict=True))
    before = [(w - n) // 2 for n, w in zip(prepared.grid.shape, padded.shape, strict=True)]
    index = [
        (torch.arange(w) - b).clamp(0, n - 1) for n, w, b in zip(prepared.grid.shape, padded.shape, before, strict=True)
    ]
    padded = prepared.image_XYZ[index[0]][:, index[1]][:, :, index[2]]
    inside = tuple(slice(b, b + n) for b, n in zip(before, prepared.grid.shape, strict=True))
    expected = model.network.features(padded)[inside]
    for channel in range(4):
        wanted = resample(expected[..., channel], prepared.grid, grid)
        scale = float(wanted.abs().max())
        torch.testing.assert_close(features.values_XYZC[..., channel].float(), wanted, rtol=0, atol=3e-3 * scale)


def test_many_windows_tell_their_progress_and_cover_the_grid(scan):
    steps = []
    features = ModelFeatures(small_model((16, 16, 16))).features(scan, working_grid(scan.grid, 4000), steps.append)
    assert features.values_XYZC.shape == (*working_grid(scan.grid, 4000).shape, 4)
    assert features.values_XYZC.dtype == torch.float16
    assert features.values_XYZC.isfinite().all()
    assert features.values_XYZC.abs().sum(-1).gt(0).all()
    encoded = [step for step in steps if step.stage == "encode"]
    assert encoded[-1] == Progress("encode", len(encoded), len(encoded))
    assert len(encoded) > 8


def test_what_the_features_depend_on_is_described():
    described = ModelFeatures(small_model((16, 16, 16))).describe()
    assert described["features"] == "model"
    assert described["model"] == "small"
    assert set(described) == {"features", "model", "weights_sha256", "overlap"}


def test_a_model_that_answers_clicks_only_is_refused():
    with pytest.raises(ModelError, match="no automatic branch"):
        ModelFeatures(small_model((16, 16, 16), ("point",)))
