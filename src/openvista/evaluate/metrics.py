"""Numbers that compare a predicted mask with the truth."""

import numpy as np
from numpy.typing import NDArray


def dice(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Dice overlap 2·|A∩B| / (|A| + |B|) of two masks on the same grid; NaN when both are empty."""
    size = int(predicted.sum()) + int(truth.sum())
    return float("nan") if size == 0 else 2 * int((predicted & truth).sum()) / size
