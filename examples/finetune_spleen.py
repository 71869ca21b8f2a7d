# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Fine-tuning, step by step
#
# A model that was trained on many structures learns one more from a handful of scans. This page writes out what
# `openvista finetune` does: data and transforms, model and checkpoint, a training loop with mixed precision, curves,
# inference on a scan that was never trained on, and an evaluation on that scan's own voxels.
#
# It is made for the spleen of the [Medical Segmentation Decathlon](http://medicaldecathlon.com) (Task09):
#
# ```
# python examples/finetune_spleen.py --data Task09_Spleen --model vista3d --steps 2000 --learning-rate 5e-5
# ```
#
# Without `--data` it runs on what lies in this repository: the small starter model, and four head and neck CTs of the
# OpenKBP data set (`examples/data/README.md`). The starter knows every organ that is marked in them, so we act as if
# the mandible were new: it gets a name and an id of its own, and its old embedding is not used. The starter was trained
# on the same data set, on two of these four cases as well (041 and 092); the other two trained no weight but are among
# the cases that decided which weights were kept. So the scores here show that the path works; they are no measure of
# accuracy.
#
# The `.py` is the source; `python examples/make_notebook.py examples/finetune_spleen.py` runs it and writes the
# notebook with its outputs.

# %%
import argparse
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import openvista as ov
from openvista.anatomy.catalogue import SUPPORTED_IDS
from openvista.anatomy.vocabulary import Vocabulary
from openvista.datalist import map_labels, read_datalist
from openvista.inference.device import find_device, training_precision
from openvista.io import read_labels
from openvista.metrics.masks import measure_masks
from openvista.network.class_head import dot_logits
from openvista.report.slices import in_ras_order, radiological
from openvista.train.augment import Augmentation, draw_patch
from openvista.train.cases import LabelUse, load_case
from openvista.train.objective import dice_bce_loss
from openvista.train.starting_network import start_embeddings
from openvista.train.validation import class_dice
from openvista.weights import ModelCard, find_model
from openvista.weights.store import load_network, save_model

# %%
IN_NOTEBOOK = "__file__" not in globals()
HERE = Path.cwd() if IN_NOTEBOOK else Path(__file__).parent
PACK = next(folder / "finetune.json" for folder in (HERE / "data", HERE / "examples" / "data") if folder.is_dir())

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, help="folder of Task09_Spleen; default: the small pack of this repository")
parser.add_argument("--model", default="starter", help="name or folder of the model to start from")
parser.add_argument("--steps", type=int, default=40)
parser.add_argument("--patches", type=int, default=1, help="patches per step")
parser.add_argument("--patch", type=int, nargs=3, help="voxels of a patch; default: the model's window")
parser.add_argument("--learning-rate", type=float, default=1e-3, help="1e-3 suits the starter, 5e-5 vista3d")
parser.add_argument("--validate-every", type=int, default=10)
parser.add_argument("--overlap", type=float, default=0.25, help="of the windows on the last scan")
parser.add_argument("--out", type=Path, default=Path("runs/finetune_spleen"))
options = parser.parse_known_args()[0] if IN_NOTEBOOK else parser.parse_args()  # Jupyter has arguments of its own
options.out.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## Data
#
# A data list names scans and label maps; MSD's `dataset.json` is one. The mapping says which class of the model a label
# is: `"spleen=spleen"` for a class that has a name in `openvista classes`, `"mandible=new:..."` for one that has none.
# New classes get ids above 132.

# %%
model_folder = find_model(options.model)
card = model_folder.card
vocabulary = Vocabulary({*card.class_ids, *SUPPORTED_IDS}, card.extra_classes, card.extra_aliases)

listed = read_datalist(options.data / "dataset.json" if options.data else PACK)
mapping = map_labels(listed, ["spleen=spleen"] if options.data else ["mandible=new:jaw to learn"], vocabulary)
(value, class_id), *_ = mapping.classes.items()
name = mapping.new_names.get(class_id) or vocabulary.name(class_id)

