"""What an error means for the scan that it came from."""

import pytest

from openvista.cohort.failures import KINDS, TRIES, failure_of, may_run_again, pause_before
from openvista.cohort.storage import fetched
from openvista.errors import DeviceError, FormatError, GridError, MissingExtraError, OutputError, ScanError


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ScanError("not a CT"), "input"),
        (MissingExtraError("pydicom", "dicom", "read DICOM"), "input"),
        (FileNotFoundError("s3://bucket/ct"), "input"),
        (PermissionError("forbidden"), "input"),
        (MemoryError(), "memory"),
        (DeviceError("the GPU's memory is too small for one window (...); use --device cpu"), "memory"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), "memory"),
        (DeviceError("no device 'x'"), "input"),
        (GridError("ct: at the model's 1.5 mm it needs 9.0 GB where 8.0 GB are free"), "memory"),
        (FormatError("nothing to write as dicom-seg"), "input"),
        (OutputError("disk full"), "storage"),
        (ConnectionResetError("gone"), "storage"),
        (TimeoutError("slow"), "storage"),
        (OSError(5, "input/output error"), "storage"),
        (RuntimeError("shapes differ"), "bug"),
        (KeyError("x"), "bug"),
    ],
)
def test_kinds(error, kind):
    failure = failure_of(error)
    assert failure.kind == kind
    assert bool(failure.traceback) == (kind == "bug")
    assert "\n" not in failure.message


def test_a_pacs_may_be_away_for_a_minute():
    """What it refuses is the input's fault; what does not arrive may arrive later."""
    with pytest.raises(ScanError) as away, fetched("http://127.0.0.1:9/dicom-web/studies/1.2/series/3.4"):
        pass
    assert failure_of(away.value).kind == "storage"


def test_each_kind_ends():
    assert TRIES.keys() == set(KINDS)
    for kind in KINDS:
        failure = failure_of(ScanError("x"))
        failure = type(failure)(kind, "", "")
        tries = 1
        while may_run_again(failure, tries):
            assert pause_before(failure, tries) >= 0
            tries += 1
        assert tries == TRIES[kind]


def test_a_bucket_may_be_away_for_a_minute():
    failure = failure_of(OutputError("gone"))
    assert sum(pause_before(failure, tries) for tries in range(1, TRIES["storage"])) >= 60
