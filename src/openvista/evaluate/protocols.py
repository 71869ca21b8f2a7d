"""The protocols by name."""

from collections.abc import Mapping
from types import MappingProxyType

from openvista.errors import InputError, ModelError
from openvista.evaluate.answers import Protocol
from openvista.evaluate.automatic import answer_automatically
from openvista.weights import ModelCard

AUTO = Protocol("auto", "class prompts only", answer_automatically, ("automatic",))

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({protocol.name: protocol for protocol in (AUTO,)})


def find_protocol(name: str) -> Protocol:
    """A protocol by name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in PROTOCOLS:
        raise InputError(f"no protocol {name!r}: there is {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def check_model(protocol: Protocol, card: ModelCard) -> None:
    """Make sure that a model can be asked in this way.

    Raises:
        ModelError: it lacks a branch.
    """
    if missing := [branch for branch in protocol.branches if branch not in card.branches]:
        raise ModelError(
            f"protocol {protocol.name} needs the {' and the '.join(missing)} branch, which model {card.name!r} "
            f"does not have; choose another model or protocol"
        )
