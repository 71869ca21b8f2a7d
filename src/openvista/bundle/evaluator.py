"""The ``evaluator`` of a bundle: MONAI's engine around ours, so that MONAI's transforms and handlers work with it.

This module and ``preparation`` import MONAI when they are loaded.
"""

from collections.abc import Callable, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any

import torch
from monai.engines import Evaluator
from monai.engines.utils import IterationEvents
from monai.transforms import reset_ops_id
from torch import nn

from openvista.bundle.command import check_command, reporting
from openvista.bundle.network import BundleNetwork, load_weights, plain_network
from openvista.bundle.official_parts import fit_handlers, fit_postprocessing, fit_preprocessing
from openvista.bundle.prompts import Prompt, PromptTransformd, check_item, read_prompt
from openvista.errors import InputError

PRED = "pred"


class CheckpointLoader:
    """Fills networks from a checkpoint, once; a handler of MONAI's engines, and callable as such.

    Args:
        load_path: any naming of a VISTA3D checkpoint.
        load_dict: name to network; one name, "model".
        strict: always so; a checkpoint that does not fit is an error.
        map_location: not looked at: tensors go to where the network is.
    """

    def __init__(
        self, load_path: str, load_dict: Mapping[str, nn.Module], map_location: Any = None, strict: bool = True
    ) -> None:
        self.load_path = Path(load_path)
        self.networks = [plain_network(network) for network in load_dict.values()]
        self.done = False

    def __call__(self, engine: Any = None) -> None:
        if self.done:
            return
        with reporting():
            for network in self.networks:
                if not isinstance(network, BundleNetwork):
                    raise InputError(
                        f"checkpointloader#load_dict holds a {type(network).__name__}: leave it at @network"
                    )
                load_weights(network, self.load_path)
        self.done = True

    def attach(self, engine: Any) -> None:
        """Let an engine load the weights before it starts."""
        engine.checkpoint = self


