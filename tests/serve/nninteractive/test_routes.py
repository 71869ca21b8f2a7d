"""nnInteractive's stock client works on our server: every prompt, undo, reset, a mask to start from, and its refusals.

napari-nninteractive, MITK and the like use this client; what they send (crops with a box, prompts that wait) is here.
"""

import json
import struct

import httpx
import numpy as np
import pytest
from serving import SHAPE, read_nifti, running

remote = pytest.importorskip("nnInteractive.inference.remote")
blosc2 = pytest.importorskip("blosc2")

IMAGE = np.random.default_rng(0).integers(-900, 900, SHAPE).astype(np.int16)
PROPERTIES = {"spacing": np.array([2.0, 2.0, 2.0])}
POINT = (8, 7, 6)


@pytest.fixture
def client(server):
    with remote.nnInteractiveRemoteInferenceSession(f"{server.url}/nninteractive") as session:
        yield session


@pytest.fixture
def buffer(client):
    client.set_image(IMAGE[None], PROPERTIES)
    buffer = np.zeros(SHAPE, np.uint8)
    client.set_target_buffer(buffer)
    return buffer


def served(server, client) -> np.ndarray:
    """The object as our own API tells it to the lease's owner."""
    owner = {"X-OpenVISTA-Owner": client._lease_token}
    (session,) = server.http.get("/api/v1/sessions", headers=owner).json()["sessions"]
    answer = server.http.get(f"/api/v1/sessions/{session['id']}/segmentation", headers=owner)
    return np.asarray(read_nifti(answer.content).dataobj) > 0


def flat_mask() -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[8, 4:10, 3:9] = 1
    return mask


def test_the_client_learns_what_answers_and_under_which_licence(client):
    assert client.ping()
    assert all(client.supported_interactions[kind] for kind in ("points", "bbox2d", "scribble", "lasso"))
    assert client.supports_undo
    assert client.supports_initial_label
    assert client.license.startswith("Apache-2.0 (model both,")
    assert len(client.preferred_scribble_thickness) == 3
    assert 0 < client.lease_status()["remaining_seconds"] <= client.idle_timeout_seconds
    assert client.heartbeat() > 0


def test_every_prompt_of_either_sign_is_answered_into_the_clients_buffer(server, client, buffer):
    def check(bbox) -> None:
        np.testing.assert_array_equal(buffer > 0, served(server, client))
        assert bbox is None or all(0 <= a < b <= size for (a, b), size in zip(bbox, SHAPE, strict=True))

    assert client.original_image_shape == (1, *SHAPE)
    check(client.add_point_interaction(POINT, True))
    assert buffer.any(), "the random network finds something at a positive point"
    crop, box = flat_mask()[8:9, 4:10, 3:9], [[8, 9], [4, 10], [3, 9]]
    for positive in (True, False):
        check(client.add_point_interaction((3, 3, 3), positive))
        check(client.add_bbox_interaction([[8.0, 9.0], [4.0, 10.0], [3.0, 9.0]], positive))
        check(client.add_scribble_interaction(crop, positive, interaction_bbox=box))
        check(client.add_scribble_interaction(flat_mask(), positive))
        check(client.add_lasso_interaction(crop, positive, interaction_bbox=box))
        check(client.add_lasso_interaction(flat_mask(), positive))


def test_undo_goes_back_prompt_by_prompt_to_the_empty_buffer(client, buffer):
    seen = [buffer.copy()]
    for voxel, positive in ((POINT, True), ((3, 3, 3), False), ((12, 12, 9), True)):
        client.add_point_interaction(voxel, positive)
        seen.append(buffer.copy())
    assert (seen[1] != seen[3]).any()
    for before in seen[-2::-1]:
        assert client.undo()
        np.testing.assert_array_equal(buffer, before)
    assert not client.undo()


def test_reset_begins_another_object_that_knows_nothing_of_the_first(client, buffer):
    client.add_point_interaction(POINT, True)
    first = buffer.copy()
    client.add_point_interaction((3, 3, 3), False)
    client.reset_interactions()
    assert not buffer.any()
    assert not client.undo(), "a reset cannot be undone"
    client.add_point_interaction(POINT, True)
    np.testing.assert_array_equal(buffer, first)


def test_a_fresh_buffer_gets_the_whole_object(client, buffer):
    client.add_point_interaction(POINT, True)
    fresh = np.zeros(SHAPE, np.int16)
    client.set_target_buffer(fresh)
    client.add_point_interaction((3, 3, 3), False)
    client.undo()
    np.testing.assert_array_equal(fresh, buffer)


