"""What training minimises: a group of samples in, one number out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from openvista.geometry.grid import Float3
from openvista.network import ClickLabel, PointFeatures, Vista3D
from openvista.network.class_head import dot_logits
from openvista.simulate.challenge_user import next_challenge_clicks, without_middles
from openvista.simulate.clicks import ClickRules, Clicks, further_clicks, joined
from openvista.simulate.user import next_user_clicks
from openvista.train.recipe import LossTerms, Recipe
from openvista.train.samples import ClassPrompts, ClickPrompts, Sample, random_source
from openvista.train.starting_network import parameters_of

RADIUS_SHARE = 5
"""The patch's shortest side divided by the radius within which clicks replace the class (paper facts §5)."""

MOST_RARE = 1000.0
"""Voxels outside per voxel inside, above which a structure counts as no rarer: a few voxels should not rule a step."""


@dataclass(frozen=True)
class PassResult:
    """What one pass through the network gives.

    Attributes:
        loss: sum over all prompts, divided by the number of samples; 0 where nothing could be asked.
        later: the click prompts of each sample with the clicks that the answer calls for; ``None`` for a sample
            without clicks or without a need for more.
        pyramid: the encoder's features, worth keeping while the encoder is frozen; ``None`` if it did not run.
    """

    loss: Tensor
    later: tuple[ClickPrompts | None, ...]
    pyramid: list[Tensor] | None


class Objective(nn.Module):
    """Mean loss of all prompts of some samples; the module that distributed training wraps.

    Args:
        network: the network to train, frozen where it is.
        recipe: says which parts are trained, the precision and how the rounds of clicks are counted.
    """

    def __init__(self, network: Vista3D, recipe: Recipe) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.autocast = getattr(torch, recipe.precision)

    def forward(self, samples: Sequence[Sample], pyramid: list[Tensor] | None = None) -> PassResult:
        """Loss of what is asked.

        Args:
            samples: patches of the same size.
            pyramid: of an earlier pass of the same patches through a frozen encoder.
        """
        if all(sample.classes is None and sample.clicks is None for sample in samples):
            return self._nothing_asked(len(samples))
        device = next(self.network.parameters()).device
        with torch.autocast(device.type, self.autocast, enabled=self.autocast != torch.float32):
            if pyramid is None:
                pyramid = self._pyramid(samples, device)
            mapped = self._mapped_features(samples, pyramid)
            class_losses = [
                self._class_loss(sample.classes, features_1CXYZ)
                for sample, features_1CXYZ in zip(samples, mapped, strict=True)
                if sample.classes is not None and features_1CXYZ is not None
            ]
            click_losses, later = self._click_losses(samples, pyramid, mapped)
        loss = torch.stack([*class_losses, *click_losses]).sum() / len(samples)
        return PassResult(loss, later, pyramid)

    def _nothing_asked(self, samples: int) -> PassResult:
        """A process with nothing to ask still takes part, or the others would wait for its gradients for ever."""
        nothing = [0 * parameter.sum() for parameter in parameters_of(self.network, self.recipe.trained)]
        return PassResult(torch.stack(nothing).sum(), (None,) * samples, None)

    def _pyramid(self, samples: Sequence[Sample], device: torch.device) -> list[Tensor]:
        images_N1XYZ = torch.stack([sample.image_XYZ for sample in samples])[:, None].to(device)
        with torch.set_grad_enabled("encoder" in self.recipe.trained and torch.is_grad_enabled()):
            pyramid: list[Tensor] = self.network.encoder(images_N1XYZ.contiguous(memory_format=torch.channels_last_3d))
        return pyramid

    def _mapped_features(self, samples: Sequence[Sample], pyramid: list[Tensor]) -> Sequence[Tensor | None]:
        """What class prompts look at, [1, C, X, Y, Z] per sample; nothing where no sample has any."""
        if all(sample.classes is None for sample in samples):
            return [None] * len(samples)
        network = self.network
        features_NCXYZ = network.class_head.map_features(network.automatic_decoder(pyramid))
        return features_NCXYZ.split(1)

    def _class_logits(self, ids_K: Tensor, features_1CXYZ: Tensor) -> Tensor:
        """[K, X, Y, Z], in float32."""
        device = features_1CXYZ.device
        with torch.autocast(device.type, enabled=False):
            return dot_logits(self.network.class_embeddings(ids_K.to(device)), features_1CXYZ.float())[0]

    def _class_loss(self, prompts: ClassPrompts, features_1CXYZ: Tensor) -> Tensor:
        logits_KXYZ = self._class_logits(prompts.ids_K, features_1CXYZ)
        truth = [one.to(logits_KXYZ.device) for one in (prompts.targets_KXYZ, prompts.known_KXYZ, prompts.weights_K)]
        terms, losses = self.recipe.loss, []
        if terms.dice > 0 or terms.cross_entropy > 0:
            losses.append(dice_bce_loss(logits_KXYZ, truth[0], truth[1], truth[2], terms))
        if terms.exclusive > 0:
            losses.append(terms.exclusive * exclusive_loss(logits_KXYZ, truth[0], truth[1], terms))
        return torch.stack(losses).sum()

    def _click_losses(
        self, samples: Sequence[Sample], pyramid: list[Tensor], mapped: Sequence[Tensor | None]
    ) -> tuple[list[Tensor], tuple[ClickPrompts | None, ...]]:
        """One loss per sample that is asked by clicks, and for every sample the clicks that follow."""
        if all(sample.clicks is None for sample in samples):
            return [], (None,) * len(samples)
        network = self.network
        windows = network.point_head.prepare_all(network.point_decoder(pyramid))
        losses: list[Tensor] = []
        later: list[ClickPrompts | None] = []
        for sample, window, features_1CXYZ in zip(samples, windows, mapped, strict=True):
            if sample.clicks is None:
                later.append(None)
                continue
            both = self.recipe.blend and sample.classes is not None and features_1CXYZ is not None
            loss, more = self._rounds(sample.clicks, window, features_1CXYZ if both else None)
            losses.append(loss)
            later.append(more)
        return losses, tuple(later)

    def _rounds(
        self, prompts: ClickPrompts, window: PointFeatures, features_1CXYZ: Tensor | None
    ) -> tuple[Tensor, ClickPrompts | None]:
        """Mean loss of the rounds that count together, and what follows them."""
        losses: list[Tensor] = []
        objects = prompts.objects
        of_class_BXYZ = None if features_1CXYZ is None else self._class_logits(objects.class_ids_B, features_1CXYZ)
        asked, following = prompts, None
        rounds = self._rounds_together(prompts)
        for number in range(rounds + 1):
            learns = number in (0, rounds) or not prompts.by_user
            with torch.set_grad_enabled(learns and torch.is_grad_enabled()):
                logits_BXYZ = self._click_logits(asked, window, of_class_BXYZ)
            if learns:
                device = logits_BXYZ.device
                truth = (objects.targets_BXYZ.to(device), objects.known_BXYZ.to(device))
                losses.append(dice_bce_loss(logits_BXYZ, *truth, terms=self.recipe.loss))
            following = with_further_clicks(asked, (logits_BXYZ.detach() > 0).cpu(), self.recipe.network_preset.spacing)
            if following is None:
                break
            asked = following
        return torch.stack(losses).mean(), following

    def _rounds_together(self, prompts: ClickPrompts) -> int:
        """Rounds after the first one that belong to the same optimiser step."""
        if self.recipe.step_every_round:
            return 0
        if not prompts.by_user:
            return self.recipe.rounds
        return int(torch.randint(1, self.recipe.user_rounds + 1, (1,), generator=random_source(prompts.seed)))

    def _click_logits(self, prompts: ClickPrompts, window: PointFeatures, of_class_BXYZ: Tensor | None) -> Tensor:
        """[B, X, Y, Z], in float32; blended with the logits of the class where these are given."""
        clicks, objects = prompts.clicks, prompts.objects
        logits_B1XYZ = self.network.point_logits(window, clicks.places_BN3, clicks.labels_BN, objects.unseen_B)
        logits_BXYZ = logits_B1XYZ[:, 0].float()
        return (
            logits_BXYZ if of_class_BXYZ is None else blended(of_class_BXYZ, logits_BXYZ, clicks, objects.class_ids_B)
        )


