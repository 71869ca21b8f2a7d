"""Arrays on disk for what does not fit in memory. They have no name and go when nobody uses them any more."""

import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from openvista.io.atomic import output_error


def scratch_array(shape: tuple[int, ...], dtype: DTypeLike, folder: Path | None = None) -> NDArray[np.generic]:
    """Zeros on disk, mapped into memory.

    Args:
        shape, dtype: of the array.
        folder: where; the system's folder for temporary files if ``None`` (set ``TMPDIR`` to choose it).

    Raises:
        OutputError: there is not enough space. It is reserved at once, so that writing later cannot fail.
    """
    folder = Path(tempfile.gettempdir()) if folder is None else folder
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate") and size:
                os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, dtype=dtype, mode="w+", shape=shape)
    except OSError as error:
        raise output_error(folder / "(scratch)", error) from error
