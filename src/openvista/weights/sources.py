"""Official weights: where they are, and what their licences say. Text and addresses only."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class HubModel:
    """One official model on the Hugging Face hub.

    Attributes:
        repository: owner and name on the hub.
        file: weights file inside it.
        licence: short name for the card.
        licence_text: what the user has to accept.
    """

    repository: str
    file: str
    licence: str
    licence_text: str

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

OFFICIAL = {
    "vista3d": HubModel(
        repository="nvidia/NV-Segment-CT",
        file="vista3d_pretrained_model/model.safetensors",
        licence="NVIDIA Open Model License according to the model card; sources contradict, verify",
        licence_text=_CT_LICENCE.format(
            repository="nvidia/NV-Segment-CT", page="https://huggingface.co/nvidia/NV-Segment-CT"
        ),
    ),
}
"""Names of official models that can be downloaded (file names and licences: checkpoints.md §1 and §6)."""

CTMR_REFUSAL = (
    "the CTMR weights (NV-Segment-CTMR, 345 classes) are not supported: they need another intensity scaling, "
    "window and class list than CT; use the CT weights: `openvista models download vista3d`"
)

REFUSED = dict.fromkeys(("vista3d-ctmr", "nv-segment-ctmr", "nvidia/nv-segment-ctmr", "ctmr"), CTMR_REFUSAL)
"""Names of published models that this version does not run, and why (checkpoints.md §5)."""
