"""Spacing and patch as nnU-Net or MONAI's Auto3DSeg have planned them for the same data."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openvista.errors import RecipeError
from openvista.geometry.grid import Axis3, Float3
from openvista.network import VISTA3D
from openvista.train.yaml_keys import read_yaml_keys

logger = logging.getLogger(__name__)

_MULTIPLE = VISTA3D.window_multiple
"""Of which the sides of a patch are multiples, with every preset."""
_SPACINGS = ("resample_resolution", "resample_to_spacing")
_PATCHES = ("roi_size", "patch_size")


@dataclass(frozen=True)
class OtherPlan:
    """What another framework has planned.

    Attributes:
        path: the file that says so.
        spacing: mm per voxel along R, A, S.
        patch: voxels along R, A, S, rounded to what networks here can take.
    """

    path: Path
    spacing: Float3
    patch: Axis3


def read_other_plan(folder: Path) -> OtherPlan:
    """The plan in a work folder.

    Of nnU-Net that is ``nnUNetPlans.json`` (or another ``*Plans.json``), configuration ``3d_fullres``, whose axes run
    the other way round than ours; of Auto3DSeg the first ``<algorithm>/configs/hyper_parameters.yaml`` in order of
    name.

    Raises:
        RecipeError: there is no plan, or it does not give spacing and patch as numbers.
    """
    if not folder.is_dir():
        raise RecipeError(f"--plan-from {folder}: is no folder")
    nnunet = _found(folder, "*Plans.json")
    auto3dseg = _found(folder, "configs/hyper_parameters.yaml")
    if nnunet:
        path, (spacing, patch) = nnunet[0], _of_nnunet(nnunet[0])
    elif auto3dseg:
        path, (spacing, patch) = auto3dseg[0], _of_auto3dseg(auto3dseg[0])
    else:
        raise RecipeError(
            f"--plan-from {folder}: holds no plan of nnU-Net (nnUNetPlans.json) or of Auto3DSeg "
            "(configs/hyper_parameters.yaml)"
        )
    x, y, z = _three(spacing, path, "spacing")
    sides = _three(patch, path, "patch size")
    a, b, c = (max(2, round(side / _MULTIPLE)) * _MULTIPLE for side in sides)
    logger.info("%s: spacing %s mm, patch %s", path, (x, y, z), (a, b, c))
    return OtherPlan(path, (x, y, z), (a, b, c))


def _found(folder: Path, pattern: str) -> list[Path]:
    """Files of this pattern in the folder, then those one folder below."""
    return sorted(folder.glob(pattern)) + sorted(folder.glob(f"*/{pattern}"))


def _of_nnunet(path: Path) -> tuple[Any, Any]:
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))["configurations"]["3d_fullres"]
        return plan["spacing"][::-1], plan["patch_size"][::-1]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise RecipeError(
            f"{path}: has no readable configuration '3d_fullres' ({type(error).__name__}: {error})"
        ) from None


def _of_auto3dseg(path: Path) -> tuple[Any, Any]:
    keys = read_yaml_keys(path, "Auto3DSeg plan")
    inner = keys.get("training")
    groups: list[Mapping[str, Any]] = [keys, inner if isinstance(inner, dict) else {}]

    def first(names: tuple[str, ...]) -> Any:
        return next((group[name] for name in names for group in groups if group.get(name) is not None), None)

    return first(_SPACINGS), first(_PATCHES)


def _three(value: Any, path: Path, what: str) -> tuple[float, float, float]:
    try:
        x, y, z = (float(one) for one in value)
    except (TypeError, ValueError):
        raise RecipeError(f"{path}: its {what} is {value!r:.60}, not three numbers") from None
    if not min(x, y, z) > 0:
        raise RecipeError(f"{path}: its {what} is {value!r:.60}: the numbers must be above 0")
    return x, y, z
