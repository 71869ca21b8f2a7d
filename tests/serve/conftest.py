"""Fixtures of the server tests: models, scans, and one server that most tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Running, ct_file, make_model, running

pytest.importorskip("fastapi")


@pytest.fixture(scope="session")
def two_branches(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("models"), "both", ("automatic", "point"))


@pytest.fixture(scope="session")
def automatic_only(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("models"), "automatic-only", ("automatic",))


@pytest.fixture(scope="session")
def ct(tmp_path_factory) -> Path:
    return ct_file(tmp_path_factory.mktemp("scans") / "case one.nii.gz")


@pytest.fixture(scope="session")
def allowed(tmp_path_factory) -> Path:
    """A folder whose files may be registered by path."""
    folder = tmp_path_factory.mktemp("allowed")
    ct_file(folder / "inside.nii.gz", seed=5)
    return folder


@pytest.fixture(scope="session")
def server(two_branches, automatic_only, allowed, tmp_path_factory) -> Iterator[Running]:
    with running(
        models=(str(two_branches), str(automatic_only)),
        devices=("cpu",),
        precision="float32",
        state=tmp_path_factory.mktemp("state"),
        roots=(allowed,),
        voxels=300_000,
        upload_mb=4,
    ) as started:
        yield started


@pytest.fixture(scope="module")
def store_folder(tmp_path_factory) -> Path:
    """A team's datastore with two images."""
    folder = tmp_path_factory.mktemp("datastore")
    ct_file(folder / "case 1.nii.gz", seed=1)
    ct_file(folder / "1.2.840.113619.nii.gz", seed=2)
    return folder


@pytest.fixture(scope="module")
def label_server(two_branches, store_folder, tmp_path_factory) -> Iterator[Running]:
    state = tmp_path_factory.mktemp("monai")
    with running(
        models=(str(two_branches),), precision="float32", state=state, datastore=store_folder, voxels=300_000
    ) as started:
        yield started
