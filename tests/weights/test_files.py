"""Containers: pickles of tensors, safetensors, wrappers, prefixes, and everything that is not a checkpoint."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openvista.errors import OutputError, WeightsError
from openvista.weights.files import read_file, strip_prefixes, unwrap, write_file

TENSORS = {"encoder.a": torch.arange(6.0).reshape(2, 3), "head.b": torch.ones(2)}


def equal(found: dict[str, torch.Tensor]) -> bool:
    return found.keys() == TENSORS.keys() and all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".safetensors"])
def test_there_and_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    write_file(TENSORS, path)
    assert equal(read_file(path))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_old_pickles_that_are_no_zip(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert equal(read_file(tmp_path / "old.pt"))


@pytest.mark.parametrize(
    "wrapped",
    [
        {"model": TENSORS, "epoch": 3, "step": 17},
        {"state_dict": TENSORS, "optimizer": {}},
        {"network": {"state_dict": TENSORS}},
        {"model_state_dict": TENSORS},
        {"ema": TENSORS},
        {"model": {"state_dict": {"model": TENSORS}}},
    ],
    ids=lambda wrapped: "-".join(wrapped),
)
def test_wrappers_come_off(tmp_path: Path, wrapped: dict) -> None:
    torch.save(wrapped, tmp_path / "model.pt")
    assert equal(read_file(tmp_path / "model.pt"))


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(["module.", "_orig_mod.", "network.", "model."]), max_size=4))
def test_prefixes_come_off_at_the_start_only(prefixes: list[str]) -> None:
    named = {"".join(prefixes) + "head.model.x": torch.ones(1)}
    assert list(strip_prefixes(named, Path("x.pt"))) == ["head.model.x"]


def test_one_name_twice_is_refused() -> None:
    with pytest.raises(WeightsError, match="twice"):
        strip_prefixes({"module.a": torch.ones(1), "a": torch.ones(1)}, Path("x.pt"))


class Harm:
    """Leaves a file behind when unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.trace,))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("modern", [True, False])
def test_code_is_refused_and_not_run(tmp_path: Path, modern: bool) -> None:
    trace = tmp_path / "harm-done"
    path = tmp_path / "model.pt"
    torch.save({"model": TENSORS, "extra": Harm(trace)}, path, _use_new_zipfile_serialization=modern)
    with pytest.raises(WeightsError, match="would run code when opened: refused") as caught:
        read_file(path)
    assert "\n" not in str(caught.value)
    assert not trace.exists()
    path.write_bytes(pickle.dumps(Harm(trace)))
    with pytest.raises(WeightsError):
        read_file(path)
    assert not trace.exists()


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    module = torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2))
    torch.jit.save(module, path)
    with pytest.raises(WeightsError, match="TorchScript or TensorRT"):
        read_file(path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>quota exceeded</html>", "web page"),
        (b"\x01\x02garbage" * 20, "get it again|refused"),
    ],
    ids=["empty", "lfs", "html", "garbage"],
)
def test_what_failed_downloads_leave(tmp_path: Path, suffix: str, content: bytes, complaint: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=complaint) as caught:
        read_file(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_cut_off_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    write_file(TENSORS, path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(WeightsError, match=path.name):
        read_file(path)


def test_missing_file_folder_and_other_suffix(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pt", tmp_path):
        with pytest.raises(WeightsError, match="not a file"):
            read_file(path)
    (tmp_path / "scan.nii.gz").write_bytes(b"x")
    with pytest.raises(WeightsError, match="not a checkpoint"):
        read_file(tmp_path / "scan.nii.gz")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({}, "holds no tensors"),
        ({"epoch": 3}, "holds no tensors, but epoch"),
        ([1, 2], "holds a list"),
        ({"a": torch.ones(1), "epoch": 3}, "mixes tensors with other things"),
    ],
)
def test_pickles_of_something_else(content: object, complaint: str) -> None:
    with pytest.raises(WeightsError, match=complaint):
        unwrap(content, Path("x.pt"))


def test_write_refuses_odd_suffixes_and_missing_folders(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="must end in"):
        write_file(TENSORS, tmp_path / "model.onnx")
    for suffix in (".pt", ".safetensors"):
        with pytest.raises(OutputError, match="cannot write"):
            write_file(TENSORS, tmp_path / "none" / f"model{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may grow beyond 100 bytes, as on a full disk."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, suffix: str, small_disk: None) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match="cannot write") as caught:
        write_file({"large": torch.zeros(10_000)}, path)
    assert "\n" not in str(caught.value)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [(path.name, b"old")]
