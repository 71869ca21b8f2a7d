"""What ``/info/`` says, and which of our models a name there means."""

from dataclasses import dataclass
from typing import Any, Literal

from openvista._version import __version__
from openvista.errors import ServiceError
from openvista.model import Model
from openvista.serve.service import Service

Kind = Literal["vista3d", "segmentation", "deepgrow"]
_MAIN = "vista3d"


@dataclass(frozen=True)
class ListedModel:
    """A model as one kind of client sees it.

    Attributes:
        name: in addresses.
        kind: MONAI Label's type.
        model: ours.
    """

    name: str
    kind: Kind
    model: Model

    def describe(self) -> dict[str, Any]:
        """Its entry in ``/info/``."""
        card = self.model.card
        entry: dict[str, Any] = {
            "type": self.kind,
            "labels": {item.name: item.id for item in self.model.vocabulary.classes()},
            "dimension": 3,
            "description": f"{card.name}: {_WHAT[self.kind]} (weights: {card.licence})",
            "config": {"classes": ""} if self.kind == "segmentation" else {},
            "version": __version__,
        }
        return entry


_WHAT: dict[Kind, str] = {
    "vista3d": "class prompts, points, or everything",
    "segmentation": "everything, or the classes named (comma separated)",
    "deepgrow": "clicks on one segment; one that is called like a class is taken for it",
}


def listed_models(service: Service) -> dict[str, ListedModel]:
    """Every model under its names; the server's default is ``vista3d``, the others have their own names.

    Raises:
        ServiceError: 503, not ready.
    """
    found: dict[str, ListedModel] = {}
    for number, (own_name, model) in enumerate(service.engine.models.items()):
        name = _MAIN if number == 0 else own_name
        found[name] = ListedModel(name, "vista3d", model)
        if "automatic" in model.card.branches:
            found[f"{name}_auto"] = ListedModel(f"{name}_auto", "segmentation", model)
        if "point" in model.card.branches:
            found[f"{name}_click"] = ListedModel(f"{name}_click", "deepgrow", model)
    return found


def find_listed(service: Service, name: str) -> ListedModel:
    """A model by its name in ``/info/``.

    Raises:
        ServiceError: 404, 503.
    """
    models = listed_models(service)
    if name not in models:
        raise ServiceError(f"there is no such model; there is {', '.join(models)}", status=404, code="not-found")
    return models[name]
