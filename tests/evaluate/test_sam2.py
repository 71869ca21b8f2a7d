"""SAM 2 on slices as a video, with a Sam2VideoModel of a million random weights: the same code as with a real one."""

import json

import nibabel as nib
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

transformers = pytest.importorskip("transformers")
if not hasattr(transformers, "Sam2VideoModel"):
    pytest.skip("this transformers is older than SAM 2", allow_module_level=True)

from openvista.cli.main import app  # noqa: E402
from openvista.datalist import read_datalist  # noqa: E402
from openvista.errors import InputError, ModelError  # noqa: E402
from openvista.evaluate.labelled_scan import read_case  # noqa: E402
from openvista.evaluate.protocols import find_protocol  # noqa: E402
from openvista.evaluate.run import evaluate_case, plan_run  # noqa: E402
from openvista.evaluate.sam2 import Video, _corrections, _middle, _worst, load_sam2  # noqa: E402  # noqa: E402
from small_evaluation import CLASSES, write_cases  # noqa: E402

CPU = torch.device("cpu")
SIDE = 64


def tiny_sam2():
    """As small as the configuration takes. Pointers to objects must be longer than memories, which are 64 long."""
    backbone = {"model_type": "sam2_hiera_det_model", "hidden_size": 16, "image_size": [SIDE, SIDE]}
    backbone |= {"blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [16, 32, 64, 128]}
    backbone |= {"num_attention_heads_per_stage": [1, 1, 1, 1], "window_size_per_stage": [8, 4, 4, 2]}
    backbone |= {"global_attention_blocks": [3], "window_positional_embedding_background_size": [4, 4]}
    vision = {"model_type": "sam2_vision_model", "backbone_config": backbone, "fpn_hidden_size": 128}
    vision |= {"backbone_channel_list": [128, 64, 32, 16], "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]]}
    prompt = {"hidden_size": 128, "image_size": SIDE, "mask_input_channels": 4}
    decoder = {"hidden_size": 128, "mlp_dim": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    decoder |= {"iou_head_hidden_dim": 16, "iou_head_depth": 2}
    memory = {"memory_attention_hidden_size": 128, "memory_attention_num_layers": 1, "num_maskmem": 3}
    memory |= {"memory_attention_feed_forward_hidden_size": 32, "memory_attention_rope_feat_sizes": [4, 4]}
    memory |= {"memory_encoder_hidden_size": 128, "mask_downsampler_embed_dim": 128, "memory_fuser_embed_dim": 128}
    memory |= {"memory_fuser_intermediate_dim": 32, "memory_fuser_num_layers": 1}
    parts = {"vision_config": vision, "prompt_encoder_config": prompt, "mask_decoder_config": decoder}
    torch.manual_seed(0)
    model = transformers.Sam2VideoModel(transformers.Sam2VideoConfig(**parts, image_size=SIDE, **memory))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 1 / parameter[0].numel() ** 0.5)
        model.mask_decoder.pred_obj_score_head.proj_out.bias += 20  # an object is always there
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("sam2")
    tiny_sam2().save_pretrained(place / "tiny-sam2")
    write_cases(place)
    return place


@pytest.fixture(scope="module")
def sam2(folder):
    return load_sam2(folder / "tiny-sam2", CPU)


@pytest.fixture(scope="module")
def labelled(folder):
    return read_case(read_datalist(folder / "list.json").testing[0], CLASSES)


def test_slices_are_scaled_resized_and_made_when_they_are_asked_for(sam2, labelled):
    video = Video(sam2, labelled.scan, [3, 5])
    assert video.session.num_frames == 2
    frame = video.session.get_frame(1)
    assert frame.shape == (3, SIDE, SIDE)
    grey = (labelled.scan.voxels[:, :, 5].astype(float) + 1000) / 2000 * 255
    shown = frame[0] * 58.395 + 123.675
    assert float(shown.mean()) == pytest.approx(grey.mean(), abs=2)


def test_a_click_counts_and_tracking_reaches_every_slice(sam2, labelled):
    video = Video(sam2, labelled.scan, list(range(18)))
    video.forget()
    first = video.click(8, [(6, 8, True)])
    assert first.shape == labelled.scan.grid.shape[:2]
    masks = video.track()
    assert masks.shape == labelled.scan.grid.shape
    assert np.array_equal(masks[:, :, 8], first)  # what was clicked on is not tracked over
    corrected = video.click(12, [(15, 3, False), (6, 8, True)])
    again = video.track()
    assert np.array_equal(again[:, :, 12], corrected)
    assert np.array_equal(again[:, :, 8], first)
    video.forget()
    assert np.array_equal(video.click(8, [(6, 8, True)]), first)
    assert not np.array_equal(video.click(8, [(6, 8, True), (1, 1, False)]), first)


def test_a_slice_can_be_corrected_again(sam2, labelled):
    video = Video(sam2, labelled.scan, list(range(18)))
    video.forget()
    video.click(8, [(6, 8, True)])
    video.track()
    points = []
    for point in [(15, 3, False), (6, 8, True), (7, 9, True)]:
        points.append(point)
        corrected = video.click(12, points)
        assert np.array_equal(video.track()[:, :, 12], corrected)


def test_the_user_goes_to_the_middle_and_then_to_the_worst_slice():
    truth = np.zeros((9, 9, 5), bool)
    truth[2:7, 2:7, 1:4] = True
    assert _middle(truth) == (4, 4, 2)
    masks = truth.copy()
    masks[2:4, :, 1] = False
    masks[:, :, 3] = False
    masks[:, :, 4] = True  # no truth there: it is not clicked on
    assert _worst(truth, masks) == 3
    points = _corrections(truth[:, :, 3], masks[:, :, 3], np.random.default_rng(0))
    assert points[0] == (4, 4, True)
    assert len(points) == 2
    assert all(truth[row, column, 3] and positive for row, column, positive in points)
    assert _corrections(truth[:, :, 2], truth[:, :, 2], np.random.default_rng(0)) == []
    wanted, beside = np.zeros((2, 9, 12), bool)
    wanted[2:7, 2:7], beside[2:7, 6:11] = True, True
    missing, superfluous, _ = _corrections(wanted, beside, np.random.default_rng(0))
    assert (missing, superfluous) == ((4, 3, True), (4, 8, False))


def run(sam2, folder, *variants):
    protocol = find_protocol("sam2-iterative")
    plan = plan_run(protocol, {2: 3}, clicks=(1, 2, 3), variants=frozenset({"no-background", *variants}))
    return evaluate_case(sam2, read_datalist(folder / "list.json").testing[0], plan)


def test_every_structure_has_a_value_after_each_slice_always_the_same(sam2, folder):
    first, again = run(sam2, folder), run(sam2, folder)
    assert [(score.class_id, score.clicks) for score in first.scores] == [(3, n) for n in (1, 2, 3)]
    values = [[(score.dice, score.predicted_ml) for score in record.scores] for record in (first, again)]
    assert values[0] == values[1]
    assert any(score.predicted_ml > 0 for score in first.scores)
    best = run(sam2, folder, "best-so-far")
    plain = [score.dice for score in first.scores]
    assert [score.dice for score in best.scores] == np.maximum.accumulate(plain).tolist()


def test_without_background_nothing_is_found_there(sam2, folder, labelled):
    from openvista.evaluate.meter import Meter
    from openvista.evaluate.protocol import ProtocolSettings
    from openvista.evaluate.sam2 import run_slices

    settings = ProtocolSettings(class_ids=(1, 3), clicks=(1,), variants=frozenset({"no-background"}))
    for answer in run_slices(sam2, labelled, settings, Meter(CPU)):
        empty = ~labelled.truth(answer.structure).any(axis=(0, 1))
        assert empty.any()
        assert not answer.mask_XYZ[:, :, empty].any()
    with pytest.raises(InputError, match="sliding-windows"):
        run(sam2, folder, "sliding-windows")


def evaluate(folder, model, *options):
    arguments = ["evaluate", folder / "list.json", "-P", "sam2-iterative", "-m", model, "-d", "cpu", *options]
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_from_the_command_line(folder, tmp_path):
    entry = json.loads((folder / "list.json").read_text())
    entry["testing"] = entry["testing"][:1]
    (folder / "one.json").write_text(json.dumps(entry))
    arguments = ["evaluate", str(folder / "one.json"), "-P", "sam2-iterative", "-m", str(folder / "tiny-sam2")]
    done = CliRunner().invoke(
        app, [*arguments, "--clicks", "1,2", "--habit", "no-background", "-o", str(tmp_path / "r")]
    )
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "r" / "run.json").read_text())
    assert (told["model"], told["protocol"], told["habits"]) == ("tiny-sam2", "sam2-iterative", ["no-background"])
    assert len(told["weights_sha256"]) == 64
    assert nib.load(folder / "ct0.nii.gz").shape == (22, 20, 18)


def test_where_weights_are_missing_it_says_so(folder, tmp_path, monkeypatch):
    done = evaluate(folder, tmp_path / "nowhere")
    assert isinstance(done.exception, ModelError), done.output
    assert "cannot load SAM 2 from" in str(done.exception)
    assert "\n" not in str(done.exception)
    other = tmp_path / "sam"
    other.mkdir()
    (other / "config.json").write_text(json.dumps({"model_type": "sam"}))
    assert "not SAM 2" in str(evaluate(folder, other).exception)
    (folder / "empty").mkdir(exist_ok=True)
    (folder / "empty" / "config.json").write_bytes((folder / "tiny-sam2" / "config.json").read_bytes())
    assert "cannot load SAM 2" in str(evaluate(folder, folder / "empty").exception)
