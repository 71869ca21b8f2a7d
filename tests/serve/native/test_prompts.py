"""Classes, clicks, boxes, lassos and scribbles over the native API; jobs."""

import time

import numpy as np
from serving import CLICK, Session


def test_class_prompts_give_what_the_engine_gives(server, session, ct):
    from openvista.io import read_scan

    session.change("classes", {"classes": ["liver", 121]})
    model = server.app.state.service.engine.model("both")
    direct = model.open(read_scan(ct))
    direct.segment(["liver", 121])
    assert np.array_equal(session.labels, direct.segmentation().labels)
    assert np.array_equal(session.served(), session.labels)
    assert {item["id"] for item in session.info["objects"]} == {1, 121}


def test_a_viewer_that_applies_boxes_sees_what_is_served(session):
    steps = [
        ("classes", {"classes": "all"}),
        ("objects", {"name": "lesion", "colour": "#ff0080"}),
        ("clicks", {"object": "lesion", "clicks": [CLICK]}),
        ("clicks", {"object": 1, "clicks": [{"voxel": [4, 4, 4], "positive": False}, {"voxel": [13, 12, 11]}]}),
        ("undo", None),
        ("boxes", {"object": "lesion", "box": [[2, 9], [3, 12], [4, 11]]}),
        ("undo", None),
        ("undo", None),
        ("redo", None),
        ("lassos", {"object": 5, "axis": 2, "slice": 9, "points": [[3, 3], [12, 3], [8, 13]]}),
        ("scribbles", {"object": "spinal cord", "points": [[5, 5, 5], [6, 6, 6], [9, 9, 7]], "positive": False}),
    ]
    for path, content in steps:
        session.change(path, content)
        assert np.array_equal(session.served(), session.labels), path
    assert session.info["can_undo"]
    fresh = session.http.get(f"{session.address}/changes", params={"since": -1}).json()
    session.labels[:] = 0
    session.apply(fresh)
    assert np.array_equal(session.served(), session.labels)


def test_a_job_says_what_its_user_should_know(session):
    clicks = [CLICK, {"voxel": [900, 900, 900]}]
    asked = {"object": "lesion", "clicks": clicks}
    session.change("objects", {"name": "lesion"})
    job = session.http.post(f"{session.address}/clicks", params={"wait": False}, json=asked).json()
    for _ in range(200):
        told = session.http.get(f"{session.address}/jobs/{job['id']}").json()
        if told["state"] == "done":
            break
        time.sleep(0.05)
    assert told["state"] == "done"
    assert any("outside" in warning for warning in told["warnings"])


def test_what_cannot_be_asked_gets_a_line_with_help(session):
    unknown = session.post("classes", {"classes": ["lever"]})
    assert unknown.status_code == 422
    assert "'liver'" in unknown.json()["detail"]
    outside = session.post("clicks", {"object": "liver", "clicks": [{"voxel": [500, 0, 0]}]})
    assert outside.status_code == 422
    assert "outside the scan" in outside.json()["detail"]
    nameless = session.post("clicks", {"object": "nobody knows this", "clicks": [CLICK]})
    assert nameless.json()["code"] == "class"
    typo = session.post("clicks", {"object": "liver", "clicks": [{**CLICK, "positiv": False}]})
    assert typo.status_code == 422
    assert "positiv" in typo.json()["detail"]
    for broken in ([1, 2], [1, 2, 3, 4], ["a", 1, 2], [None, 1, 2]):
        assert session.post("clicks", {"object": 1, "clicks": [{"voxel": broken}]}).status_code == 422
    assert session.info["revision"] == 0


def test_numbers_that_are_none_are_refused(session):
    for number in ("NaN", "Infinity", "1e999"):
        content = f'{{"object": 1, "clicks": [{{"voxel": [{number}, 1, 1]}}]}}'
        headers = {"Content-Type": "application/json"}
        assert session.http.post(f"{session.address}/clicks", content=content, headers=headers).status_code == 422


def test_a_model_without_point_branch_says_so(server, scan):
    session = Session(server, scan["id"], "automatic-only")
    session.change("classes", {"classes": ["liver"]})
    asked = {
        "clicks": {"object": "liver", "clicks": [CLICK]},
        "boxes": {"object": "liver", "box": [[1, 5], [1, 5], [1, 5]]},
        "lassos": {"object": 1, "axis": 0, "slice": 3, "points": [[1, 1], [5, 1], [3, 6]]},
        "scribbles": {"object": 1, "points": [[1, 1, 1]]},
    }
    for path, content in asked.items():
        answer = session.post(path, content)
        assert answer.status_code == 422
        assert "answers class prompts only" in answer.json()["detail"]
