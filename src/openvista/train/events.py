"""Curves for TensorBoard, if it is installed."""

import logging
from collections.abc import Mapping
from pathlib import Path

logger = logging.getLogger(__name__)


class Events:
    """Writes numbers by step; without the package ``tensorboard`` it writes nothing and says so once.

    Args:
        folder: where the event files go.
        purge_after: step after which earlier events are not shown any more; ``None`` for a new run.
    """

    def __init__(self, folder: Path, purge_after: int | None) -> None:
        self._writer = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            logger.info("no events for TensorBoard: pip install 'openvista[train]' brings it")
            return
        purge_step = None if purge_after is None else purge_after + 1
        self._writer = SummaryWriter(str(folder), purge_step=purge_step)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of a step by name."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
