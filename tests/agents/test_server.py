"""The tools as a client of the protocol meets them: the library's own client, in memory."""

import asyncio
import base64
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from mcp import Client

from openvista.agents.folders import Folders
from openvista.agents.server import make_server
from openvista.agents.tools import MOST_SESSIONS
from openvista.agents.turns import Turns
from openvista.errors import ModelError
from small_kidneys import LEFT, RIGHT, kidneys_RAS, save_as

SECONDS = 120.0
TOOLS = {
    *("list_classes", "inspect_scan", "segment", "job_status", "cancel_job", "open_session", "click", "undo", "close"),
    *("measure", "export", "preview"),
}


class Agent:
    """A client that calls tools."""

    def __init__(self, client: Client, turns: Turns, root: Path) -> None:
        self.client, self.turns, self.root = client, turns, root
        self.told: list[tuple[float, float | None, str | None]] = []

    async def call(self, tool: str, **arguments: Any) -> Any:
        """The structured answer of a tool."""
        done = await self.client.call_tool(tool, arguments, progress_callback=self._note)
        assert not done.is_error, done.content
        return done.structured_content

    async def refused(self, tool: str, **arguments: Any) -> str:
        """What a tool says that refuses; always one line."""
        done = await self.client.call_tool(tool, arguments)
        assert done.is_error
        (content,) = done.content
        assert "\n" not in content.text
        return content.text

    async def finished(self, job: dict[str, Any]) -> dict[str, Any]:
        """A job after its end."""
        return await self.call("job_status", job_id=job["id"], wait_seconds=SECONDS)

    async def _note(self, progress: float, total: float | None, message: str | None) -> None:
        self.told.append((progress, total, message))


@pytest.fixture
def talk(kidney_model, root) -> Callable[[Callable[[Agent], Awaitable[None]]], None]:
    """Has a conversation with a server of its own."""

    def run(conversation: Callable[[Agent], Awaitable[None]]) -> None:
        async def connected() -> None:
            turns = Turns()
            try:
                server = make_server(Folders.of([root]), turns, str(kidney_model), "cpu", "float32")
                async with Client(server) as client:
                    await conversation(Agent(client, turns, root))
            finally:
                turns.close()

        asyncio.run(asyncio.wait_for(connected(), SECONDS))

    return run


def by_name(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in answer["structures"]}


def test_every_tool_has_a_schema_and_says_what_it_does(talk):
    async def conversation(agent: Agent) -> None:
        tools = {tool.name: tool for tool in (await agent.client.list_tools()).tools}
        assert tools.keys() == TOOLS
        for name, tool in tools.items():
            assert len(tool.description) > 30, name
            assert "context" not in tool.input_schema.get("properties", {})
            assert (tool.output_schema is None) == (name == "preview")
            assert tool.annotations.read_only_hint is not None
        assert "touches_border" in agent.client.instructions

    talk(conversation)


def test_classes_and_scans_are_described(talk):
    async def conversation(agent: Agent) -> None:
        known = await agent.call("list_classes")
        assert {one["id"]: one["name"] for one in known["classes"]} == {RIGHT: "right kidney", LEFT: "left kidney"}
        assert known["answers_clicks"]
        (best, *_) = (await agent.call("list_classes", query="left"))["classes"]
        assert best["id"] == LEFT
        scan = await agent.call("inspect_scan", path="ct.nii.gz")
        assert (scan["shape"], scan["axis_codes"], scan["hu_range"]) == ([16, 16, 16], "LPS", [-50, 300])
        assert scan["warnings"] == []

    talk(conversation)


@pytest.mark.parametrize("codes", ["LPS", "RAS", "SAL"])
def test_the_left_kidney_is_the_patients_left_one(talk, codes):
    """However the file is laid out: by name, by id, in the file, and in words."""

    async def conversation(agent: Agent) -> None:
        voxels, truth = kidneys_RAS()
        save_as(agent.root / "turned.nii.gz", voxels, codes)
        job = await agent.call("segment", path="turned.nii.gz", classes=["left kidney", RIGHT], output="out.nii.gz")
        done = await agent.finished(job)
        assert done["state"] == "done", done
        result = done["result"]
        assert result["warnings"] == []
        found = by_name(result)
        assert {name: one["side"] for name, one in found.items()} == {"left kidney": "left", "right kidney": "right"}
        assert found["left kidney"]["centroid_mm"][0] < found["right kidney"]["centroid_mm"][0]
        assert found["left kidney"]["id"] == LEFT
        written = nib.as_closest_canonical(nib.load(agent.root / "out.nii.gz"))
        assert np.mean(np.asarray(written.dataobj)[truth == LEFT] == LEFT) > 0.9
        done, total, message = agent.told[-1]
        assert (done == total, message.split()[0]) == (True, "labelling")

    talk(conversation)


