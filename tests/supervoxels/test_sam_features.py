"""SAM's features, with a SamModel of a few thousand random weights: the same code as with ViT-H, in a second."""

import json
import math

import numpy as np
import pytest
import torch

pytest.importorskip("skimage")
transformers = pytest.importorskip("transformers")

from small_phantoms import make_phantom  # noqa: E402

from openvista.errors import ModelError  # noqa: E402
from openvista.inference.progress import Progress  # noqa: E402
from openvista.supervoxels import Clustering  # noqa: E402
from openvista.supervoxels.make import make_supervoxels  # noqa: E402
from openvista.supervoxels.sam_features import PIXEL_DEVIATION, PIXEL_MEAN, SamFeatures, load_sam  # noqa: E402
from openvista.supervoxels.volume import working_grid  # noqa: E402

CPU = torch.device("cpu")
SIDE = 64


def tiny_sam(side=SIDE):
    """Sides, widths and depths as small as the configuration takes; 8 channels after up-scaling."""
    vision = {"hidden_size": 16, "output_channels": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision |= {"image_size": side, "patch_size": 16, "window_size": 2, "global_attn_indexes": [1], "num_pos_feats": 32}
    prompt = {"hidden_size": 64, "image_size": side, "patch_size": 16, "mask_input_channels": 4}
    decoder = {"hidden_size": 64, "mlp_dim": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    decoder |= {"iou_head_hidden_dim": 16, "iou_head_depth": 1}
    config = transformers.SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)
    torch.manual_seed(0)
    model = transformers.SamModel(config)
    with torch.no_grad():  # the library starts the encoder at 1e-10: nothing of the image would come through
        for parameter in model.vision_encoder.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 1 / math.sqrt(parameter[0].numel()))
    return model


@pytest.fixture(scope="module")
def sam_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sam") / "tiny-sam"
    tiny_sam().save_pretrained(folder)
    return folder


class _Shrunk(SamFeatures):
    """What SAM is shown, averaged over 4 x 4 pixels, in place of what it says: tells where its maps lie."""

    def upscaled(self, inputs_N3SS):
        return torch.nn.functional.avg_pool2d(inputs_N3SS, 4).mean(1, keepdim=True).expand(-1, self.channels, -1, -1)


def test_features_come_from_the_folder_and_fill_the_working_grid(sam_folder, phantom):
    source = load_sam(sam_folder, CPU)
    grid = working_grid(phantom.grid)
    features = source.features(phantom, grid)
    assert features.values_XYZC.shape == (*grid.shape, 8)
    assert features.values_XYZC.dtype == torch.float16
    assert features.values_XYZC.isfinite().all()
    bright, fat = phantom.voxels > 90, (phantom.voxels < -35) & (phantom.voxels > -500)
    values = features.values_XYZC.float().numpy()
    assert np.linalg.norm(values[bright].mean(0) - values[fat].mean(0)) > 0
    assert source.describe()["model"] == "tiny-sam"


