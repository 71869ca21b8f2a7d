"""Engines: where the workers of a cohort run. All call the same functions and give the same files."""

from typing import Protocol

from openvista.cohort.case import Attempt, CaseResult


class CohortEngine(Protocol):
    """Workers that a driver gives tries to.

    Attributes:
        one_machine: whether all workers share the memory of one machine.
    """

    one_machine: bool

    def free(self) -> int:
        """How many workers wait for a try, with nothing in hand."""

    def ahead(self) -> int:
        """How many workers that have something in hand would read another one meanwhile: the first try of a scan."""

    def submit(self, attempt: Attempt) -> None:
        """Give it to a worker: to one with nothing in hand, if there is any."""

    def ended(self, seconds: float) -> list[CaseResult]:
        """The tries that have ended; waits so long for the first, or until another one can be given.

        Raises:
            OpenVistaError: workers cannot begin at all.
        """

    def close(self) -> None:
        """End all workers, whatever they are at; what is being written is written, if that takes no longer than
        seconds."""
