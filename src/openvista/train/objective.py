"""What is minimised: patches go in together, one number comes out."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from openvista.model import Vista3D
from openvista.model.class_head import dot_logits
from openvista.simulate.class_prompts import choose_class_prompts
from openvista.train.augment import Patch
from openvista.train.losses import dice_bce_loss


@dataclass(frozen=True)
class PromptedPatch:
    """A patch and what is asked about it.

    Attributes:
        image_XYZ: float32, about 0..1.
        class_ids_K: prompted class ids.
        target_KXYZ: bool truth per prompt.
        known_KXYZ: bool, where the truth is known.
    """

    image_XYZ: Tensor
    class_ids_K: Tensor
    target_KXYZ: Tensor
    known_KXYZ: Tensor


def prompt_patch(
    patch: Patch, classes: dict[int, int], most_present: int, most_absent: int, random: torch.Generator
) -> PromptedPatch:
    """Choose class prompts for a patch and make their targets.

    Args:
        patch: image and label values.
        classes: label value to class id.
        most_present, most_absent: at most this many prompts of each kind.
        random: source of randomness.
    """
    values = choose_class_prompts(patch.labels_XYZ, patch.annotated, most_present, most_absent, random)
    everywhere = torch.ones(patch.labels_XYZ.shape, dtype=torch.bool)
    return PromptedPatch(
        patch.image_XYZ,
        torch.tensor([classes[value] for value in values]),
        torch.stack([patch.labels_XYZ == value for value in values]),
        torch.stack([patch.known_XYZ.get(value, everywhere) for value in values]),
    )


class ClassPromptObjective(nn.Module):
    """Mean loss of class prompts on patches; the module that distributed training wraps.

    Args:
        network: the network to train, automatic branch.
        autocast: dtype of the forward pass, ``torch.float32`` for none.
    """

    def __init__(self, network: Vista3D, autocast: torch.dtype) -> None:
        super().__init__()
        self.network = network
        self.autocast = autocast

    def forward(self, patches: Sequence[PromptedPatch]) -> Tensor:
        images_N1XYZ = torch.stack([patch.image_XYZ for patch in patches])[:, None]
        images_N1XYZ = images_N1XYZ.contiguous(memory_format=torch.channels_last_3d)
        with torch.autocast(images_N1XYZ.device.type, self.autocast, enabled=self.autocast != torch.float32):
            features_NCXYZ = self.network.automatic_features(images_N1XYZ)
        losses = []
        for patch, features_1CXYZ in zip(patches, features_NCXYZ.split(1), strict=True):
            embeddings_KC = self.network.class_embeddings(patch.class_ids_K)
            logits_KXYZ = dot_logits(embeddings_KC, features_1CXYZ.float())[0]
            losses.append(dice_bce_loss(logits_KXYZ, patch.target_KXYZ, patch.known_KXYZ))
        return torch.stack(losses).mean()
