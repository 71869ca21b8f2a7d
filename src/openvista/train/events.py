"""Curves for TensorBoard, if it is installed."""

import logging
from collections.abc import Mapping
from pathlib import Path

from openvista.io.atomic import output_error

logger = logging.getLogger(__name__)


class Events:
    """Writes numbers by step; without the package ``tensorboard`` it writes nothing and says so once.

    Args:
        folder: where the event files go.
        purge_after: step after which earlier events are not shown any more; ``None`` for a new run.

    Raises:
        OutputError: the folder cannot be written.
    """

    def __init__(self, folder: Path, purge_after: int | None) -> None:
        self._folder = folder
        self._writer = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            logger.info("no events for TensorBoard: pip install 'openvista[train]' brings it")
            return
        purge_step = None if purge_after is None else purge_after + 1
        try:
            self._writer = SummaryWriter(str(folder), purge_step=purge_step)
        except OSError as error:
            raise output_error(folder, error) from error

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of a step by name.

        Raises:
            OutputError: the system refused to write these, or earlier ones.
        """
        if self._writer is None:
            return
        try:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)
        except OSError as error:
            raise output_error(self._folder, error) from error

    def close(self) -> None:
        """Write what is left; where the system refuses, say so: the run itself is safe."""
        if self._writer is None:
            return
        try:
            self._writer.close()
        except OSError as error:
            logger.warning("%s", output_error(self._folder, error))