if options.data:  # MSD gives no labels for its testing cases and no folds
    shuffled = [listed.training[i] for i in np.random.default_rng(0).permutation(len(listed.training))]
    held_out = max(1, len(shuffled) // 5)
    testing, validation, training = shuffled[:1], shuffled[1 : 1 + held_out], shuffled[1 + held_out :]
else:
    (training, validation), testing = listed.split(fold=0), listed.testing

print(f"label {value} becomes class {class_id}, {name!r}")
print(f"{len(training)} scans to learn from, {len(validation)} to validate on, {len(testing)} to test on")

# %% [markdown]
# ## Transforms
#
# `load_case` reads a scan and its labels, turns both to RAS, resamples them to the model's spacing and scales
# Hounsfield units to 0..1. `draw_patch` cuts a random patch, four times in five around the structure, zooms and rotates
# it a little, and now and then changes its intensities. There is no mirroring: a spleen on the right is none.

# %%
network = load_network(model_folder, find_device("auto"))
preset = network.preset
window = tuple(options.patch or preset.window)
device = next(network.parameters()).device

training_cases = [load_case(case, preset, LabelUse({value: class_id})) for case in training]
validation_cases = [load_case(case, preset, LabelUse({value: class_id})) for case in validation]

augmentation = Augmentation(mirror=False)
random = torch.Generator().manual_seed(0)
examples = [draw_patch(training_cases[i % len(training_cases)], window, augmentation, {}, random) for i in range(4)]

figure, axes = plt.subplots(1, 4, figsize=(12, 3))
for axis, patch in zip(axes, examples, strict=True):
    found = (patch.labels_XYZ == class_id).sum(dim=(0, 1))
    middle = int(found.argmax()) if found.any() else window[2] // 2
    axis.imshow(radiological(patch.image_XYZ.numpy(), 2, middle), cmap="gray", vmin=0.25, vmax=0.65)
    axis.imshow(np.ma.masked_equal(radiological((patch.labels_XYZ == class_id).numpy(), 2, middle), 0), alpha=0.5)
    axis.axis("off")
figure.suptitle("four patches to learn from")
figure.savefig(options.out / "patches.png", bbox_inches="tight")

# %% [markdown]
# ## Model
#
# The checkpoint is loaded whole. For a class that the model was never trained on, its table of embeddings holds a row
# of noise. A better start is the row of a class it knows: the one whose answer, on a few patches, has the lowest loss
# for what we want. (`openvista finetune` does the same.)

# %%
known = [known_id for known_id in card.class_ids if vocabulary.name(known_id) != "mandible"]


@torch.no_grad()
def loss_of_class(known_id):
    """How badly the answer for a known class fits the structure to learn."""
    embedding_KC = network.class_embeddings(torch.tensor([known_id], device=device))
    return sum(
        dice_bce_loss(dot_logits(embedding_KC, features)[0], (patch.labels_XYZ == class_id)[None].to(device)).item()
        for patch, features in zip(examples, example_features, strict=True)
    )


if class_id not in card.class_ids:
    with torch.no_grad():
        example_features = [network.automatic_features(patch.image_XYZ[None, None].to(device)) for patch in examples]
    nearest = min(known, key=loss_of_class)
    start_embeddings(network, {class_id: [nearest]})
    print(f"{name!r} starts from the embedding of {vocabulary.name(nearest)!r}")
network.to(memory_format=torch.channels_last_3d)

print(f"{card.name}: {sum(parameter.numel() for parameter in network.parameters()):,} parameters")
print(f"windows of {preset.window} voxels of {preset.spacing} mm; patches of {window}")

# %% [markdown]
# ## The loop
#
# Mixed precision: most of the network's arithmetic is done in half precision, weights and loss stay in float32.
# bfloat16 has the range of float32 and needs nothing else. GPUs that have no instructions for it (V100, T4) take
# float16, in which small gradients would vanish: `GradScaler` multiplies the loss by a large number before the backward
# pass and divides the gradients by it before the step. Where that number was too large a gradient is infinite: then the
# step is left out, and the number halved. A CPU without bfloat16 computes in float32; then the scaler does nothing.
#
# The loss is Dice plus binary cross-entropy on the logits of the one class that is asked for.

# %%
precision = getattr(torch, training_precision(device))
scaler = torch.amp.GradScaler(device.type, enabled=precision == torch.float16)
print(f"{precision}, {'with' if scaler.is_enabled() else 'without'} gradient scaler")

optimiser = torch.optim.AdamW(network.parameters(), lr=options.learning_rate, weight_decay=1e-5)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.steps)
ids_K = torch.tensor([class_id], device=device)