def dice_bce_loss(
    logits_KXYZ: Tensor,
    target_KXYZ: Tensor,
    known_KXYZ: Tensor | None = None,
    weights_K: Tensor | None = None,
    terms: LossTerms = LossTerms(),  # noqa: B008
) -> Tensor:
    """Mean over K prompts of Dice loss (squared denominator, smooth 0 / 1e-5) plus cross-entropy.

    Args:
        logits_KXYZ: float32 logits, one volume per prompt.
        target_KXYZ: 0 or 1, same shape. An absent structure is all 0: its Dice term is constant, its
            cross-entropy pushes the logits down.
        known_KXYZ: where the truth is known (1) or not (0); ``None`` is known everywhere. Unknown voxels
            contribute nothing.
        weights_K: how much each prompt counts; ``None`` is 1 each.
        terms: what the loss is made of.
    """
    logits = logits_KXYZ.flatten(1)
    target = target_KXYZ.flatten(1).to(logits.dtype)
    weight = torch.ones_like(target) if known_KXYZ is None else known_KXYZ.flatten(1).to(logits.dtype)
    probability = torch.sigmoid(logits) * weight
    target = target * weight
    overlap = (probability * target).sum(1)
    sizes = probability.square().sum(1) if terms.squared else probability.sum(1)
    dice = 1 - 2 * overlap / (sizes + target.square().sum(1) + terms.smooth)
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if terms.focal_gamma > 0:
        entropy = entropy * (1 - torch.exp(-entropy)) ** terms.focal_gamma  # exp(-entropy): probability of the truth
    if terms.balance > 0:
        inside = target.sum(1, keepdim=True)
        rarity = (weight.sum(1, keepdim=True) - inside) / inside.clamp(min=1)
        weight = weight * torch.where(target > 0, rarity.clamp(1, MOST_RARE) ** terms.balance, 1)
    entropy = (entropy * weight).sum(1) / weight.sum(1).clamp(min=1)
    loss_K = terms.dice * dice + terms.cross_entropy * entropy
    return (loss_K if weights_K is None else loss_K * weights_K).mean()