def test_up_scaling_is_the_mask_decoders_on_the_plain_embedding(sam_folder):
    source = load_sam(sam_folder, CPU)
    inputs = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    seen = []
    hook = source.model.mask_decoder.upscale_conv2.register_forward_hook(lambda *call: seen.append(call[1:]))
    result = source.upscaled(inputs)
    hook.remove()
    assert result.shape == (2, 8, SIDE // 4, SIDE // 4)
    torch.testing.assert_close(result, torch.nn.functional.gelu(seen[0][1]))
    embedding = source.model.vision_encoder(inputs).last_hidden_state
    first = source.model.mask_decoder.upscale_conv1(embedding)
    normed = torch.nn.functional.gelu(source.model.mask_decoder.upscale_layer_norm(first))
    torch.testing.assert_close(seen[0][0][0], normed)


@pytest.mark.parametrize("spacing", [(4.0, 4.0, 4.0), (4.0, 4.0, 7.0), (3.0, 5.0, 4.0)])
def test_features_lie_where_the_anatomy_lies(spacing):
    """With the network replaced by its input, the sum over views is the scan itself, blurred."""
    scan = make_phantom((40, 36, 30), spacing, noise=0)
    source = _Shrunk(tiny_sam(256), "shrunk", CPU, batch=7)
    values = source.features(scan, working_grid(scan.grid)).values_XYZC.float().mean(-1)
    grey = (torch.as_tensor(scan.voxels.astype(np.float32)).clamp(-1000, 1000) + 1000) / 2000 * 255
    expected = sum((grey - PIXEL_MEAN[c]) / PIXEL_DEVIATION[c] for c in range(3))  # mean of colours, three views
    used = [torch.nonzero((grey > 60).any(a).any(b))[:, 0] for a, b in ((2, 1), (2, 0), (1, 0))]
    box = tuple(slice(int(u[0]), int(u[-1]) + 1) for u in used)  # outside it slices are left out
    values, expected = values[box], expected[box]
    assert np.corrcoef(values.flatten(), expected.flatten())[0, 1] > 0.985
    assert float((values - expected).abs().mean()) < 0.15 * float(expected.std())
    for axis in range(3):  # the centre of what is bright does not move
        other = [a for a in range(3) if a != axis]
        profiles = [(volume - expected.min()).sum(other) for volume in (values, expected)]
        places = [float((profile * torch.arange(len(profile))).sum() / profile.sum()) for profile in profiles]
        assert places[0] == pytest.approx(places[1], abs=0.1)


def test_how_many_slices_at_once_does_not_matter(sam_folder, phantom):
    grid = working_grid(phantom.grid, 6000)
    one, many = (load_sam(sam_folder, CPU, batch).features(phantom, grid).values_XYZC for batch in (1, 16))
    torch.testing.assert_close(one, many, rtol=0, atol=2e-2)


def test_slices_of_air_are_left_out_of_the_work(sam_folder, phantom):
    steps = []
    load_sam(sam_folder, CPU, batch=4).features(phantom, working_grid(phantom.grid), steps.append)
    tissue = phantom.voxels > -500
    slices = sum(int(tissue.any(axis=tuple(a for a in range(3) if a != axis)).sum()) for axis in range(3))
    assert steps[-1] == Progress("encode", slices, slices)
    assert slices < sum(phantom.voxels.shape)


def test_supervoxels_from_sam_end_to_end(sam_folder, phantom):
    result = make_supervoxels(phantom, load_sam(sam_folder, CPU, batch=8), Clustering(segments=30))
    assert np.array_equal(result.labels > 0, phantom.voxels > -500)
    assert 15 <= result.labels.max() <= 60
    assert result.provenance["supervoxels"]["features"] == "sam"
    again = make_supervoxels(phantom, load_sam(sam_folder, CPU, batch=8), Clustering(segments=30))
    assert np.array_equal(result.labels, again.labels)


def test_what_is_no_sam_is_refused_in_one_line(sam_folder, tmp_path):
    with pytest.raises(ModelError, match="cannot load SAM") as caught:
        load_sam(tmp_path / "nowhere", CPU)
    assert "\n" not in str(caught.value)
    other = tmp_path / "bert"
    other.mkdir()
    (other / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelError, match="'bert'"):
        load_sam(other, CPU)


def test_missing_weights_are_not_replaced_by_random_ones(sam_folder, tmp_path):
    from safetensors.torch import load_file, save_file

    part = tmp_path / "part"
    part.mkdir()
    tensors = load_file(sam_folder / "model.safetensors")
    dropped = "vision_encoder.neck.conv1.weight"
    save_file({k: v for k, v in tensors.items() if k != dropped}, part / "model.safetensors", {"format": "pt"})
    (part / "config.json").write_bytes((sam_folder / "config.json").read_bytes())
    with pytest.raises(ModelError, match=dropped):
        load_sam(part, CPU)
