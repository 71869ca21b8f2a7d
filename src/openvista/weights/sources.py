"""Official weights: where they are, and what their licences say. Text and addresses only."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openvista.network.presets import Family


@dataclass(frozen=True, kw_only=True)
class HubModel:
    """One official model on the Hugging Face hub.

    Attributes:
        repository: owner and name on the hub.
        file: weights file inside it.
        licence: short name for the card.
        licence_text: what the user has to accept.
        family: which training of the network it is, as cards say it.
    """

    repository: str
    file: str
    licence: str
    licence_text: str
    family: "Family" = "ct"

    @property
    def page(self) -> str:
        """The repository's page, where the licence can be read."""
        return f"https://huggingface.co/{self.repository}"


_CT_LICENCE = """\
Weights of {repository} (NVIDIA). They are not part of OpenVISTA and not covered by its licence.
The publisher's own pages contradict each other about the terms:
  - the model card on the hub and the table in the VISTA README: NVIDIA Open Model License (commercial use allowed)
  - the foot of the VISTA README and its licence files: NVIDIA OneWay Noncommercial License
  - the MONAI bundle: NCLS v1 (non-commercial) in older versions, NVIDIA Open Model License in later ones
The code of all these repositories is Apache-2.0; that says nothing about the weights.
Safe stand: Open Model License as the model card says, after you have checked {page} yourself.
Research use only: not a medical device."""

_CTMR_LICENCE = """\
Weights of nvidia/NV-Segment-CTMR (NVIDIA). They are not part of OpenVISTA and not covered by its licence.
Terms: NVIDIA OneWay Noncommercial License, says https://huggingface.co/nvidia/NV-Segment-CTMR; read them there.
The code of the repository is Apache-2.0; that says nothing about the weights.
Research use only: not a medical device."""

OFFICIAL = {
    "vista3d": HubModel(
        repository="nvidia/NV-Segment-CT",
        file="vista3d_pretrained_model/model.safetensors",
        licence="NVIDIA Open Model License according to the model card; sources contradict, verify",
        licence_text=_CT_LICENCE.format(
            repository="nvidia/NV-Segment-CT", page="https://huggingface.co/nvidia/NV-Segment-CT"
        ),
    ),
    "vista3d-ctmr": HubModel(
        repository="nvidia/NV-Segment-CTMR",
        file="vista3d_pretrained_model/model.safetensors",
        licence="NVIDIA OneWay Noncommercial License",
        licence_text=_CTMR_LICENCE,
        family="ctmr",
    ),
}
"""Names of official models that can be downloaded (file names and licences: checkpoints.md §1 and §6)."""
