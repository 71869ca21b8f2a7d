"""Shift the threshold of class prompts: raise the logits of all classes by about the same number, in the weights.

    python benchmarks/shift_logits.py MODEL LIST.json --fold 0 --by 0.4 -o runs/shifted

A class head has no bias: a logit is the dot product of a class's embedding and the features of a voxel. But among the
features there is a direction v whose dot product with them is close to 1 wherever it matters. It is found by least
squares on windows of the training scans, and v times the shift goes into the last bias of the embeddings. Nothing else
changes, so a model folder with the shift is a model like any other. How well it fits is printed: mean and spread of
v · features over voxels near the edge of a structure (logits from -2 to 2) and elsewhere, on every second voxel, which
the fit has not seen.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from openvista.datalist import read_datalist
from openvista.inference.windows import pad, plan_windows
from openvista.io import read_scan
from openvista.network import Vista3D
from openvista.network.class_head import dot_logits
from openvista.prepare import prepare
from openvista.weights import find_model
from openvista.weights.store import load_network, save_model

NEAR = 2.0
"""Logits up to this size are near an edge."""
ELSEWHERE = 0.02
"""How much a voxel elsewhere counts beside one near an edge."""
RIDGE = 1e-3
"""Of the features' mean square."""
WINDOWS = 3
"""Of each scan."""


def main() -> None:
    arguments = read_arguments()
    model = find_model(arguments.model)
    network = load_network(model)
    cases = read_datalist(arguments.datalist).split(arguments.fold)[0][:: arguments.every]
    class_ids = torch.tensor(model.card.class_ids)
    parts = [part for case in cases for part in windows(network, case.image, class_ids)]
    features_VC, largest_V = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
    direction_C = constant_direction(features_VC[::2], largest_V[::2])
    constant_V, near_V = features_VC[1::2] @ direction_C, largest_V[1::2].abs() < NEAR
    for name, chosen in (("near an edge", near_V), ("elsewhere", ~near_V)):
        print(f"{name}: {constant_V[chosen].mean():.3f} ± {constant_V[chosen].std():.3f} ({int(chosen.sum())} voxels)")
    with torch.no_grad():
        network.class_head.linear2.bias += arguments.by / constant_V[near_V].mean() * direction_C
    print(save_model(network, model.card, arguments.output).card.weights_sha256)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("datalist", type=Path)
    parser.add_argument("--by", type=float, required=True, help="what the logits are raised by")
    parser.add_argument("--fold", type=int, help="held out: not looked at")
    parser.add_argument("--every", type=int, default=10, help="so manieth training scan is looked at")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the new model")
    return parser.parse_args()


@torch.no_grad()
def windows(network: Vista3D, image: Path, class_ids: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Features [V, C] and the largest logit [V] of the voxels of some windows of a scan, evenly spread over it."""
    preset = network.preset
    prepared = prepare(read_scan(image), preset.spacing, preset.hu_window)
    x, y, z = prepared.image_XYZ.shape
    plan = plan_windows((x, y, z), preset.window, overlap=0.5)
    padded_XYZ = pad(prepared.image_XYZ.float(), plan, "constant")
    for start in plan.starts[:: max(1, len(plan.starts) // WINDOWS)][:WINDOWS]:
        mapped_NCXYZ = network.automatic_features(padded_XYZ[plan.slices(start)][None, None])
        logits_KXYZ = dot_logits(network.class_embeddings(class_ids), mapped_NCXYZ)[0]
        yield mapped_NCXYZ[0].flatten(1).T, logits_KXYZ.amax(0).flatten()


def constant_direction(features_VC: Tensor, largest_V: Tensor) -> Tensor:
    """[C]: what the features of a voxel are to be multiplied by to give 1, as nearly as can be."""
    weight_V = torch.where(largest_V.abs() < NEAR, 1.0, ELSEWHERE)
    square_CC = (features_VC * weight_V[:, None]).T @ features_VC
    ridge_CC = RIDGE * square_CC.diagonal().mean() * torch.eye(len(square_CC))
    return torch.linalg.solve(square_CC + ridge_CC, features_VC.T @ weight_V)


if __name__ == "__main__":
    main()
