"""A PACS by DICOMweb (PS3.18): which series a study has (QIDO-RS), a series (WADO-RS), storing results (STOW-RS)."""

import ipaddress
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from openvista.errors import InputError, OutputError, ScanError, first_line, needs_extra
from openvista.pacs.credentials import PASSWORD_VARIABLE, TOKEN_VARIABLE, Credentials, find_credentials

if TYPE_CHECKING:
    from dicomweb_client.api import DICOMwebClient
    from pydicom import Dataset

logger = logging.getLogger(__name__)

MOST_BYTES = 16 << 30
"""Of a series."""
_MOST_INSTANCES = 20_000
_SECONDS = (20, 180)  # to connect, and without a byte
_UID = re.compile(r"[0-9.]{1,64}")  # PS3.5 section 9.1
_ADDRESS = re.compile(r"(?P<base>https?://.+?)/studies/(?P<study>[0-9.]+)(/series/(?P<series>[0-9.]+))?/?")
_AS_STORED = (("application/dicom", "*"),)
Count = Callable[[int, int], None]
"""Told after each instance: how many came, of how many (0 where the server does not say)."""


@dataclass(frozen=True)
class Address:
    """Of a study or a series.

    Attributes:
        base: of the DICOMweb service: what stands before ``/studies``.
        study: Study Instance UID.
        series: Series Instance UID; ``None`` for a study.
    """

    base: str
    study: str
    series: str | None = None


@dataclass(frozen=True)
class FoundSeries:
    """A series in a PACS.

    Attributes:
        study, uid: Study and Series Instance UID.
        modality, number: such as "CT" and "3"; "" where missing.
        description: of the series; may hold anything, so it belongs in no log.
        instances: how many it has; 0 where the server does not say.
    """

    study: str
    uid: str
    modality: str
    number: str
    description: str
    instances: int

    def describe(self) -> str:
        """One line for a list."""
        words = "".join(letter if letter.isprintable() else " " for letter in self.description)[:64]
        return f"{self.number or '-'}: {self.modality or 'no modality'} {words!r}, {self.instances} images, {self.uid}"


def is_address(text: str) -> bool:
    """Whether a user's input is an address, and not a path."""
    return text.lower().startswith(("http://", "https://"))


def parse_address(text: str) -> Address:
    """The address of a study or a series.

    Raises:
        InputError: it is none.
    """
    check_base(text)
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise InputError(f"{text}: give the address of a series: https://.../studies/UID/series/UID")
    return Address(found["base"], found["study"], found["series"])