def learn_from(patches):
    """One step of the optimiser; the mean loss over the patches."""
    images_N1XYZ = torch.stack([patch.image_XYZ for patch in patches])[:, None].to(device)
    targets_N1XYZ = torch.stack([patch.labels_XYZ == class_id for patch in patches])[:, None].to(device)
    with torch.autocast(device.type, precision, enabled=precision != torch.float32):
        features_NCXYZ = network.automatic_features(images_N1XYZ.contiguous(memory_format=torch.channels_last_3d))
    logits_N1XYZ = dot_logits(network.class_embeddings(ids_K), features_NCXYZ.float())
    loss = torch.stack([dice_bce_loss(*pair) for pair in zip(logits_N1XYZ, targets_N1XYZ, strict=True)]).mean()
    optimiser.zero_grad(set_to_none=True)
    scaler.scale(loss).backward()
    scaler.unscale_(optimiser)  # so that clipping sees the gradients as they are
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    scaler.step(optimiser)
    scaler.update()
    schedule.step()
    return loss.item()


def validation_dice():
    """Mean Dice of the class over the validation scans, on the model's grid."""
    scores = [class_dice(network, case, [class_id]).get(class_id, float("nan")) for case in validation_cases]
    return float(np.nanmean(scores)) if scores else float("nan")


# %%
losses, accuracy = [], {0: validation_dice()}
best, best_weights = -1.0, None
began = time.monotonic()
for step in range(1, options.steps + 1):
    chosen = torch.randint(len(training_cases), (options.patches,), generator=random).tolist()
    losses.append(learn_from([draw_patch(training_cases[i], window, augmentation, {}, random) for i in chosen]))
    if step % options.validate_every == 0 or step == options.steps:
        accuracy[step] = validation_dice()
        print(f"step {step:4d}, loss {np.mean(losses[-options.validate_every :]):.3f}, Dice {accuracy[step]:.3f}")
        if accuracy[step] >= best:
            best = accuracy[step]
            best_weights = {key: tensor.detach().clone() for key, tensor in network.state_dict().items()}
network.load_state_dict(best_weights)
print(f"{(time.monotonic() - began) / 60:.1f} minutes")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.5))
left.plot(range(1, options.steps + 1), losses)
left.set(xlabel="step", ylabel="loss (Dice + cross-entropy)", title="training")
right.plot(list(accuracy), list(accuracy.values()), marker="o")
right.set(xlabel="step", ylabel="Dice", ylim=(0, 1), title=f"validation, {name}")
figure.savefig(options.out / "curves.png", bbox_inches="tight")

# %% [markdown]
# ## The result is a model like any other
#
# Weights and card in a folder: `openvista segment CT.nii.gz --model runs/finetune_spleen/model` works from here on.

# %%
new_card = ModelCard.from_preset(
    preset,
    name=options.out.name,
    classes=(class_id,) if class_id in SUPPORTED_IDS else (),
    extra_classes=mapping.new_names,
    licence=card.licence,
    provenance={"base_model": card.name, "base_sha256": card.weights_sha256, "datalist": listed.path.name},
    metrics={"validation_dice": {str(class_id): best}},
)
save_model(network.to("cpu"), new_card, options.out / "model")
model = ov.load_model(options.out / "model")

# %% [markdown]
# ## Inference on a scan that was not trained on
#
# The whole path of `openvista segment`: windows over the scan, stitched, and back to the scan's own voxels.

# %%
case = testing[0]
scan = ov.read_scan(case.image)
predicted = model.segment(scan, classes=[class_id], overlap=options.overlap)
truth = read_labels(case.label)[0] == value
found = predicted.mask(class_id)

image, truth_RAS, found_RAS = (in_ras_order(volume, scan.grid) for volume in (scan.voxels, truth, found))
middle = int(truth_RAS.sum(axis=(0, 1)).argmax())
x, y, z = scan.grid.in_ras_order().spacing
figure, axes = plt.subplots(1, 3, figsize=(12, 4.5))
for axis, title, mask in zip(axes, ("image", "truth", "prediction"), (None, truth_RAS, found_RAS), strict=True):
    axis.imshow(radiological(image, 2, middle), cmap="gray", vmin=-160, vmax=240, aspect=y / x)
    if mask is not None:
        axis.imshow(np.ma.masked_equal(radiological(mask, 2, middle), 0), alpha=0.6, vmin=0, vmax=1, aspect=y / x)
    axis.set_title(title)
    axis.axis("off")
figure.savefig(options.out / "result.png", bbox_inches="tight")
predicted.save(options.out / "prediction.nii.gz")

# %% [markdown]
# ## Evaluation on the original grid

# %%
measures = measure_masks(truth, found, scan.grid)
print(f"{scan.name}, {name}: Dice {measures.dice:.3f}, surface Dice at 2 mm {measures.nsd:.3f}")
print(f"HD95 {measures.hd95_mm:.1f} mm, volume {measures.predicted_ml:.1f} ml, truth {measures.truth_ml:.1f} ml")