def test_prompts_that_wait_are_answered_together_and_undone_together(client, buffer):
    assert client.add_point_interaction(POINT, True, run_prediction=False) is None
    assert client.add_point_interaction((3, 3, 3), False, run_prediction=False) is None
    assert not buffer.any()
    assert client.undo(), "what waits is taken back first"
    client.add_bbox_interaction([[8, 9], [4, 10], [3, 9]], True, run_prediction=False)
    assert client._predict() is not None
    assert buffer.any()
    assert client._predict() is None, "nothing waits any more"
    assert client.undo()
    assert not buffer.any()


def test_a_mask_to_start_from_is_kept_until_prompts_change_it(server, client, buffer):
    client.add_point_interaction(POINT, True)
    before = buffer.copy()
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:6, 3:9, 4:8] = 1
    client.add_initial_seg_interaction(mask)
    np.testing.assert_array_equal(buffer, mask)
    np.testing.assert_array_equal(served(server, client), mask > 0)
    client.add_point_interaction(POINT, True)
    np.testing.assert_array_equal(buffer > 0, served(server, client))
    assert client.undo()
    np.testing.assert_array_equal(buffer, mask)
    assert client.undo()
    np.testing.assert_array_equal(buffer, before)


def test_the_array_lies_as_simpleitk_hands_it_out(server, client):
    """[Z, Y, X] of an LPS+ image: the same voxels in mm as a NIfTI of it has."""
    client.set_image(IMAGE[None], {"spacing": [2.5, 2.0, 1.5]})
    owner = {"X-OpenVISTA-Owner": client._lease_token}
    (scan,) = server.http.get("/api/v1/scans", headers=owner).json()["scans"]
    assert scan["axis_codes"] == "SPL"
    assert scan["spacing"] == [2.5, 2.0, 1.5]
    assert client.set_do_autozoom(False) is None
    flipped = {"spacing": [1, 1, 1], "sitk_stuff": {"direction": [-1, 0, 0, 0, -1, 0, 0, 0, 1]}}
    client.set_image(IMAGE[None].astype(np.float64), flipped)
    (scan,) = server.http.get("/api/v1/scans", headers=owner).json()["scans"]
    assert scan["axis_codes"] == "SAR"


def test_a_lease_ends_with_its_image_when_released_and_others_cannot_use_it(server):
    session = remote.nnInteractiveRemoteInferenceSession(f"{server.url}/nninteractive")
    session.set_image(IMAGE[None], PROPERTIES)
    owner = {"X-OpenVISTA-Owner": session._lease_token}
    assert server.http.get("/api/v1/scans", headers=owner).json()["scans"]
    server.http.post("/nninteractive/release", headers={"X-Lease-Token": session._lease_token})
    assert not server.http.get("/api/v1/scans", headers=owner).json()["scans"]
    with pytest.raises(remote.SessionExpiredError, match="claim another"):
        session.add_point_interaction(POINT, True)
    session.close()


def test_places_are_few_and_idle_ones_are_given_up(two_branches, tmp_path):
    choices = {"models": (str(two_branches),), "precision": "float32", "state": tmp_path, "token": "a-long-secret"}
    with running(**choices, open_sessions=1, idle_minutes=0.02) as server:
        address = f"{server.url}/nninteractive"
        with pytest.raises(httpx.HTTPStatusError, match="401"):
            remote.nnInteractiveRemoteInferenceSession(address)
        first = remote.nnInteractiveRemoteInferenceSession(address, api_key="a-long-secret")
        try:
            first.set_image(IMAGE[None], PROPERTIES)
            with pytest.raises(remote.ServerAtCapacityError, match="capacity"):
                remote.nnInteractiveRemoteInferenceSession(address, api_key="a-long-secret")
            first._stop_heartbeat.wait(2.5)
            assert not server.app.state.service.scans._records, "the image is gone with the lease"
            with pytest.raises(remote.SessionExpiredError):
                first.set_target_buffer(np.zeros(SHAPE, np.uint8))
        finally:
            first.close()
        remote.nnInteractiveRemoteInferenceSession(address, api_key="a-long-secret").close()


# --- what is refused ----------------------------------------------------------------------------------------------


def packed(array: np.ndarray, shape: tuple[int, ...] | None = None, name: str | None = None) -> bytes:
    """As the client packs it, with another shape or type in its header."""
    name = name or array.dtype.name
    shape = shape or array.shape
    chunk = blosc2.compress2(np.ascontiguousarray(array), typesize=array.itemsize)
    header = struct.pack("<4sBBBB", b"NNIA", 1, 1, len(shape), len(name)) + name.encode()
    lengths = struct.pack("<IQQ", 1, array.nbytes, len(chunk))
    return header + struct.pack(f"<{len(shape)}q", *shape) + lengths + chunk