class BundleEvaluator(Evaluator):
    """Answers the prompt of each item of a data loader.

    Args:
        device: where the network computes.
        val_data_loader: of items that ``preprocessing`` made, one at a time.
        network: of the bundle, perhaps wrapped for several processes.
        inferer: a :class:`openvista.bundle.inferer.BundleInferer`.
        amp: compute in the precision that suits the device; else in float32.
        checkpoint: loaded before the first item, if nobody did it before.
        hyper_kwargs: ``everything_labels``: ids asked for where an item has no prompt; ``image_key``: key of the image.
            ``user_prompt`` is always true and ``val_head`` "auto"; ``label_set`` and ``val_label_set`` are there for
            configurations that refer to them.
        rest: of MONAI's ``Evaluator``: ``postprocessing``, ``val_handlers``, ``key_val_metric``, ...

    Attributes:
        at_the_end: called when all items are through.

    Raises:
        InputError: an entry of ``hyper_kwargs`` that nobody reads, or a handler or transform that counts on logits.
    """

    checkpoint: CheckpointLoader | None

    def __init__(
        self,
        device: torch.device | str,
        val_data_loader: Any,
        network: nn.Module,
        inferer: Any,
        amp: bool = True,
        checkpoint: CheckpointLoader | None = None,
        hyper_kwargs: Mapping[str, Any] | None = None,
        **rest: Any,
    ) -> None:
        self.checkpoint = checkpoint
        self.at_the_end: list[Callable[[Any], None]] = []
        self.asked = dict(hyper_kwargs or {})
        mappings = self.asked.pop("label_mappings", None)
        chain = getattr(getattr(val_data_loader, "dataset", None), "transform", None)
        if isinstance(plain := plain_network(network), BundleNetwork):
            fit_preprocessing(chain, plain)
        fit_postprocessing(rest.get("postprocessing"), mappings)
        rest["val_handlers"] = fit_handlers(rest.get("val_handlers") or (), mappings, CheckpointLoader)
        self._length = rest.pop("epoch_length", None)
        super().__init__(device=device, val_data_loader=val_data_loader, epoch_length=1, **rest)  # no list is read yet
        self.network = network
        self.inferer = inferer
        self.precision = "auto" if amp else "float32"
        self.image_key = str(self.asked.get("image_key", "image"))
        with reporting():
            _check_choices(self.asked)

    def run(self, global_epoch: int = 1) -> None:  # type: ignore[override]
        """Answer everything; in a command of MONAI a wrong input ends it with one line and exit code 2.

        Raises:
            OpenVistaError: the first thing that is wrong. Prompts are looked at before anything is computed.
        """
        with reporting():
            check_command()
            dataset = getattr(self.data_loader, "dataset", None)
            if isinstance(dataset, Sized) and len(dataset) == 0:
                raise InputError("there is no scan: look at input_dict, or at input_dir and input_suffix")
            for item in self._items():
                check_item(item, self.image_key)
            if self.checkpoint is not None:
                self.checkpoint(self)
            self._plain.eval()
            self._check_prompts()
            sized = self._length is None and isinstance(self.data_loader, Sized)
            self.state.epoch_length = len(self.data_loader) if sized else self._length  # type: ignore[arg-type]
            super().run(global_epoch)
            for finish in self.at_the_end:  # also in a process that had nothing to do: others wait for what it says
                finish(self)

    @property
    def _plain(self) -> BundleNetwork:
        network = plain_network(self.network)
        if not isinstance(network, BundleNetwork):
            raise InputError(f"network is a {type(network).__name__}: leave network_def as it is")
        return network

    def _items(self) -> Sequence[Mapping[str, Any]]:
        """What the data set was made from, before any transform."""
        dataset = getattr(self.data_loader, "dataset", None)
        items = getattr(dataset, "data", None)
        return [item for item in items if isinstance(item, Mapping)] if isinstance(items, Sequence) else []

    def _check_prompts(self) -> None:
        """Read every prompt by the step of ``preprocessing`` that reads them, without reading any image."""
        chain = getattr(getattr(self.data_loader, "dataset", None), "transform", None)
        steps = getattr(chain, "transforms", ())
        step = next((step for step in steps if isinstance(step, PromptTransformd)), PromptTransformd())
        for item in self._items():
            self._prompt(step(item))

    def _prompt(self, item: Mapping[str, Any]) -> Prompt:
        text = item.get("prompt")
        text = text if isinstance(text, str) or text is None else text[0]
        prompt = Prompt() if text is None else read_prompt(text, self._plain.card.vocabulary())
        if prompt == Prompt() and (everything := self.asked.get("everything_labels")):
            return Prompt(tuple(int(one) for one in everything))
        return prompt

    def _iteration(self, engine: Any, batchdata: dict[str, Any]) -> dict[str, Any]:
        """One item."""
        reset_ops_id(batchdata)  # the official evaluate.json inverts with a copy of the steps
        image = batchdata[self.image_key].to(engine.state.device)
        prompt = self._prompt(batchdata)
        with torch.no_grad():
            pred = self.inferer(inputs=image, network=self.network, prompt=prompt, precision=self.precision)
        engine.state.output = {**batchdata, self.image_key: image, PRED: pred}
        engine.fire_event(IterationEvents.FORWARD_COMPLETED)
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        output: dict[str, Any] = engine.state.output
        return output


def _check_choices(asked: Mapping[str, Any]) -> None:
    known = ("user_prompt", "everything_labels", "image_key", "val_head", "val_label_set", "label_set")
    if unknown := sorted(set(asked) - set(known)):
        raise InputError(f"evaluator#hyper_kwargs#{unknown[0]}: nobody reads it; there is {', '.join(known)}")
    if not asked.get("user_prompt", True):
        raise InputError("evaluator#hyper_kwargs#user_prompt is false: an evaluator here always answers prompts")
    if asked.get("val_head", "auto") != "auto":
        raise InputError(
            f"evaluator#hyper_kwargs#val_head is {asked['val_head']!r}: this evaluator asks by class (auto); "
            "'openvista evaluate --protocol clicks' scores clicks"
        )
