"""The cases of a data list for configurations: nothing is read before somebody asks how many there are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from openvista.datalist import Case, read_datalist


@dataclass
class FoldCases(Sequence[dict[str, Any]]):
    """One side of a fold, as items that MONAI's transforms take: ``{"image": path, "label": path}``.

    Attributes:
        data_list_file_path: JSON, of any style that :func:`openvista.datalist.read_datalist` reads.
        dataset_dir: where its paths start.
        fold: which.
        held_out: the cases of this fold; else all others.
        first: so many at most; ``None`` for all.
    """

    data_list_file_path: str
    dataset_dir: str
    fold: int = 0
    held_out: bool = False
    first: int | None = None

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """In the order of the list.

        Raises:
            DataListError: the list cannot be used, or no case has this fold.
        """
        listed = read_datalist(Path(self.data_list_file_path), root=Path(self.dataset_dir), must_exist=False)
        return listed.split(self.fold)[self.held_out][: self.first]

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            if index.start in (None, 0) and index.step in (None, 1) and (index.stop is None or index.stop >= 0):
                return replace(self, first=_least(self.first, index.stop))
            return [self[number] for number in range(*index.indices(len(self)))]
        case = self.cases[index]
        return {"image": str(case.image), "label": str(case.label)}


def _least(first: int | None, second: int | None) -> int | None:
    """Of two limits the lower; ``None`` is none."""
    return min((limit for limit in (first, second) if limit is not None), default=None)


@dataclass
class CaseSet(Dataset[dict[str, Any]]):
    """``train#dataset``: the items of the training loop, which reads and prepares them by itself.

    Attributes:
        data: the items.
    """

    data: FoldCases

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> dict[str, Any]:
        item: dict[str, Any] = self.data[index]
        return item
