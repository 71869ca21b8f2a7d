"""The datastore of the MONAI Label interface: images, labels, what comes next, and the training list."""

from urllib.parse import quote_plus

import nibabel as nib
import numpy as np
import pytest
from label_clients import send
from serving import SHAPE, ct_file

from openvista.io import read_segmentation


def test_the_annotators_day(label_server, store_folder, tmp_path):
    """Next sample, fetch it, save a label with the segment's names, next one; then all of it as a list."""
    http = label_server.http
    sample = http.post("/activelearning/first", json={"client_id": "user-xyz"}).json()
    assert sample["id"] == "1.2.840.113619"
    fetched = http.get("/datastore/image", params={"image": sample["id"]})
    assert fetched.content == (store_folder / sample["name"]).read_bytes()
    assert http.head(f"/datastore/image?image={sample['id']}&check_sum={sample['checksum']}").status_code == 200
    assert http.head(f"/datastore/image?image={sample['id']}&check_sum=SHA256:0").status_code == 404
    label = tmp_path / "label.nii.gz"
    nib.save(nib.Nifti1Image((np.arange(np.prod(SHAPE)).reshape(SHAPE) % 3).astype(np.uint8), np.eye(4)), label)
    params = {"label_info": [{"name": "liver", "idx": 1}, {"name": "odd thing", "idx": 2}], "client_id": "user-xyz"}
    saved = send(label_server, "PUT", f"/datastore/label?image={sample['id']}&tag=final", params, {"label": label})
    assert saved.json() == {"image": sample["id"], "label": sample["id"]}
    assert http.get("/datastore/label", params={"label": sample["id"], "tag": "final"}).content == label.read_bytes()
    assert http.head(f"/datastore/label?image={sample['id']}&tag=final").status_code == 200
    info = http.get("/datastore/label/info", params={"label": sample["id"], "tag": "final"}).json()
    assert info["label_info"][1]["name"] == "odd thing"
    assert http.post("/activelearning/random", json={}).json()["id"] == "case 1"
    listed = http.get("/datastore/?output=all").json()["objects"]
    assert listed["1.2.840.113619"]["labels"]["final"]["ext"] == ".nii.gz"
    assert http.get("/datastore").json()["completed"] == 1
    assert http.get("/datastore/?output=train").json() == [
        {"image": "1.2.840.113619.nii.gz", "label": "1.2.840.113619.nii.gz"}
    ]
    assert http.request("DELETE", "/datastore/label?id=1.2.840.113619&tag=final").status_code == 200
    assert http.get("/datastore/").json()["completed"] == 0


def test_a_label_of_another_shape_is_refused(label_server, tmp_path):
    """It would be learned from as if it lay on the image."""
    label = tmp_path / "label.nii.gz"
    nib.save(nib.Nifti1Image(np.ones((5, 6, 7), np.uint8), np.eye(4)), label)
    saved = send(label_server, "PUT", "/datastore/label?image=case+1&tag=final", {}, {"label": label})
    assert (saved.status_code, saved.json()["code"]) == (422, "grid")
    assert "(5, 6, 7)" in saved.json()["detail"]
    assert label_server.http.head("/datastore/label?image=case+1&tag=final").status_code == 404


def test_images_are_added_and_only_those_can_be_deleted(label_server, ct, store_folder, tmp_path):
    added = send(label_server, "PUT", "/datastore/?image=new+one", {"client_id": "me"}, {"file": ct})
    assert added.json() == {"image": "new one"}
    assert (store_folder / "new one.nii.gz").read_bytes() == ct.read_bytes()
    other = ct_file(tmp_path / "other.nii.gz", seed=9)
    again = send(label_server, "PUT", "/datastore/?image=new+one", {}, {"file": other})
    assert again.status_code == 409
    http = label_server.http
    assert http.put("/datastore/image/info?image=new+one", files={"info": (None, '{"note": 1}')}).status_code == 200
    assert http.get("/datastore/image/info?image=new+one").json()["note"] == 1
    assert http.request("DELETE", "/datastore/?id=new+one").status_code == 200
    assert not (store_folder / "new one.nii.gz").exists()
    assert http.request("DELETE", "/datastore/?id=case+1").status_code == 403
    assert (store_folder / "case 1.nii.gz").exists()


@pytest.mark.parametrize("image", ["../case 1", "..", "a/../b", "%2e%2e%2fx", ".hidden", "a\x00b", "x" * 150, "a\nb"])
def test_ids_are_no_paths(label_server, ct, store_folder, image):
    before = sorted(path.name for path in store_folder.parent.iterdir())
    assert label_server.http.get("/datastore/image", params={"image": image}).status_code in (404, 422)
    put = send(label_server, "PUT", f"/datastore/?image={quote_plus(image)}", {}, {"file": ct})
    assert put.status_code == 422
    label = send(label_server, "PUT", f"/datastore/label?image=case+1&tag={quote_plus(image)}", {}, {"label": ct})
    assert label.status_code == 422
    assert sorted(path.name for path in store_folder.parent.iterdir()) == before


def test_links_out_of_the_datastore_are_not_followed(label_server, store_folder, tmp_path):
    secret = ct_file(tmp_path / "secret.nii.gz")
    (store_folder / "leak.nii.gz").symlink_to(secret)
    try:
        assert label_server.http.get("/datastore/image?image=leak").status_code == 404
        assert "leak" not in label_server.http.get("/datastore/?output=all").text
    finally:
        (store_folder / "leak.nii.gz").unlink()


def test_the_training_list_numbers_segments_by_name(tmp_path):
    """Two annotators numbered the same organ differently; one drew something that no class describes."""
    from openvista.anatomy import Vocabulary
    from openvista.datalist import read_datalist
    from openvista.serve.monai_label.datastore import Datastore
    from openvista.serve.monai_label.training import make_list

    annotated = tmp_path / "store"
    annotated.mkdir()
    store = Datastore(annotated)
    for name, value, info in (
        ("a", 1, [{"name": "Liver", "idx": 1}]),
        ("b", 7, [{"name": "liver", "idx": 7}, {"name": "plexus", "idx": 2}]),
    ):
        ct_file(annotated / f"{name}.nii.gz")
        labels = np.zeros(SHAPE, np.uint8)
        labels[2:5] = value
        labels[6:8] = 2 if name == "b" else 0
        source = tmp_path / f"label {name}.nii.gz"
        nib.save(nib.Nifti1Image(labels, np.eye(4)), source)
        store.save_label(name, "final", source, ".nii.gz", {"label_info": info})
    path, mapping = make_list(store, tmp_path / "list", Vocabulary((1, 5)))
    listed = read_datalist(path)
    assert sorted(mapping) == ["1=1", "2=new:plexus"]
    for case in listed.training:
        assert (read_segmentation(case.label).labels[2:5] == 1).all()
    assert {frozenset(case.annotated) for case in listed.training} == {frozenset({1}), frozenset({1, 2})}