def exclusive_loss(logits_KXYZ: Tensor, target_KXYZ: Tensor, known_KXYZ: Tensor, terms: LossTerms) -> Tensor:
    """Mean cross-entropy of a softmax over K prompts and "none", whose logit is 0, plus Dice loss of what is there.

    A prompt whose truth is unknown in a voxel does not compete there; a voxel that belongs to several has no part.

    Args:
        logits_KXYZ: float32 logits, one volume per prompt.
        target_KXYZ, known_KXYZ: as in :func:`dice_bce_loss`, bool.
        terms: ``balance``: a voxel counts this power of (all voxels / those of its class).
    """
    known, target = known_KXYZ.flatten(1), target_KXYZ.flatten(1) & known_KXYZ.flatten(1)
    logits = logits_KXYZ.flatten(1).masked_fill(~known, -torch.inf)
    alone = target.sum(0) < 2
    numbers = torch.arange(1, len(target) + 1, device=target.device)
    right = (target * alone * numbers[:, None]).sum(0)
    log_shares = functional.log_softmax(torch.cat([torch.zeros_like(logits[:1]), logits]), 0)
    of_right = log_shares.gather(0, right[None])[0]
    counts = torch.bincount(right, alone.float(), len(target) + 1)
    weight = alone * (counts.sum() / counts.clamp(min=1)).clamp(1, MOST_RARE)[right] ** terms.balance
    entropy = -(of_right * weight).sum() / weight.sum().clamp(min=1)
    overlap = torch.zeros_like(counts).index_add(0, right, of_right.exp() * alone)
    dice = 1 - (2 * overlap + 1) / (counts + log_shares.exp() @ alone.float() + 1)
    there = counts[1:] > 0
    return entropy + (dice[1:][there].mean() if there.any() else 0)


def blended(of_class_BXYZ: Tensor, of_clicks_BXYZ: Tensor, clicks: Clicks, class_ids_B: Tensor) -> Tensor:
    """Logits of the clicks near the clicks and of the class elsewhere (paper facts §5, training).

    The class counts by 1 - (sum of Gaussians around the clicks), not below 0; their radius is a fifth of the patch's
    shortest side. An object that is no class (id 0) keeps the logits of its clicks.
    """
    weight_BXYZ = 1 - _nearness(clicks, of_class_BXYZ)
    weight_BXYZ = weight_BXYZ.clamp(min=0) * (class_ids_B > 0).to(weight_BXYZ.device)[:, None, None, None]
    return torch.lerp(of_clicks_BXYZ, of_class_BXYZ, weight_BXYZ)


def _nearness(clicks: Clicks, like_BXYZ: Tensor) -> Tensor:
    """Sum over an object's clicks of a Gaussian around each."""
    radius = min(like_BXYZ.shape[1:]) / RADIUS_SHARE
    counts_BN = (clicks.labels_BN != ClickLabel.PADDING).to(like_BXYZ)
    lines = []
    for axis, side in enumerate(like_BXYZ.shape[1:]):
        distance_BNS = torch.arange(side, device=like_BXYZ.device) - clicks.places_BN3[..., axis, None].to(like_BXYZ)
        lines.append(torch.exp(-distance_BNS.square() / (2 * radius**2)))
    with torch.autocast(like_BXYZ.device.type, enabled=False):
        return torch.einsum("bn,bnx,bny,bnz->bxyz", counts_BN, *lines)


def with_further_clicks(prompts: ClickPrompts, predicted_BXYZ: Tensor, spacing: Float3) -> ClickPrompts | None:
    """The same objects with the clicks a user adds on seeing this answer; ``None`` if nobody adds any.

    Args:
        prompts: the clicks so far, and who clicks.
        predicted_BXYZ: bool answer per object, on the CPU.
        spacing: mm per voxel along X, Y, Z.
    """
    objects = prompts.objects
    if prompts.by_user and prompts.challenge:
        more = next_challenge_clicks(predicted_BXYZ, objects)
    elif prompts.by_user:
        more = next_user_clicks(predicted_BXYZ, objects, spacing)
    else:
        truth = (objects.targets_BXYZ, objects.known_BXYZ, objects.special_B)
        more = further_clicks(predicted_BXYZ, *truth, ClickRules(), random_source(prompts.seed))
    if more is None:
        return None
    clicks = joined([prompts.clicks, more])
    if prompts.by_user and prompts.challenge:
        clicks = without_middles(clicks)
    return replace(prompts, clicks=clicks, seed=prompts.seed + 1)