GOOD = packed(IMAGE[None])
BAD = {
    "empty": b"",
    "another kind": b"\x1f\x8b" + GOOD[2:],
    "cut off in its header": GOOD[:20],
    "cut off in its chunk": GOOD[:-100],
    "a damaged chunk": GOOD[:70] + b"\xff" * 40 + GOOD[110:],
    "pickles": packed(IMAGE[None], name="object"),
    "a larger shape than it holds": packed(IMAGE[None], (1, 16, 15, 14)),
    "a smaller shape than it holds": packed(IMAGE[None], (1, 16, 15, 12)),
    "a negative shape": packed(IMAGE[None], (1, -16, 15, -13)),
    "two channels": packed(np.stack([IMAGE, IMAGE])),
    "NaN": packed(np.full((1, *SHAPE), np.nan, np.float32)),
}


@pytest.mark.parametrize("name", BAD)
def test_damaged_arrays_are_one_clear_refusal(server, client, name):
    headers = {"X-Lease-Token": client._lease_token}
    answer = server.http.post("/nninteractive/set_image", content=BAD[name], headers=headers)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"].count("\n") == 0
    assert "/" not in answer.json()["detail"], "no folder of ours is named"


def test_sizes_are_refused_by_the_header_before_anything_is_unpacked(server, client):
    """A bomb: a few bytes that say they are 10**12 voxels, and zeros that unpack to more than they may."""
    headers = {"X-Lease-Token": client._lease_token}
    for bomb in (packed(IMAGE[None], (1, 10**4, 10**4, 10**4)), packed(np.zeros((1, 100, 100, 100), np.uint8))):
        answer = server.http.post("/nninteractive/set_image", content=bomb, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    large = server.http.post("/nninteractive/set_image", content=b"0" * (6 << 20), headers=headers)
    assert large.status_code == 413


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("add_point_interaction", {"coordinates": [99, 0, 0]}),
        ("add_point_interaction", {"coordinates": [1, 2]}),
        ("add_point_interaction", {"coordinates": ["1e999", 0, 0]}),
        ("add_bbox_interaction", {"bbox_coords": [[3, 3], [0, 4], [0, 4]]}),
        ("add_bbox_interaction", {"bbox_coords": [[90, 99], [0, 4], [0, 4]]}),
        ("set_target_buffer", {"shape": [1, 2, 3], "dtype": "uint8"}),
        ("set_target_buffer", {}),
        ("set_do_autozoom", {}),
    ],
)
def test_prompts_that_cannot_be_are_refused(server, client, buffer, path, asked):
    answer = server.http.post(f"/nninteractive/{path}", json=asked, headers={"X-Lease-Token": client._lease_token})
    assert answer.status_code == 422, answer.text


def test_masks_that_do_not_fit_are_refused(client, buffer):
    deep = np.ones((2, 3, 3), np.uint8)
    for mask, box in (
        (np.zeros(SHAPE, np.uint8), None),
        (deep, [[8, 10], [4, 7], [3, 6]]),
        (deep, [[15, 17], [4, 7], [3, 6]]),
        (deep, [[8, 9], [4, 7], [3, 6]]),
    ):
        with pytest.raises(httpx.HTTPStatusError, match="422"):
            client.add_lasso_interaction(mask, True, interaction_bbox=box)
    for mask in (deep, np.ones((17, 15, 13), np.uint8)):
        with pytest.raises(httpx.HTTPStatusError, match=r"4(22|13)"):
            client._post_binary("/add_initial_seg_interaction", {}, packed(mask))
    assert not buffer.any()


def test_arguments_in_the_header_are_checked(server, client):
    headers = {"X-Lease-Token": client._lease_token}
    nested = "[" * 8000
    zero = json.dumps({"image_properties": {"spacing": [0, 1, 1]}})
    huge = json.dumps({"image_properties": {"spacing": [1e9, 1, 1]}})
    flat = json.dumps({"image_properties": {"sitk_stuff": {"direction": [0] * 9}}})
    for meta in ("{", "[]", nested, zero, huge, flat):
        answer = server.http.post("/nninteractive/set_image", content=GOOD, headers=headers | {"X-Meta": meta})
        assert answer.status_code == 422, (meta[:40], answer.text)
    without = server.http.post("/nninteractive/add_point_interaction", json={"coordinates": POINT}, headers=headers)
    assert (without.status_code, without.json()["code"]) == (422, "no-image")
    for token in ("", "x" * 150):
        gone = server.http.post("/nninteractive/heartbeat", headers={"X-Lease-Token": token})
        assert gone.status_code == 410


def test_a_server_whose_models_answer_no_clicks_says_so(automatic_only, tmp_path):
    with running(models=(str(automatic_only),), precision="float32", state=tmp_path) as server:
        answer = server.http.post("/nninteractive/claim")
        assert answer.status_code == 422
        assert "clicks" in answer.json()["detail"]
