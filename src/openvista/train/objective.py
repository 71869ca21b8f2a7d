"""What is minimised: samples go in together, one number comes out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from openvista.model import PointFeatures, Vista3D
from openvista.model.class_head import dot_logits
from openvista.simulate.clicks import ClickRules, further_clicks
from openvista.train.losses import dice_bce_loss
from openvista.train.parts import parameters_of
from openvista.train.recipe import Recipe
from openvista.train.samples import ClassPrompts, ClickPrompts, Sample, random_source


@dataclass(frozen=True)
class Answer:
    """What one pass gives.

    Attributes:
        loss: sum over all questions, divided by the number of samples; 0 where nothing could be asked.
        later: the click prompts of each sample with the clicks that the answer calls for; ``None`` for a sample
            without clicks or without a need for more.
        pyramid: the encoder's features, worth keeping while the encoder is frozen.
    """

    loss: Tensor
    later: tuple[ClickPrompts | None, ...]
    pyramid: list[Tensor]


class Objective(nn.Module):
    """Mean loss of all prompts of some samples; the module that distributed training wraps.

    Args:
        network: the network to train, frozen where it is.
        recipe: says which parts are trained, the precision and how the rounds of clicks are counted.
    """

    def __init__(self, network: Vista3D, recipe: Recipe) -> None:
        super().__init__()
        self.network = network
        self.trained = recipe.trained
        self.autocast = getattr(torch, recipe.precision)
        self.rounds_inside = 0 if recipe.step_every_round else recipe.rounds
        self.encoder_learns = "encoder" in recipe.trained

    def forward(self, samples: Sequence[Sample], pyramid: list[Tensor] | None = None) -> Answer:
        """Loss of what is asked.

        Args:
            samples: patches of the same size.
            pyramid: of an earlier pass of the same patches through a frozen encoder.
        """
        device = next(self.network.parameters()).device
        with torch.autocast(device.type, self.autocast, enabled=self.autocast != torch.float32):
            if pyramid is None:
                pyramid = self._pyramid(samples, device)
            class_losses = self._class_losses(samples, pyramid)
            click_losses, later = self._click_losses(samples, pyramid)
        # A process without any question still has to take part, or the others wait for its gradients for ever.
        losses = [*class_losses, *click_losses] or [0 * one.sum() for one in parameters_of(self.network, self.trained)]
        return Answer(torch.stack(losses).sum() / len(samples), later, pyramid)

    def _pyramid(self, samples: Sequence[Sample], device: torch.device) -> list[Tensor]:
        images_N1XYZ = torch.stack([sample.image_XYZ for sample in samples])[:, None].to(device)
        with torch.set_grad_enabled(self.encoder_learns and torch.is_grad_enabled()):
            pyramid: list[Tensor] = self.network.encoder(images_N1XYZ.contiguous(memory_format=torch.channels_last_3d))
        return pyramid

    def _class_losses(self, samples: Sequence[Sample], pyramid: list[Tensor]) -> list[Tensor]:
        """One loss per sample that is asked by class."""
        if all(sample.classes is None for sample in samples):
            return []
        network = self.network
        features_NCXYZ = network.class_head.map_features(network.automatic_decoder(pyramid))
        return [
            self._class_loss(sample.classes, features_1CXYZ)
            for sample, features_1CXYZ in zip(samples, features_NCXYZ.split(1), strict=True)
            if sample.classes is not None
        ]

    def _class_loss(self, prompts: ClassPrompts, features_1CXYZ: Tensor) -> Tensor:
        device = features_1CXYZ.device
        with torch.autocast(device.type, enabled=False):
            embeddings_KC = self.network.class_embeddings(prompts.ids_K.to(device))
            logits_KXYZ = dot_logits(embeddings_KC, features_1CXYZ.float())[0]
        return dice_bce_loss(logits_KXYZ, prompts.targets_KXYZ.to(device), prompts.known_KXYZ.to(device))

    def _click_losses(
        self, samples: Sequence[Sample], pyramid: list[Tensor]
    ) -> tuple[list[Tensor], tuple[ClickPrompts | None, ...]]:
        """One loss per sample that is asked by clicks, and for every sample the clicks that follow."""
        if all(sample.clicks is None for sample in samples):
            return [], (None,) * len(samples)
        network = self.network
        windows = network.point_head.prepare_all(network.point_decoder(pyramid))
        losses: list[Tensor] = []
        later: list[ClickPrompts | None] = []
        for sample, window in zip(samples, windows, strict=True):
            if sample.clicks is None:
                later.append(None)
                continue
            loss, more = self._rounds(sample.clicks, window)
            losses.append(loss)
            later.append(more)
        return losses, tuple(later)

    def _rounds(self, prompts: ClickPrompts, window: PointFeatures) -> tuple[Tensor, ClickPrompts | None]:
        """Mean loss of the rounds that count together, and what follows them."""
        losses: list[Tensor] = []
        objects = prompts.objects
        following: ClickPrompts | None = prompts
        while following is not None and len(losses) <= self.rounds_inside:
            clicks = following.clicks
            logits_BXYZ = self.network.point_logits(window, clicks.places_BN3, clicks.labels_BN, objects.unseen_B)
            logits_BXYZ = logits_BXYZ[:, 0].float()
            device = logits_BXYZ.device
            losses.append(dice_bce_loss(logits_BXYZ, objects.targets_BXYZ.to(device), objects.known_BXYZ.to(device)))
            following = with_further_clicks(following, (logits_BXYZ.detach() > 0).cpu())
        return torch.stack(losses).mean(), following


def with_further_clicks(prompts: ClickPrompts, predicted_BXYZ: Tensor) -> ClickPrompts | None:
    """The same objects with the clicks a user adds on seeing this answer; ``None`` if nobody adds any."""
    objects = prompts.objects
    more = further_clicks(
        predicted_BXYZ,
        objects.targets_BXYZ,
        objects.known_BXYZ,
        objects.special_B,
        ClickRules(),
        random_source(prompts.seed),
    )
    if more is None:
        return None
    return replace(prompts, clicks=prompts.clicks.joined(more), seed=prompts.seed + 1)