def test_a_name_on_the_wrong_side_is_noticed(talk):
    """Kidneys that somebody numbered the other way round."""

    async def conversation(agent: Agent) -> None:
        _, labels = kidneys_RAS()
        swapped = np.select([labels == LEFT, labels == RIGHT], [RIGHT, LEFT]).astype(np.uint8)
        save_as(agent.root / "swapped.nii.gz", swapped, "LPS")
        (agent.root / "swapped.json").write_text('{"labels": {"5": "right kidney", "14": "left kidney"}}')
        answer = await agent.call("measure", labels="swapped.nii.gz", scan="ct.nii.gz")
        assert by_name(answer)["left kidney"]["side"] == "right"
        assert (
            "left kidney lies on the patient's right: the name or the orientation of the scan is wrong"
            in (answer["warnings"])
        )

    talk(conversation)


def test_flags_of_border_and_plausibility_reach_the_client(talk):
    async def conversation(agent: Agent) -> None:
        _, labels = kidneys_RAS()
        labels[2:6, 6:11, :4] = LEFT
        save_as(agent.root / "cut.nii.gz", labels, "LPS")
        (agent.root / "cut.json").write_text(
            '{"labels": {"5": "right kidney", "14": "left kidney"}, "unlikely": {"5": ["volume"]}}'
        )
        answer = await agent.call("measure", labels="cut.nii.gz", scan="ct.nii.gz")
        left, right = (by_name(answer)[name] for name in ("left kidney", "right kidney"))
        assert (left["touches_border"], right["touches_border"]) == (True, False)
        assert (left["unlikely"], right["unlikely"], answer["judged"]) == ([], ["volume"], True)
        assert left["volume_ml"] == pytest.approx(4 * 5 * 12 * 0.064)
        assert right["mean_hu"] == 100

    talk(conversation)


def test_a_session_is_clicked_undone_exported_and_closed(talk):
    async def conversation(agent: Agent) -> None:
        opened = await agent.call("open_session", path="ct.nii.gz")
        handle = opened["session_id"]
        click = {"voxel": [12, 7, 8]}  # LPS: high x is the patient's left
        clicked = await agent.call("click", session_id=handle, object="left kidney", clicks=[click])
        (item,) = clicked["objects"]
        assert (item["name"], item["clicks"]) == ("left kidney", 1)
        assert item["volume_ml"] > 0
        measured = await agent.call("measure", session_id=handle)
        assert by_name(measured)["left kidney"]["volume_ml"] == item["volume_ml"]
        written = await agent.call("export", session_id=handle, output="mine.seg.nrrd")
        assert (agent.root / "mine.seg.nrrd").is_file()
        assert written["format"] == "seg.nrrd"
        await agent.call("export", session_id=handle, output="case.ovsession")
        again = await agent.call("open_session", path="ct.nii.gz", start="case.ovsession")
        assert again["objects"] == clicked["objects"]
        undone = await agent.call("undo", session_id=handle)
        assert (undone["objects"], undone["can_undo"]) == ([], False)
        assert "nothing to undo" in await agent.refused("undo", session_id=handle)
        assert (await agent.call("close", session_id=handle))["open_sessions"] == 1
        assert "open_session gives a handle" in await agent.refused("undo", session_id=handle)

    talk(conversation)


def test_a_refused_click_leaves_nothing_behind(talk):
    async def conversation(agent: Agent) -> None:
        handle = (await agent.call("open_session", path="ct.nii.gz", start="labels.nii.gz"))["session_id"]
        before = await agent.call("measure", session_id=handle)
        outside = {"voxel": [99, 7, 8]}
        told = await agent.refused("click", session_id=handle, object="lesion", clicks=[outside], new=True)
        assert "outside the scan" in told
        assert "nearest" in await agent.refused("click", session_id=handle, object="livr", clicks=[outside])
        inside = {"voxel": [-20, 0, 8], "positive": False}
        await agent.refused("click", session_id=handle, object="x", clicks=[inside], millimetres=True)
        assert await agent.call("measure", session_id=handle) == before
        assert len(before["structures"]) == 2

    talk(conversation)


def test_sessions_are_bounded(talk):
    async def conversation(agent: Agent) -> None:
        handles = [(await agent.call("open_session", path="ct.nii.gz"))["session_id"] for _ in range(MOST_SESSIONS)]
        told = await agent.refused("open_session", path="ct.nii.gz")
        assert f"{MOST_SESSIONS} sessions are open" in told
        assert handles[0] in told
        await agent.call("close", session_id=handles[0])
        await agent.call("open_session", path="ct.nii.gz")

    talk(conversation)


