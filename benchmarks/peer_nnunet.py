"""A peer trained on the same data: nnU-Net v2, configuration 3d_fullres, its own plan, for as long as ours was.

Its own are the plan, the augmentations, the loss, SGD with its polynomial decay (here by time and not by epoch) and the
prediction with mirroring. It has no partly annotated scans, but a label to ignore: in a scan where not every structure
was marked, whatever carries no label is ignored. The recipe gives the cases and classes. The testing list is scored as
``openvista evaluate --protocol auto`` does. Needs ``pip install nnunetv2``.

    python benchmarks/peer_nnunet.py recipes/starter.yaml --datalist openkbp/dataset.json --minutes 25 -o runs/nnunet
"""

import argparse
import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import nibabel
import numpy as np
import torch
from numpy.typing import NDArray
from peer_scores import score, write

from openvista.datalist import Case, read_datalist
from openvista.train.recipe import Recipe
from openvista.train.recipe_file import read_recipe

NUMBER = 501
DATASET = f"Dataset{NUMBER}_Peer"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--datalist", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True, help="of training; preparing the cases does not count")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    recipe = read_recipe(arguments.recipe, datalist=arguments.datalist)
    base = arguments.output.resolve()
    folders = {name: base / name for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    os.environ.update({name: str(folder) for name, folder in folders.items()})  # read when nnunetv2 is imported

    lay_out(recipe, folders["nnUNet_raw"] / DATASET)
    plan()
    os.environ.update(nnUNet_n_proc_DA="0")  # augment in this process: its cores are all there are
    trainer = train(folders["nnUNet_preprocessed"] / DATASET, 60 * arguments.minutes)
    write(list(score(predictor(trainer, recipe.classes), recipe)), arguments.output)


def lay_out(recipe: Recipe, folder: Path) -> None:
    """The training cases as nnU-Net wants them."""
    listed = read_datalist(recipe.datalist)
    values = sorted(recipe.classes)
    ignore = len(values) + 1
    for kind in ("imagesTr", "labelsTr"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    cases = [case for case in listed.training if case.fold != recipe.fold]
    for case in cases:
        shutil.copyfile(case.image, folder / "imagesTr" / f"{case.name}_0000.nii.gz")
        label = nibabel.load(case.label)
        labels_XYZ = np.asarray(label.dataobj)
        renumbered_XYZ = np.zeros(labels_XYZ.shape, np.uint8)
        for number, value in enumerate(values, 1):
            renumbered_XYZ[labels_XYZ == value] = number
        if not case.annotated.issuperset(values):
            renumbered_XYZ[renumbered_XYZ == 0] = ignore
        nibabel.save(nibabel.Nifti1Image(renumbered_XYZ, label.affine), folder / "labelsTr" / f"{case.name}.nii.gz")
    structures = {listed.label_names[value]: number for number, value in enumerate(values, 1)}
    labels = {"background": 0, **structures, "ignore": ignore}
    content = {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": len(cases), "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(content))


def plan() -> None:
    """nnU-Net's fingerprint, plan and preprocessing."""
    from nnunetv2.experiment_planning import plan_and_preprocess_api as api

    api.extract_fingerprints([NUMBER], num_processes=1)
    api.plan_experiments([NUMBER])
    api.preprocess([NUMBER], configurations=["3d_fullres"], num_processes=[1])


def train(folder: Path, seconds: float):  # nnUNetTrainer, which can only be imported with the folders set
    """Train on all cases for some seconds; the learning rate follows the time."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    plans, dataset = (json.loads((folder / name).read_text()) for name in ("nnUNetPlans.json", "dataset.json"))
    planned = plans["configurations"]["3d_fullres"]
    print(f"plan: patch {planned['patch_size']}, batch {planned['batch_size']}, spacing {planned['spacing']}")
    plans["continue_training"] = False  # as its run_training.py adds
    trainer = nnUNetTrainer(plans, "3d_fullres", "all", dataset, torch.device("cpu"))
    trainer.on_train_start()
    trainer.network.train()
    began, step = time.perf_counter(), 0
    while (done := (time.perf_counter() - began) / seconds) < 1:
        for group in trainer.optimizer.param_groups:
            group["lr"] = trainer.initial_lr * (1 - done) ** 0.9
        loss = trainer.train_step(next(trainer.dataloader_train))["loss"]
        step += 1
        print(f"step {step}, {time.perf_counter() - began:.0f} s, loss {float(loss):.3f}", flush=True)
    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    return trainer


def predictor(trainer, classes: Mapping[int, int]):
    """A function from a case to class ids [X, Y, Z] on the scan's voxels, with nnU-Net's own prediction."""
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    network = nnUNetPredictor(perform_everything_on_device=False, device=torch.device("cpu"), allow_tqdm=False)
    network.manual_initialization(
        trainer.network,
        trainer.plans_manager,
        trainer.configuration_manager,
        [trainer.network.state_dict()],
        trainer.dataset_json,
        "nnUNetTrainer",
        trainer.inference_allowed_mirroring_axes,
    )
    class_of = np.array([0, *(classes[value] for value in sorted(classes)), 0])

    def segment(case: Case, labelled: object) -> NDArray[np.integer]:
        image_1ZYX, properties = SimpleITKIO().read_images([str(case.image)])
        found_ZYX = network.predict_single_npy_array(image_1ZYX, properties)
        return class_of[found_ZYX].transpose(2, 1, 0)

    return segment


if __name__ == "__main__":
    main()
