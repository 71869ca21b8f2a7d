"""What can go wrong with a scan of a cohort, and how often it is tried again."""

import traceback
from dataclasses import dataclass

from openvista.errors import DeviceError, FormatError, GridError, InputError, MissingExtraError, OutputError, first_line

INPUT, MEMORY, WORKER, TIMEOUT, STORAGE, BUG = "input", "memory", "worker", "timeout", "storage", "bug"
KINDS = (INPUT, MEMORY, WORKER, TIMEOUT, STORAGE, BUG)

TRIES = {INPUT: 1, MEMORY: 2, WORKER: 3, TIMEOUT: 2, STORAGE: 4, BUG: 1}
"""How often a scan is tried before it counts as failed, by kind of its last failure. A bad input stays bad; memory is
tried again with the smaller plan; a worker may die of its machine; a disk or bucket may be away for a minute."""
PAUSES_S = {STORAGE: (5.0, 20.0, 60.0)}
"""How long to wait before the next try."""
QUARANTINED = frozenset({WORKER, BUG})
"""After these a scan is left alone by later runs too, until somebody asks for it: it has killed workers, or shown a
defect of ours."""

_BUCKET_LIBRARIES = ("botocore", "aiobotocore", "aiohttp", "gcsfs", "google")
_NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "gb are free")


@dataclass(frozen=True)
class Failure:
    """Why a try ended without a result.

    Attributes:
        kind: one of ``KINDS``.
        type: of the exception; "" where there was none.
        message: one line.
        traceback: of a bug; "" otherwise.
    """

    kind: str
    type: str
    message: str
    traceback: str = ""


def failure_of(error: Exception) -> Failure:
    """What an exception that ended a try means."""
    name, line = type(error).__name__, first_line(error)
    if isinstance(error, MemoryError) or "OutOfMemory" in name or _says_no_memory(error):
        return Failure(MEMORY, name, line)
    if isinstance(error, FormatError):
        return Failure(INPUT, name, line)
    if isinstance(error, OutputError | ConnectionError | TimeoutError) or _is_of(error.__cause__, ("requests",)):
        return Failure(STORAGE, name, line)
    if isinstance(error, InputError | FileNotFoundError | PermissionError) or "Credentials" in name:
        return Failure(INPUT, name, line)
    if isinstance(error, OSError) or _is_of(error, _BUCKET_LIBRARIES):
        return Failure(STORAGE, name, line)
    return Failure(BUG, name, line, "".join(traceback.format_exception(error)))


def may_run_again(failure: Failure, tries: int) -> bool:
    """Whether to try a scan again that has been tried so often in this run."""
    return tries < TRIES[failure.kind]


def pause_before(failure: Failure, tries: int) -> float:
    """Seconds to wait before the next try, after so many."""
    pauses = PAUSES_S.get(failure.kind, (0.0,))
    return pauses[min(tries, len(pauses)) - 1]


def _is_of(error: BaseException | None, libraries: tuple[str, ...]) -> bool:
    return type(error).__module__.split(".")[0] in libraries


def _says_no_memory(error: Exception) -> bool:
    """torch reports a host without memory as a plain RuntimeError, and our own errors hold its words."""
    told = isinstance(error, RuntimeError | DeviceError | GridError) and not isinstance(error, MissingExtraError)
    return told and any(words in str(error).lower() for words in (*_NO_MEMORY, "memory is too small"))
