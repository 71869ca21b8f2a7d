"""Clicks in several windows, profile ``bundle``, against MONAI's windows around clicks with the same random weights.

Clicks lie near the scan's ends, where both put their windows on the same voxels: ours start on a lattice. MONAI opens
a window for every click, ours for positive ones. Where windows overlap, ours are averaged and MONAI's summed, which has
the same sign where each has as many clicks. Of both, what is connected with a positive click counts: MONAI does that to
objects without a class, we to all.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from openvista.geometry.grid import Grid
from openvista.model import Model
from openvista.network import build_empty
from openvista.prompts import Click
from openvista.scan import Scan
from openvista.weights import ModelCard
from openvista.weights.naming import UNREAD
from openvista.weights.official import adapt
from small_inference import FLOAT32

nets = pytest.importorskip("monai.networks.nets")
inferer = pytest.importorskip("monai.apps.vista3d.inferer")

FIRST, LAST = ((0.5, 1.5), (0.5, 2), (1, 3)), ((5.5, 6.5), (3.5, 4.5), (1, 3))
"""In quarters of a window: two clicks in the first window, two in the last, and the two windows overlap."""
LESION, ORGAN = 24, 3  # pancreatic tumour, which has special embeddings, and spleen


def made_up_pair(filters, side):
    """A model of ours and MONAI's network, with equal random weights."""
    torch.manual_seed(1)
    official = nets.vista3d132(encoder_embed_dim=filters, in_channels=1).eval()
    checkpoint = adapt(official.state_dict())
    preset = replace(checkpoint.preset, window=(side, side, side), spacing=(1.5, 1.5, 1.5))
    ours = build_empty(preset)
    tensors = {name: tensor for name, tensor in checkpoint.tensors.items() if not name.startswith(UNREAD)}
    ours.load_state_dict(tensors, strict=True, assign=True)
    card = ModelCard.from_preset(preset, classes=(ORGAN, LESION), name="made-up")
    official.image_encoder = Remembering(official.image_encoder)
    return Model(ours.eval(), card, FLOAT32), official


class Remembering(nn.Module):
    """An encoder that knows the windows it has seen: a window of the published size takes a minute."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder, self.seen = encoder, {}

    def forward(self, image, **which):
        key = float(image.double().sum())
        if key not in self.seen:
            self.seen[key] = self.encoder(image, **which)
        return self.seen[key]


def made_up_scan(shape, seed):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((1, 1, *(length // 4 for length in shape)), generator=generator)
    voxels = torch.nn.functional.interpolate(coarse, size=shape, mode="trilinear")[0, 0] * 1800 - 900
    return Scan(voxels.numpy(), Grid(shape, np.diag([1.5, 1.5, 1.5, 1.0])), name="made-up")


def their_mask(official, scan, places, labels, prompt_class, preset):
    """``None`` where a positive click lies outside of what the network finds."""
    low, high = preset.hu_window
    image = ((torch.from_numpy(scan.voxels) - low) / (high - low)).clamp(0, 1)[None, None]
    with torch.no_grad():
        logits = inferer.point_based_window_inferer(
            image,
            preset.window,
            lambda inputs, **prompts: official(inputs, **prompts),
            point_coords=torch.tensor([places]).float(),
            point_labels=torch.tensor([labels]),
            prompt_class=None if prompt_class is None else torch.tensor([[prompt_class]]),
            transpose=True,
        )
    parts, _ = ndimage.label((logits[0, 0].as_tensor() > 0).numpy(), np.ones((3, 3, 3)))
    clicked = {parts[place] for place, label in zip(places, labels, strict=True) if label in (1, 3)}
    return None if 0 in clicked else np.isin(parts, list(clicked))


def clicks_that_hit(mask_of, step):
    """Places of two clicks in either window, and their mask; random weights may put a click outside of its own."""
    random = np.random.default_rng(0)
    for _ in range(30):
        places = [tuple(int(random.uniform(*ends) * step) for ends in part) for part in (FIRST, FIRST, LAST, LAST)]
        if (mask := mask_of(places)) is not None:
            return places, mask
    raise AssertionError("no clicks lie in their mask")


@pytest.mark.parametrize(
    ("filters", "side", "alike"),
    [(16, 32, 0.9999), pytest.param(48, 128, 0.999, marks=pytest.mark.slow)],
    ids=["small", "published size"],
)
def test_masks_of_clicks_are_the_peers(filters, side, alike):
    model, official = made_up_pair(filters, side)
    step, preset = side // 4, model.network.network.preset
    scan = made_up_scan((side + 3 * step, side + step, side), 0)
    session = model.open(scan, profile="bundle")
    for name, labels in {ORGAN: (1, 0, 1, 0), LESION: (3, 2, 3, 2), None: (1, 0, 1, 0)}.items():
        mask_of = partial(their_mask, official, scan, labels=labels, prompt_class=name, preset=preset)
        places, theirs = clicks_that_hit(mask_of, step)
        clicks = [Click(place, label in (1, 3)) for place, label in zip(places, labels, strict=True)]
        found = session.object(session.clicks(clicks, name, automatic=False).name)
        assert len(found.state.inputs.windows) == 2
        assert 0.05 < theirs.mean() < 0.9
        assert (found.mask == theirs).mean() >= alike, name
