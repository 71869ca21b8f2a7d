"""Every error OpenVISTA raises on purpose.

::

    OpenVistaError                 base of all; exit code 1: we failed
    ├── UnfinishedError            some cases of a cohort have no result; exit code 3
    └── InputError                 what the user gave is wrong; exit code 2
        ├── ScanError              the image file cannot be read, or is not a 3D CT
        │   ├── SeveralSeriesError DICOM: which series is meant?
        │   ├── MissingSlicesError DICOM: slices of the series are not there
        │   └── TooLargeError      it holds more than is taken
        ├── GridError              shape or affine are unusable, or two grids differ
        ├── AnatomyError           a class name or id nobody knows
        ├── PromptError            a prompt that cannot be answered (click outside the scan, ...)
        ├── ModelError             unknown model, or a model that cannot do what is asked
        │   └── WeightsError       a checkpoint that is corrupt, foreign or incomplete
        ├── DeviceError            a device or precision that this machine does not have
        ├── SessionError           a session file that is damaged, or belongs to another scan or model
        ├── OutputError            the result cannot be written where it was asked for
        │   └── FormatError        this result has no place in the format that was asked for
        ├── DataListError          a data list with missing files, grids that differ, unknown labels
        ├── RecipeError            a training recipe with an unknown key or an impossible value
        ├── MissingExtraError      an optional dependency is not installed
        └── ServiceError           a request that a server refuses, with its HTTP status

A message is one line: what is wrong, with the value, and what to do about it.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class OpenVistaError(Exception):
    """Base of all errors of this package. Raised as itself when we failed, not the user."""

    exit_code = 1


class UnfinishedError(OpenVistaError):
    """Some cases of a cohort have no result; those that have one are written."""

    exit_code = 3


class InputError(OpenVistaError):
    """What the user gave cannot be used; nothing was written."""

    exit_code = 2


class ScanError(InputError):
    """The image file is missing, unreadable, not 3D, empty or holds unusable values."""


class SeveralSeriesError(ScanError):
    """There are several series that could be meant.

    Args:
        message: one line, with what there is.
        choices: {what to ask for: what it is}.
    """

    def __init__(self, message: str, choices: dict[str, str]) -> None:
        super().__init__(message)
        self.choices = choices


class MissingSlicesError(ScanError):
    """Slices are missing between others of a series.

    Args:
        found: one line: how many, and where.
        remedy: one line: what to do.
    """

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(f"{found}; {remedy}")
        self.found = found


class TooLargeError(ScanError):
    """The image holds more files or bytes than are taken."""


class GridError(InputError):
    """A shape or affine is unusable, or two things that must share a grid do not."""


class AnatomyError(InputError):
    """A class name or id that the catalogue or the model does not know."""


class PromptError(InputError):
    """A prompt that cannot be answered."""


class ModelError(InputError):
    """An unknown model, or one that cannot do what was asked."""


class WeightsError(ModelError):
    """A checkpoint that is corrupt, foreign or incomplete."""


class DeviceError(InputError):
    """A device or precision this machine does not have."""


class SessionError(InputError):
    """A session file or log that is damaged, or belongs to another scan or model."""


class OutputError(InputError):
    """The result cannot be written where it was asked for."""


class FormatError(OutputError):
    """A result that has no place in the format asked for: DICOM without a series, surfaces of nothing."""


class DataListError(InputError):
    """A data list that cannot be used as it is."""


class RecipeError(InputError):
    """A training recipe with an unknown key or an impossible value."""


class MissingExtraError(InputError):
    """An optional dependency is not installed.

    Args:
        package: the import name that is missing.
        extra: the extra of ``openvista`` that brings it.
        purpose: what it is needed for, as the end of "... is needed to <purpose>".
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{package} is needed to {purpose}: pip install 'openvista[{extra}]'")


@contextmanager
def needs_extra(package: str, extra: str, purpose: str) -> Iterator[None]:
    """Around the import of an optional package: a :class:`MissingExtraError` where it fails."""
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(package, extra, purpose) from error


def first_line(error: BaseException) -> str:
    """What an error of another library says, as one line; its type where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class ServiceError(InputError):
    """A request that a server refuses; raised by the server, and by the client that got the answer.

    Args:
        message: one line.
        status: of HTTP, 400..599.
        code: stable short name, for programs.
        retry_after: seconds after which asking again may help; ``None`` when it does not.
        choices: {value: meaning} of which one has to be given; ``None`` where there is nothing to choose.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 422,
        code: str = "input",
        retry_after: int | None = None,
        choices: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.choices = choices
