"""Engines: where the workers of a cohort run. All call the same function and give the same files."""

from typing import Protocol

from openvista.cohort.case import Attempt, CaseResult


class CohortEngine(Protocol):
    """Workers that a driver gives tries to, one to each worker at a time.

    Attributes:
        one_machine: whether all workers share the memory of one machine.
    """

    one_machine: bool

    def free(self) -> int:
        """How many workers wait for a try."""

    def submit(self, attempt: Attempt) -> None:
        """Give a free worker a try."""

    def ended(self, seconds: float) -> list[CaseResult]:
        """The tries that have ended; waits so long for the first.

        Raises:
            OpenVistaError: workers cannot begin at all.
        """

    def close(self) -> None:
        """End all workers, whatever they are at."""
