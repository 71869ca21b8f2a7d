"""Any openvista command, with the starter's windows also seen in a mirror (starter_training.md).

    python benchmarks/mirrored_windows.py logits evaluate openkbp/dataset.json --split "fold 0" -o runs/mirrored

The first word says how: the mean of "logits" or of "probabilities" of a window and its mirror image, or "alternate",
every second window in the mirror alone. Class prompts of ``segment`` and ``evaluate`` only, not sessions.
"""

import sys
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from openvista.cli import main
from openvista.inference import automatic
from openvista.inference.automatic import WindowQuestion
from openvista.inference.labelling import Decision
from openvista.inference.window_network import WindowNetwork

WAYS = ("logits", "probabilities", "alternate")
OTHER_SIDE = {134: 135, 135: 134}
"""The starter's parotids: class id to the id it has in a mirror."""


def mirrored_question(network: WindowNetwork, class_ids: Sequence[int], way: str) -> WindowQuestion:
    """As :func:`openvista.inference.automatic.ask`, of windows and their mirror images; always stitches logits."""
    embeddings_KC = network.embeddings(list(class_ids))
    swapped_KC = network.embeddings([OTHER_SIDE.get(class_id, class_id) for class_id in class_ids])
    asked = 0

    def encode(window_XYZ: Tensor) -> Tensor:
        """Logits [X, Y, Z, K] of a window, 0..1."""
        nonlocal asked
        asked += 1
        if way == "alternate" and asked % 2 == 0:
            return network.logits(embeddings_KC, window_XYZ)
        mirrored_XYZK = network.logits(swapped_KC, window_XYZ.flip(0)).flip(0)
        if way == "alternate":
            return mirrored_XYZK
        both = torch.stack((network.logits(embeddings_KC, window_XYZ), mirrored_XYZK))
        return both.mean(0) if way == "logits" else torch.logit(both.sigmoid().mean(0), eps=1e-6)

    return WindowQuestion(tuple(class_ids), partial(map, encode), len(class_ids), Decision(None, network.compute.chunk))


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in WAYS:
        sys.exit(f"give {', '.join(WAYS)}, and a command of openvista")
    way = sys.argv.pop(1)
    automatic.ask = lambda network, class_ids: mirrored_question(network, class_ids, way)
    main()
