"""MONAI's tools for bundles, and loaders built like those of MONAI Label and MONAI Deploy, take ours."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from openvista.bundle.export import export_bundle
from openvista.bundle.network import BundleNetwork
from openvista.errors import ModelError, OutputError
from openvista.weights import ModelCard
from openvista.weights.official import adapt
from openvista.weights.store import save_tensors

bundle = pytest.importorskip("monai.bundle")
nets = pytest.importorskip("monai.networks.nets")

INFERENCE, TRAIN, META = "configs/inference.json", "configs/train.json", "configs/metadata.json"
OFFICIAL_IDS = {
    "inference": "imports bundle_root image_key output_dir output_ext output_dtype output_postfix separate_folder "
    "input_dict everything_labels metadata_path metadata labels_dict subclass input_channels resample_spacing "
    "sw_batch_size patch_size device use_point_window network_def network preprocessing_transforms preprocessing "
    "dataset dataloader inferer postprocessing handlers checkpointloader evaluator initialize run",
    "batch_inference": "input_dir input_suffix input_list input_dicts dataset#data",
    "mgpu_inference": "device sampler dataloader#sampler initialize run finalize",
    "train": "imports bundle_root ckpt_dir output_dir data_list_file_path dataset_dir use_tensorboard finetune "
    "finetune_model_path early_stop use_mlflow mlflow_dir fold device epochs val_interval val_at_start sw_overlap "
    "learning_rate num_patches_per_image input_channels output_classes max_point max_prompt max_backprompt "
    "max_foreprompt drop_label_prob drop_point_prob exclude_background label_set val_label_set amp train_datalist "
    "val_datalist patch_size patch_size_valid network_def network loss optimizer lr_schedule resample_to_spacing "
    "train validate initialize run",
    "train_continual": "data_list_file_path dataset_dir finetune val_at_start finetune_model_path n_train_samples "
    "n_val_samples val_interval learning_rate lr_schedule#activate train_dataset_cache_rate val_dataset_cache_rate "
    "num_cache_workers label_mappings patch_size label_set val_label_set num_classes output_classes "
    "show_cache_progress resample_to_spacing cache_cls_idx train#handlers#0#strict "
    "validate#handlers#3#key_metric_filename",
    "multi_gpu_train": "device use_tensorboard initialize run finalize",
    "evaluate": "data_list_file_path dataset_dir output_dir ckpt_path label_mappings label_set "
    "validate#postprocessing validate#handlers run",
    "mgpu_evaluate": "device validate#handlers#1#_disabled_ initialize run finalize",
}
STEPS = [
    *("LoadImaged", "EnsureChannelFirstd", "EnsureTyped", "Spacingd", "CropForegroundd", "PromptTransformd"),
    *("ScaleIntensityRanged", "Orientationd", "CastToTyped"),
]


@pytest.mark.parametrize("name", OFFICIAL_IDS)
def test_every_official_id_is_there(tiny_bundle: Path, name: str) -> None:
    content = json.loads((tiny_bundle / "configs" / f"{name}.json").read_text())
    assert [id_ for id_ in OFFICIAL_IDS[name].split() if id_ not in content] == []


def test_lists_are_in_the_official_order(tiny_bundle: Path) -> None:
    content = json.loads((tiny_bundle / INFERENCE).read_text())
    assert [step["_target_"].split(".")[-1] for step in content["preprocessing_transforms"]] == STEPS
    post = [step["_target_"].split(".")[-1] for step in content["postprocessing"]["transforms"]]
    assert post == ["ToDeviced", "LabelMapd", "Invertd", "FillUnseend", "SaveImaged"]


@pytest.mark.parametrize(("config", "kind"), [(INFERENCE, "infer"), (TRAIN, "train")])
def test_properties_are_complete(in_tiny: Path, config: str, kind: str) -> None:
    workflow = bundle.create_workflow(config_file=config, workflow_type=kind, logging_file=False)
    assert workflow.check_properties() == []


@pytest.mark.parametrize("which", ["tiny_bundle", "starter_bundle"])
def test_metadata_fits_the_schema_that_is_shipped(which: str, request: pytest.FixtureRequest) -> None:
    pytest.importorskip("jsonschema")
    folder = request.getfixturevalue(which)
    shipped = folder / "configs/metadata_schema.json"
    bundle.verify_metadata(meta_file=str(folder / META), filepath=str(shipped))


def test_metadata_that_lacks_something_does_not_fit(tiny_bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("jsonschema")
    content = json.loads((tiny_bundle / META).read_text())
    del content["network_data_format"]
    (tmp_path / "metadata.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="Failed validating"):
        bundle.verify_metadata(
            meta_file=str(tmp_path / "metadata.json"), filepath=str(tiny_bundle / "configs/metadata_schema.json")
        )


@pytest.mark.parametrize("which", ["in_tiny", "in_starter"])
def test_network_takes_and_gives_what_the_metadata_says(which: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(which)
    bundle.verify_net_in_out("network_def", meta_file=META, config_file=INFERENCE, device="cpu")


def test_load_gives_the_network_with_its_weights(in_tiny: Path) -> None:
    network = bundle.load(in_tiny.name, bundle_dir=str(in_tiny.parent), workflow_type="inference", device="cpu")
    weights = torch.load(in_tiny / "models/model.pt", weights_only=True)
    loaded = network.state_dict()
    assert loaded.keys() == weights.keys()
    assert all(torch.equal(loaded[name], weights[name]) for name in weights)


def test_traced_network_gives_the_same_logits(in_tiny: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.ts"
    bundle.ckpt_export(
        net_id="network_def",
        filepath=str(target),
        ckpt_file="models/model.pt",
        meta_file=META,
        config_file=INFERENCE,
        use_trace=True,
        input_shape=[1, 1, 16, 16, 16],
    )
    image = torch.rand(1, 1, 16, 16, 16)
    network = deploy_network(in_tiny)
    with torch.no_grad():
        assert torch.allclose(torch.jit.load(target)(image), network(image), atol=1e-4)


def parser_of(folder: Path) -> Any:
    parser = bundle.ConfigParser()
    parser.read_config(str(folder / INFERENCE))
    parser.read_meta(str(folder / META))
    parser["bundle_root"] = str(folder)
    return parser


def deploy_network(folder: Path) -> BundleNetwork:
    """As MONAI Deploy's operator does it: the network of the configuration, and its keys strictly."""
    network = parser_of(folder).get_parsed_content("network_def")
    network.load_state_dict(torch.load(folder / "models/model.pt", weights_only=True), strict=True)
    return network.eval()