def test_a_cancelled_job_writes_nothing(talk):
    async def conversation(agent: Agent) -> None:
        gate = threading.Event()
        agent.turns.submit("hold", lambda report: gate.wait(SECONDS))
        job = await agent.call("segment", path="ct.nii.gz", output="out.nii.gz")
        assert (await agent.call("job_status", job_id=job["id"], wait_seconds=0))["state"] == "queued"
        cancelled = await agent.call("cancel_job", job_id=job["id"])
        gate.set()
        assert (cancelled["state"], cancelled["result"]) == ("cancelled", None)
        after = await agent.finished(await agent.call("segment", path="ct.nii.gz", output="other.nii.gz"))
        assert after["state"] == "done"
        assert not (agent.root / "out.nii.gz").exists()

    talk(conversation)


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("inspect_scan", {"path": "../secret/ct.nii.gz"}, "no such file or folder in the allowed folders"),
        ("segment", {"path": "../secret/ct.nii.gz", "output": "x.nii.gz"}, "no such file or folder in the allowed"),
        ("segment", {"path": "ct.nii.gz", "output": "../secret/x.nii.gz"}, "its folder does not exist in the allowed"),
        ("segment", {"path": "ct.nii.gz", "output": "labels.nii.gz"}, "exists; give another name"),
        ("segment", {"path": "ct.nii.gz", "output": "ct.nii.gz", "overwrite": True}, "is the scan itself"),
        ("segment", {"path": "ct.nii.gz", "output": "x.nii.gz", "classes": ["livr"]}, "no class is called 'livr'"),
        ("segment", {"path": "ct.nii.gz", "output": "x.dcm"}, "dicom-seg needs a scan that was read from DICOM"),
        ("segment", {"path": "ct.nii.gz", "output": "x.jpg"}, "a result is written as .nii.gz"),
        ("open_session", {"path": "ct.nii.gz", "start": "../secret/ct.nii.gz"}, "no such file or folder"),
        ("measure", {"labels": "../secret/ct.nii.gz"}, "no such file or folder"),
        ("measure", {}, "give either session_id, or labels"),
        ("job_status", {"job_id": "x"}, "no such job 'x'"),
        ("click", {"session_id": "x", "object": "a", "clicks": [{"voxel": [1, 2, 3]}]}, "no such session 'x'"),
        ("click", {"session_id": "x", "object": "a", "clicks": [{"voxel": [1, 2]}]}, "click: clicks.0.voxel.2: Field"),
        ("export", {"session_id": "x", "output": "x.nii.gz"}, "no such session 'x'"),
        ("close", {"session_id": "x"}, "no such session 'x'"),
        ("preview", {"session_id": "x"}, "no such session 'x'"),
    ],
)
def test_wrong_input_is_one_line(talk, tool, arguments, message):
    async def conversation(agent: Agent) -> None:
        assert message in await agent.refused(tool, **arguments)
        assert sorted(path.name for path in agent.root.iterdir()) == ["ct.nii.gz", "labels.nii.gz"]

    talk(conversation)


def test_a_failed_job_says_why(talk):
    async def conversation(agent: Agent) -> None:
        (agent.root / "damaged.nii.gz").write_bytes(b"no image")
        done = await agent.finished(await agent.call("segment", path="damaged.nii.gz", output="x.nii.gz"))
        assert (done["state"], done["result"]) == ("failed", None)
        assert "damaged.nii.gz" in done["problem"]["detail"]
        gate = threading.Event()
        agent.turns.submit("hold", lambda report: gate.wait(SECONDS))
        (agent.root / "out").mkdir()
        job = await agent.call("segment", path="ct.nii.gz", output="out/x.nii.gz")
        (agent.root / "out").rmdir()
        gate.set()
        assert "out/x.nii.gz: cannot be written" in (await agent.finished(job))["problem"]["detail"]

    talk(conversation)


def test_the_preview_is_a_picture(talk):
    async def conversation(agent: Agent) -> None:
        done = await agent.client.call_tool("preview", {"labels": "labels.nii.gz", "scan": "ct.nii.gz"})
        assert not done.is_error
        image, words = done.content
        assert image.mime_type == "image/png"
        assert base64.b64decode(image.data).startswith(b"\x89PNG")
        assert words.text == "radiological view"

    talk(conversation)


def test_an_unknown_model_is_told_at_the_start(root):
    turns = Turns()
    with pytest.raises(ModelError, match="nosuch"):
        make_server(Folders.of([root]), turns, "nosuch", "cpu", "auto")
    turns.close()
