"""Scans that are addresses in a PACS: fetched before the work, results stored after it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from openvista.cli.console import bars
from openvista.cli.options import DICOM
from openvista.io import DicomOptions, check_dicom_source
from openvista.pacs.dicom_results import store_results, stored_formats
from openvista.pacs.dicomweb import DicomWeb, is_address, parse_address
from openvista.scan import Scan, Segmentation

Store = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Store results in a PACS (DICOMweb): those of --format that are DICOM, or dicom-seg. Files are written "
        "only with -o.",
        rich_help_panel=DICOM,
    ),
]


@contextmanager
def fetched(scans: Sequence[str], series: str | None, quiet: bool) -> Iterator[list[Path]]:
    """The scans as paths. Series at addresses are in a temporary folder, called like their UIDs, until the end.

    Args:
        scans: paths, or addresses of series or studies.
        series: which series of a study: UID or its beginning, number or description.
        quiet: show no bars.

    Raises:
        InputError: an address that is none.
        ScanError: a series that cannot be had.
    """
    with TemporaryDirectory(prefix="openvista-") as folder:
        yield [_fetch(scan, series, Path(folder), quiet) if is_address(scan) else Path(scan) for scan in scans]


def _fetch(scan: str, series: str | None, folder: Path, quiet: bool) -> Path:
    address = parse_address(scan)
    source = DicomWeb(address.base)
    found = source.choose(address, series)
    target = folder / found.uid
    target.mkdir(exist_ok=True)
    with bars(quiet, counted=True, transient=True) as bar:
        task = bar.add_task("fetching", total=found.instances or None)
        source.fetch(found, target, lambda done, _: bar.update(task, completed=done))
    return target


class ResultStore:
    """A PACS that results are stored in.

    Args:
        address: of its DICOMweb service.
        formats: what is written; of these the DICOM formats are stored, or a segmentation if there is none.
        options: of DICOM objects.

    Raises:
        InputError: the address cannot be one.
    """

    def __init__(self, address: str, formats: Sequence[str], options: DicomOptions) -> None:
        self._archive = DicomWeb(address)
        self._formats, self._options = stored_formats(formats), options

    def check(self, scan: Scan) -> None:
        """Refuse a scan whose results cannot be stored.

        Raises:
            OutputError: it was not read from DICOM.
        """
        check_dicom_source(scan, self._formats[0])

    def store(self, result: Segmentation, quiet: bool) -> None:
        """Store a result, and say so.

        Raises:
            OutputError: nothing was found, or the archive refuses.
        """
        for format in store_results(self._archive, result, self._formats, self._options):
            if not quiet:
                print(f"{self._archive.base}: stored {format}")
