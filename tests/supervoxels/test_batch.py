"""Whole lists: files, resuming, what fails, and the new data list."""

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch
from small_phantoms import make_phantom

pytest.importorskip("skimage")

from openvista.datalist import read_datalist, write_datalist
from openvista.errors import DataListError
from openvista.io import read_labels
from openvista.supervoxels import Clustering
from openvista.supervoxels.batch import (
    JobSettings,
    SupervoxelJob,
    cases_of,
    do_jobs,
    jobs_of,
    map_path,
    with_supervoxels,
)
from openvista.supervoxels.source import IntensityFeatures

WORK = JobSettings(IntensityFeatures(), Clustering(segments=12, compactness=0.1))


@pytest.fixture
def listed(tmp_path):
    """Four scans in two folders, one of them without label, one for testing."""
    training, testing = [], []
    for number, name in enumerate(["a/ct.nii.gz", "b/ct.nii.gz", "b/other.nii.gz", "c/ct.nii.gz"]):
        scan = make_phantom((14 + number, 12, 10), (8, 8, 8), seed=number)
        file = tmp_path / "data" / "scans" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(scan.voxels, scan.grid.affine), file)
        label = file.with_name(f"seg-{file.name}")
        nib.save(nib.Nifti1Image((scan.voxels > 90).astype(np.uint8), scan.grid.affine), label)
        entry = {"image": f"scans/{name}", "label": f"scans/{name.replace('/', '/seg-')}", "fold": number % 2}
        entry |= {"remark": f"case {number}"}
        (testing if number == 3 else training).append(entry)
    del training[2]["label"]
    content = {"labels": {"0": "background", "1": "ball"}, "training": training, "testing": testing, "site": "here"}
    (tmp_path / "data" / "list.json").write_text(json.dumps(content))
    return read_datalist(tmp_path / "data" / "list.json")


def times(jobs):
    return [job.target.stat().st_mtime_ns for job in jobs]


def test_maps_mirror_the_folders_of_the_scans(listed, tmp_path):
    jobs = jobs_of(cases_of(listed, "all"), tmp_path / "out")
    names = [job.target.relative_to(tmp_path / "out").as_posix() for job in jobs]
    assert names == ["a/ct_sv.nii.gz", "b/ct_sv.nii.gz", "b/other_sv.nii.gz", "c/ct_sv.nii.gz"]
    assert len(jobs_of(cases_of(listed, "training"), tmp_path)) == 3
    assert len(jobs_of(cases_of(listed, "testing"), tmp_path)) == 1
    with pytest.raises(DataListError, match="no split 'tests'"):
        cases_of(listed, "tests")


def test_a_map_is_uint16_on_the_scans_grid_with_its_choices_beside_it(listed, tmp_path):
    job = jobs_of(cases_of(listed, "training"), tmp_path / "out")[0]
    (outcome,) = do_jobs([job], WORK)
    stored, scan = nib.load(job.target), nib.load(job.image)
    assert stored.get_data_dtype() == np.uint16
    assert stored.shape == scan.shape
    assert np.array_equal(stored.affine, scan.affine)
    labels, _ = read_labels(job.target)
    assert outcome.count == labels.max() > 5
    described = json.loads((job.target.parent / "ct_sv.json").read_text())
    assert described["supervoxels"]["segments"] == 12
    assert sorted(path.name for path in job.target.parent.iterdir()) == ["ct_sv.json", "ct_sv.nii.gz"]


