"""What the MONAI Label interface needs besides the service, and how its routes get at it."""

from typing import Annotated

from fastapi import Depends, Request

from openvista.serve.monai_label.datastore import Datastore, Store
from openvista.serve.monai_label.training import Training
from openvista.serve.service import Service


class MonaiLabel:
    """The parts of this interface alone.

    Args:
        service: the server's.

    Attributes:
        service: the server's.
        store: the datastore: the operator's folder, or else one of ours, which takes as many images as the server
            keeps scans.
        training: fine-tuning jobs.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        settings = service.settings
        if settings.datastore is None:
            own = settings.state / "datastore"
            own.mkdir(exist_ok=True)
            self.store = Store(service, Datastore(own, settings.scans))
            self.training = Training(service, None)
        else:
            self.store = Store(service, Datastore(settings.datastore))
            self.training = Training(service, self.store.datastore)


def _interface_of(request: Request) -> MonaiLabel:
    interface: MonaiLabel = request.app.state.monai_label
    return interface


TheInterface = Annotated[MonaiLabel, Depends(_interface_of)]
"""Of the app that got a request."""
