"""``metadata.json`` of a bundle, the schema it is checked against, and the other text files."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy
import torch

from openvista._version import __version__
from openvista.bundle.network import CARD, everything
from openvista.network import VISTA3D
from openvista.weights import ModelCard

MONAI_VERSION = "1.6.1"
"""The version that the tests run every command with."""

SCHEMA_FILE = "metadata_schema.json"
_SCHEMA_URL = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
"""MONAI's own; ``verify_metadata`` downloads it unless it finds the file that ``--filepath`` names (SCHEMA_FILE)."""


def metadata(card: ModelCard) -> dict[str, Any]:
    """What MONAI's tools want to know: versions, what goes in, what comes out."""
    names = card.vocabulary()
    channels = {"0": "background"} | {str(id_): names.name(id_) for id_ in names.ids}
    official = card.filters == VISTA3D.filters and card.blocks_per_level == VISTA3D.blocks_per_level
    size = "the official size" if official else f"{card.filters} channels, blocks {list(card.blocks_per_level)}"
    return {
        "schema": _SCHEMA_URL,
        "version": __version__,
        "changelog": {__version__: "written by openvista bundle export"},
        "monai_version": MONAI_VERSION,
        "pytorch_version": torch.__version__.partition("+")[0],
        "numpy_version": numpy.__version__,
        "required_packages_version": {
            "openvista": __version__,
            **{name: _version(name) for name in ("nibabel", "pytorch-ignite", "fire")},
        },
        "supported_apps": {"vista3d-nim": ""},
        "name": card.name,
        "task": "Segmentation of structures in CT by class name and by clicks",
        "description": f"{card.name}: a VISTA3D network ({size}; {CARD} says the rest) on OpenVISTA's engine",
        "authors": "OpenVISTA",
        "copyright": f"Weights: {card.licence}",
        "data_type": "nibabel",
        "intended_use": "Research; not a medical device",
        "network_data_format": {
            "inputs": {
                "image": _tensor(card) | {"num_channels": 1, "value_range": [0, 1], "channel_def": {"0": "image"}}
            },
            "outputs": {
                "pred": _tensor(card)
                | {"num_channels": max(len(everything(card)), 1), "value_range": [0, 1], "channel_def": channels}
            },
        },
    }


def schema() -> dict[str, Any]:
    """JSON schema of what every bundle's metadata must have (bundle facts §1)."""
    text = {"type": "string"}
    tensor = {
        "type": "object",
        "properties": {
            "type": text,
            "format": text,
            "num_channels": {"type": "integer"},
            "spatial_shape": {"type": "array"},
            "dtype": text,
            "value_range": {"type": "array"},
            "is_patch_data": {"type": "boolean"},
            "channel_def": {"type": "object"},
        },
        "required": ["type", "format", "num_channels", "spatial_shape", "dtype", "is_patch_data", "channel_def"],
    }
    tensors = {"type": "object", "minProperties": 1, "additionalProperties": tensor}
    needed = ("version", "monai_version", "pytorch_version", "numpy_version", "task", "description", "authors")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Metadata of a MONAI bundle",
        "type": "object",
        "properties": {
            **dict.fromkeys((*needed, "copyright", "name"), text),
            "required_packages_version": {"type": "object", "additionalProperties": text},
            "network_data_format": {
                "type": "object",
                "properties": {"inputs": tensors, "outputs": tensors},
                "required": ["inputs", "outputs"],
            },
        },
        "required": [*needed, "copyright", "required_packages_version", "network_data_format"],
    }


LOGGING = """\
[loggers]
keys=root

[handlers]
keys=consoleHandler

[formatters]
keys=fullFormatter

[logger_root]
level=INFO
handlers=consoleHandler

[handler_consoleHandler]
class=StreamHandler
level=INFO
formatter=fullFormatter
args=(sys.stdout,)

[formatter_fullFormatter]
format=%(asctime)s - %(name)s - %(levelname)s - %(message)s
"""

SCRIPTS = '''"""For configurations that say "$import scripts": what they need is in the package openvista.bundle."""

from openvista.bundle.evaluator import BundleEvaluator, CheckpointLoader  # noqa: F401
'''


def readme(card: ModelCard) -> str:
    """``docs/README.md``: what this is and how it is run."""
    return f"""\
# {card.name} as a MONAI bundle

A VISTA3D network on OpenVISTA's engine. It needs `pip install 'openvista[bundle]'`; run it from this folder:

```
python -m monai.bundle run --config_file configs/inference.json --input_dict "{{'image': 'ct.nii.gz'}}"
```

The network sees voxels of {" x ".join(f"{side:g}" for side in card.spacing)} mm in windows of
{" x ".join(map(str, card.window))}. `docs/moving-over.md` of OpenVISTA has every command of the official bundle, and
what every id does here. Licence of the weights: {card.licence}. Research only, not a medical device.
"""


def _tensor(card: ModelCard) -> dict[str, Any]:
    return {
        "type": "image",
        "format": "hounsfield",
        "modality": "CT",
        "spatial_shape": list(card.window),
        "dtype": "float32",
        "is_patch_data": True,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