def test_what_is_there_is_kept_and_what_is_damaged_or_different_is_made_again(listed, tmp_path):
    jobs = jobs_of(cases_of(listed, "training"), tmp_path / "out")
    first = do_jobs(jobs, WORK, workers=2)
    assert [outcome.error for outcome in first] == [None] * 3
    before = times(jobs)
    content = jobs[0].target.read_bytes()
    assert [outcome.count for outcome in do_jobs(jobs, WORK)] == [0, 0, 0]
    assert times(jobs) == before

    jobs[0].target.write_bytes(content[:-20])
    (tmp_path / "out" / "b" / "ct_sv.json").unlink()
    counts = [outcome.count > 0 for outcome in do_jobs(jobs, WORK)]
    assert counts == [True, True, False]
    assert jobs[0].target.read_bytes() == content

    other = replace(WORK, clustering=replace(WORK.clustering, sigma_mm=5.0))
    assert all(outcome.count > 0 for outcome in do_jobs(jobs, other))
    assert all(outcome.count > 0 for outcome in do_jobs(jobs, replace(other, overwrite=True)))


def test_a_map_of_another_scan_is_made_again(listed, tmp_path):
    jobs = jobs_of(cases_of(listed, "training"), tmp_path / "out")
    do_jobs(jobs[:1], WORK)
    image = nib.load(jobs[0].image)
    moved = image.affine.copy()
    moved[0, 3] += 5
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), moved), jobs[0].image)
    assert do_jobs(jobs[:1], WORK)[0].count > 0


def test_several_at_a_time_give_the_same_and_leave_torch_as_it_was(listed, tmp_path):
    threads = torch.get_num_threads()
    one, two = (jobs_of(cases_of(listed, "all"), tmp_path / name) for name in ("one", "two"))
    do_jobs(one, WORK)
    do_jobs(two, WORK, workers=3)
    assert [job.target.read_bytes() for job in one] == [job.target.read_bytes() for job in two]
    assert torch.get_num_threads() == threads


def test_a_scan_that_cannot_be_read_is_told_and_the_others_are_done(listed, tmp_path):
    cases = cases_of(listed, "training")
    cases[1].image.write_bytes(b"no image")
    outcomes = do_jobs(jobs_of(cases, tmp_path / "out"), WORK)
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert "ct.nii.gz" in outcomes[1].error
    made = with_supervoxels(listed, outcomes)
    assert [case.supervoxels is None for case in made.training] == [False, True]
    assert made.unlabelled[0].supervoxels == tmp_path / "out" / "b" / "other_sv.nii.gz"


def test_an_error_of_ours_stops_everything_and_leaves_nothing_half_written(listed, tmp_path):
    class Broken(IntensityFeatures):
        def features(self, scan, grid, report):
            raise ZeroDivisionError("our own mistake")

    jobs = jobs_of(cases_of(listed, "training"), tmp_path / "out")
    with pytest.raises(ZeroDivisionError):
        do_jobs(jobs, replace(WORK, source=Broken()), workers=2)
    assert not list((tmp_path).glob("out/**/*.nii.gz"))


def test_the_new_list_says_what_the_old_one_says_and_where_the_maps_are(listed, tmp_path):
    outcomes = do_jobs(jobs_of(cases_of(listed, "training"), tmp_path / "data" / "supervoxels"), WORK)
    written = write_datalist(with_supervoxels(listed, outcomes), tmp_path / "data" / "list_supervoxels.json")
    content = json.loads(written.read_text())
    assert content["training"][0]["label_sv"] == "supervoxels/a/ct_sv.nii.gz"
    assert content["training"][0]["image"] == "scans/a/ct.nii.gz"
    assert content["training"][0]["remark"] == "case 0"
    assert content["site"] == "here"
    read = read_datalist(written)
    assert [case.fold for case in read.training] == [0, 1]
    assert read.testing[0].supervoxels is None
    assert read.unlabelled[0].supervoxels.is_file()


def test_two_scans_that_would_share_a_map_are_refused(listed, tmp_path):
    case = listed.training[0]
    twin = replace(case, image=case.image.with_name("ct.nii"))
    with pytest.raises(DataListError, match="rename one"):
        jobs_of([case, twin], tmp_path)
    assert [job.image for job in jobs_of([case, case], tmp_path)] == [case.image]
    assert SupervoxelJob(case.image, map_path(tmp_path, case.image)) in jobs_of([case], tmp_path)
