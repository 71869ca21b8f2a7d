"""What every segmentation of ours says about itself, beside the files that MONAI's SaveImaged writes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from openvista.bundle.inferer import UNNAMED
from openvista.bundle.network import BundleNetwork, plain_network
from openvista.bundle.prompts import read_prompt
from openvista.io.atomic import write_text
from openvista.io.paths import sidecar_path
from openvista.io.write import describe


@dataclass
class SideFiles:
    """A handler: after each item, ``<saved file>.json`` with names, colours, model, weights and the prompt.

    Attributes:
        network: that answered.
        inferer: that was asked, for its choices.
    """

    network: nn.Module
    inferer: Any

    def attach(self, engine: Any) -> None:
        """Look at every result of an engine."""
        from ignite.engine import Events

        engine.add_event_handler(Events.ITERATION_COMPLETED, self._look)

    def _look(self, engine: Any) -> None:
        network = plain_network(self.network)
        for item in engine.state.output:
            saved = getattr(item["pred"], "meta", {}).get("saved_to")  # none where nothing was saved
            if saved and isinstance(network, BundleNetwork):
                write_text(sidecar_path(Path(str(saved))), self._text(network, item))

    def _text(self, network: BundleNetwork, item: dict[str, Any]) -> str:
        ids = {int(one) for one in np.unique(np.asarray(item["pred"])) if one > 0}
        known = network.card.vocabulary()
        prompt = read_prompt(item["prompt"], known)
        names = {one: known.name(one) if one in known.ids else f"label {one}" for one in ids}
        if prompt.clicks and not prompt.class_ids and UNNAMED in names:
            names[UNNAMED] = "structure"
        told = {
            "model": network.card.name,
            "weights_sha256": network.card.weights_sha256,
            "profile": self.inferer.profile,
            "overlap": self.inferer.overlap,
            "window": [int(side) for side in self.inferer.roi_size],
            "prompts": json.loads(item["prompt"])["asked"] or "everything",
        }
        return describe(names, {one: known.colour(one) for one in names}, told)