def test_a_loader_like_that_of_monai_deploy(tiny_bundle: Path, cases: Path, tmp_path: Path) -> None:
    parser = parser_of(tiny_bundle)
    parser["output_dir"] = str(tmp_path)
    network = deploy_network(tiny_bundle)
    inferer = parser.get_parsed_content("inferer")
    item = parser.get_parsed_content("preprocessing")({"image": str(cases / "ct0.nii.gz")})
    item["pred"] = inferer(inputs=item["image"][None], network=network)[0]
    parser.get_parsed_content("postprocessing")(item)
    result = np.asarray(nib.load(tmp_path / "ct0/ct0_trans.nii.gz").dataobj)
    assert result.shape == nib.load(cases / "ct0.nii.gz").shape
    assert len(np.unique(result)) > 2


def test_a_loader_like_that_of_monai_deploy_with_a_compiled_network(tiny_bundle: Path, cases: Path) -> None:
    parser = parser_of(tiny_bundle)
    network = deploy_network(tiny_bundle)
    item = parser.get_parsed_content("preprocessing")({"image": str(cases / "ct0.nii.gz")})
    inferer = parser.get_parsed_content("inferer")
    with torch.no_grad():
        compiled = torch.jit.trace(network, torch.rand(1, 1, 16, 16, 16))
        ours = inferer(inputs=item["image"][None], network=network, precision="float32")
        theirs = inferer(inputs=item["image"][None], network=compiled)
    assert (ours == theirs).float().mean() > 0.99