def check_base(url: str) -> str:
    """The name of the host of an address.

    Raises:
        InputError: it is no address, or carries a password.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"not an address: {error}") from None
    if parts.username is not None or parts.password is not None:
        raise InputError(
            f"an address with a password in it can be read by others; set {PASSWORD_VARIABLE} or {TOKEN_VARIABLE}"
        )
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise InputError(f"{url}: give an address such as https://pacs.example/dicom-web")
    return host


class DicomWeb:
    """A DICOMweb service.

    Args:
        base: its address.
        credentials: for it; ``None`` for what :func:`find_credentials` finds.

    Raises:
        InputError: the address cannot be one.
        MissingExtraError: dicomweb-client is not installed.
    """

    def __init__(self, base: str, credentials: Credentials | None = None) -> None:
        host = check_base(base)
        self.base = base.rstrip("/")
        if urlsplit(base).scheme == "http" and not _is_loopback(host):
            logger.warning("%s is not encrypted: others can read images and passwords on the way; use https", host)
        self._client = _client(self.base, credentials or find_credentials(host))

    def series_of(self, study: str) -> list[FoundSeries]:
        """The series of a study.

        Raises:
            ScanError: there is no such study, or the server refuses.
        """
        with _refusals(self.base, ScanError):
            answer = self._client.search_for_series(_uid(study), fields=list(_FIELDS))
        return [_found(item, study) for item in answer]

    def find_series(self, uid: str) -> FoundSeries:
        """A series by its UID alone.

        Raises:
            ScanError: there is none, or the server refuses.
        """
        with _refusals(self.base, ScanError):
            answer = self._client.search_for_series(
                fields=list(_FIELDS), search_filters={"SeriesInstanceUID": _uid(uid)}
            )
        for found in (_found(item, "") for item in answer):
            if found.uid == uid and found.study:
                return found
        raise ScanError(f"{self.base}: there is no series {uid}")

    def choose(self, address: Address, wanted: str | None = None) -> FoundSeries:
        """The series of an address; of a study's address the only CT, or the one that is wanted.

        Args:
            address: of a study or a series.
            wanted: Series Instance UID or its beginning, number or description.

        Raises:
            ScanError: there is none, or there are several, with a list.
        """
        there = self.series_of(address.study)
        wanted = address.series or wanted
        chosen = [one for one in there if one.modality == "CT"]
        if wanted is not None:
            chosen = [one for one in there if wanted in (one.uid, one.number)]
            chosen = chosen or [one for one in there if one.description.casefold() == wanted.casefold()]
            chosen = chosen or [one for one in there if one.uid.startswith(wanted)]
        if len(chosen) == 1:
            return chosen[0]
        listed = " ".join(f"[{one.describe()}]" for one in there) or "nothing"
        why = "no CT" if wanted is None else f"no series {wanted}"
        if chosen:
            why = f"{len(chosen)} series; choose one by --series UID"
        raise ScanError(f"{self.base}: the study holds {why}; there is {listed}")

    def fetch(self, series: FoundSeries, folder: Path, count: Count | None = None, most_bytes: int = MOST_BYTES) -> int:
        """Write the instances of a series into a folder, one by one as they come.

        Args:
            series: which.
            folder: existing and empty.
            count: told after each instance.
            most_bytes: more are refused.

        Returns:
            How many came.

        Raises:
            ScanError: fewer came than the server said there are, more bytes than allowed, or it refuses.
        """
        from pydicom.uid import generate_uid

        number, size = 0, 0
        with _refusals(self.base, ScanError):
            for number, instance in enumerate(self._instances(_uid(series.study), _uid(series.uid)), start=1):
                path = folder / f"{number:05d}.dcm"
                if "SOPInstanceUID" not in instance:
                    instance.SOPInstanceUID = generate_uid()
                instance.save_as(path, enforce_file_format=True)
                size += path.stat().st_size
                if size > most_bytes or number > _MOST_INSTANCES:
                    raise ScanError(f"{self.base}: the series is larger than the {most_bytes >> 20} MB that are taken")
                if count is not None:
                    count(number, series.instances)
        if number < max(series.instances, 1):
            raise ScanError(f"{self.base}: {number} of {series.instances} images of the series came; try again")
        return number

    def _instances(self, study: str, series: str) -> "Iterator[Dataset]":
        """As they are stored; from servers that do not know how to say that, without compression."""
        from requests.exceptions import HTTPError

        try:
            return self._client.iter_series(study, series, _AS_STORED)
        except HTTPError as error:
            if error.response is None or error.response.status_code not in (400, 406):
                raise
            return self._client.iter_series(study, series)

    def store_files(self, paths: Sequence[Path]) -> None:
        """Store DICOM files; as :meth:`store`.

        Raises:
            OutputError: the server refuses, or does not say that it has them all.
        """
        from pydicom import dcmread

        self.store([dcmread(path) for path in paths])

    def store(self, instances: Sequence["Dataset"], study: str | None = None) -> None:
        """Store instances, and read the answer: servers say 200 to what they store in part (PS3.18 section 10.5).

        Raises:
            OutputError: the server refuses, or does not say that it has them all.
        """
        with _refusals(self.base, OutputError):
            answer = self._client.store_instances(list(instances), study_instance_uid=study)
        failed = answer.get("FailedSOPSequence") or []
        stored = {item.ReferencedSOPInstanceUID for item in answer.get("ReferencedSOPSequence") or []}
        if failed:
            reasons = ", ".join(sorted({f"0x{int(item.get('FailureReason', 0)):04X}" for item in failed}))
            raise OutputError(
                f"{self.base}: did not store {len(failed)} of {len(instances)} objects (reason {reasons})"
            )
        if missing := [one for one in instances if one.SOPInstanceUID not in stored]:
            raise OutputError(f"{self.base}: does not say that it stored {len(missing)} of {len(instances)} objects")


_FIELDS = ("Modality", "SeriesNumber", "SeriesDescription", "NumberOfSeriesRelatedInstances", "StudyInstanceUID")
_TAGS = {
    "study": "0020000D",
    "uid": "0020000E",
    "modality": "00080060",
    "number": "00200011",
    "description": "0008103E",
    "instances": "00201209",
}


def _found(item: dict[str, Any], study: str) -> FoundSeries:
    """A series out of an answer in DICOM JSON (PS3.18 annex F)."""
    told = {name: str((item.get(tag, {}).get("Value") or [""])[0]) for name, tag in _TAGS.items()}
    instances = int(told["instances"]) if told["instances"].isdecimal() else 0
    return FoundSeries(
        study or told["study"], told["uid"], told["modality"], told["number"], told["description"], instances
    )


def _uid(given: str) -> str:
    if not _UID.fullmatch(given):
        raise InputError(f"{given!r} is no UID: it has digits and dots only")
    return given


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _client(base: str, credentials: Credentials) -> "DICOMwebClient":
    with needs_extra("dicomweb-client", "dicom", "ask a PACS"):
        import requests
        from dicomweb_client.api import DICOMwebClient

    def sign(request: "requests.PreparedRequest") -> "requests.PreparedRequest":
        if credentials.header is not None:
            request.headers["Authorization"] = credentials.header
        return request

    session = requests.Session()
    session.auth = sign  # also keeps requests from looking for passwords in ~/.netrc
    session.max_redirects = 0  # whoever redirects could send us, with images, to a place that nobody named
    session.verify = True
    # its loggers tell whole addresses and answers, which hold what identifies patients
    logging.getLogger("dicomweb_client").setLevel(logging.ERROR)
    client = DICOMwebClient(base, session=session, permissive_uid=True, timeout=_SECONDS)
    client.set_http_retry_params(retry=False)  # it would send an empty body the second time
    return client


@contextmanager
def _refusals(base: str, kind: type[ScanError] | type[OutputError]) -> Iterator[None]:
    """What a server refuses, and what does not arrive, as one line of ours. What may pass has its cause with it.

    Raises:
        ScanError, OutputError: of the kind given.
    """
    from requests.exceptions import HTTPError, JSONDecodeError, RequestException, TooManyRedirects

    try:
        yield
    except JSONDecodeError:
        raise kind(f"{base}: its answer is not DICOMweb; check the address") from None
    except HTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        raise kind(f"{base}: answers {status}{_MEANINGS.get(status, '')}") from (error if status >= 500 else None)
    except TooManyRedirects:
        raise kind(f"{base}: redirects to another address; give that one") from None
    except RequestException as error:
        raise kind(f"{base}: cannot be reached: {type(error).__name__}; check address and certificate") from error
    except (ValueError, KeyError, AttributeError) as error:
        raise kind(f"{base}: its answer is not DICOMweb: {first_line(error)[:200]}") from None


_MEANINGS = {
    401: f": it wants to know who asks; set {TOKEN_VARIABLE}, or user and password",
    403: ": we may not do that there; ask its administrator",
    404: ": there is no such study or series, or no DICOMweb service at this address",
    409: ": it took nothing of what was sent",
    413: ": it takes no objects of this size",
    507: ": it has no space left",
}
