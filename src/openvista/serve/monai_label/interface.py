"""What the MONAI Label interface needs besides the service, and how its routes get at it."""

from typing import Annotated

from fastapi import Depends, Request

from openvista.errors import ServiceError
from openvista.serve.monai_label.datastore import Datastore, Store
from openvista.serve.monai_label.training import Training
from openvista.serve.service import Service


class MonaiLabel:
    """The parts of this interface alone.

    Args:
        service: the server's.

    Attributes:
        service: the server's.
        optional_store: the datastore, where the operator has one.
        training: fine-tuning jobs.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        folder = service.settings.datastore
        datastore = None if folder is None else Datastore(folder)
        self.optional_store = None if datastore is None else Store(service, datastore)
        self.training = Training(service, datastore)

    @property
    def store(self) -> Store:
        """The datastore.

        Raises:
            ServiceError: 404, there is none.
        """
        if self.optional_store is None:
            message = "this server has no datastore; start it with --datastore FOLDER"
            raise ServiceError(message, status=404, code="no-datastore")
        return self.optional_store


def _interface_of(request: Request) -> MonaiLabel:
    interface: MonaiLabel = request.app.state.monai_label
    return interface


TheInterface = Annotated[MonaiLabel, Depends(_interface_of)]
"""Of the app that got a request."""