def test_a_loader_like_that_of_monai_label(tiny_bundle: Path, cases: Path) -> None:
    """It changes options, leaves out what reads and saves files, and takes names from the metadata."""
    parser = parser_of(tiny_bundle)
    options = parser.get("displayable_configs")
    parser["displayable_configs"] = {**options, "overlap": 0.5}
    labels = parser.get("_meta_")["network_data_format"]["outputs"]["pred"]["channel_def"]
    assert "liver" in labels.values()
    before = parser.get_parsed_content("preprocessing").transforms
    assert type(before[0]).__name__ == "LoadImaged"
    after = [
        step for step in parser.get_parsed_content("postprocessing").transforms if "Save" not in type(step).__name__
    ]
    inferer = parser.get_parsed_content("inferer")
    assert inferer.overlap == 0.5
    network = parser.get_parsed_content("network_def")
    network.load_state_dict(torch.load(tiny_bundle / "models/model.pt", weights_only=True), strict=True)
    item: Any = {"image": str(cases / "ct0.nii.gz")}
    for step in before:
        item = step(item)
    item["pred"] = inferer(item["image"][None], network)[0]
    for step in after:
        item = step(item)
    assert item["pred"].shape[1:] == nib.load(cases / "ct0.nii.gz").shape


@pytest.fixture(scope="module")
def official() -> torch.nn.Module:
    """MONAI's own network with random weights, of the official depth."""
    torch.manual_seed(1)
    network = nets.vista3d132(encoder_embed_dim=16)
    with torch.no_grad():
        network.class_head.mlp[3].weight *= 5
    return network.eval()


def test_the_whole_pipeline_equals_monais(official: torch.nn.Module, cases: Path, tmp_path: Path) -> None:
    """From LoadImaged to Invertd with MONAI's network, transforms and windows, on a file with axes L, A, S."""
    from monai.inferers import sliding_window_inference

    checkpoint = adapt(official.state_dict())
    card = ModelCard.from_preset(checkpoint.preset, name="official", classes=(1, 3, 5, 14), licence="CC0")
    save_tensors(checkpoint.tensors, card, tmp_path / "official")
    folder = export_bundle(tmp_path / "official", tmp_path / "bundle")
    official.load_state_dict(torch.load(folder / "models/model.pt", weights_only=True), strict=True)
    parser = parser_of(folder)
    parser["patch_size"], parser["output_dir"] = [32, 32, 32], str(tmp_path)
    item = parser.get_parsed_content("preprocessing")({"image": str(cases / "ct0.nii.gz")})
    classes = torch.tensor([[1], [3], [5], [14]])
    with torch.no_grad():
        logits = sliding_window_inference(
            item["image"][None],
            (32, 32, 32),
            4,
            lambda image: official(image, class_vector=classes).transpose(0, 1),
            overlap=0.3,
            mode="gaussian",
            padding_mode="replicate",
        )
        network = parser.get_parsed_content("network_def")
        network.load_state_dict(official.state_dict(), strict=True)
        ours = parser.get_parsed_content("inferer")(item["image"][None], network, precision="float32")
    best, index = logits.max(1, keepdim=True)
    theirs = torch.where(best > 0, classes[:, 0][index], 0).float()
    official_map = type(ours)(theirs).copy_meta_from(ours)
    invert = parser.get_parsed_content("postprocessing").transforms[1]
    labels = [np.asarray(invert({**item, "pred": one[0]})["pred"]) for one in (ours.clone(), official_map)]
    assert (labels[0] == labels[1]).mean() >= 0.999
    assert len(np.unique(labels[1])) > 1


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(OutputError, match="exists already"):
        export_bundle("starter", tmp_path / "there")
    assert list((tmp_path / "there").iterdir()) == []


def test_nothing_is_left_of_an_export_that_failed(
    tiny48: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="no model 'nothing'"):
        export_bundle("nothing", tmp_path / "bundle")

    def fails(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("openvista.bundle.export.write_card", fails)
    with pytest.raises(OutputError, match="No space left"):
        export_bundle(tiny48, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []
