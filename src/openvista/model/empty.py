"""A network without numbers: its names and shapes, ready to take weights."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from openvista.model.presets import Preset
from openvista.model.vista3d import Vista3D


class _NoInitialisation(TorchFunctionMode):
    """Skips ``torch.nn.init``: on tensors without memory it does nothing, but imports a second's worth of modules."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def build_empty(preset: Preset) -> Vista3D:
    """The network of a preset on torch's "meta" device: takes no memory and no time.

    Fill it with ``load_state_dict(tensors, assign=True)``.
    """
    with torch.device("meta"), _NoInitialisation():
        return Vista3D(preset)
