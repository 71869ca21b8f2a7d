"""The server: each tool with what it says of itself, for the language model that chooses among them."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import anyio
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field, ValidationError

from openvista._version import __version__
from openvista.agents import answers
from openvista.agents.folders import Folders
from openvista.agents.tools import Asked, Toolbox, picture
from openvista.agents.turns import Turn, Turns, stage_in_words
from openvista.errors import OpenVistaError
from openvista.inference.progress import Progress
from openvista.io.session_file import SESSION_SUFFIX
from openvista.prompts import Click
from openvista.serve.schemas import MAX_CLICKS, ClickIn, ObjectRef
from openvista.weights import find_model

T = TypeVar("T")

INSTRUCTIONS = """\
OpenVISTA segments structures in 3D CT scans, by class name or by clicks. Not a medical device: for research only.
- Names come from list_classes; what is not in it cannot be asked for by name, only clicked on. Never invent classes.
- Left and right are the patient's. In pictures the patient's right is on the left.
- Report volumes with their flags: touches_border means cut by the edge of the scan, so the volume is a lower bound;
  unlikely means unlike the cases of training, so look at it (preview) or leave it out. Report warnings, too.
- segment is a job: ask job_status until the state is done. A click is a voxel x, y, z of the scan as in inspect_scan.
- Paths are files below the allowed folders. Existing files are kept unless overwrite is true."""

Series = Annotated[
    str | None, Field(description="which DICOM series, if there are several: UID or its beginning, number, description")
]
FillGaps = Annotated[bool, Field(description="interpolate slices that are missing from a DICOM series, else refused")]
ScanPath = Annotated[str, Field(description="NIfTI, NRRD, MHA, or a DICOM series (folder, zip, file)", max_length=4096)]
OutputPath = Annotated[
    str, Field(description="file to write, in a folder that exists; the ending says the format", max_length=4096)
]
Overwrite = Annotated[bool, Field(description="whether an existing file may be replaced")]
SessionId = Annotated[str, Field(description="handle from open_session", max_length=64)]
MaybeSessionId = Annotated[str | None, Field(description="handle from open_session; or give labels", max_length=64)]
Labels = Annotated[str | None, Field(description="path of a label map, instead of session_id", max_length=4096)]
OfScan = Annotated[
    str | None, Field(description="with labels: path of the scan they belong to, for HU and pictures", max_length=4096)
]
FileFormat = Literal[
    "nii.gz", "nii", "nrrd", "seg.nrrd", "mha", "dicom-seg", "dicom-rtstruct", "dicom-sr", "stl", "obj", "glb"
]
SessionFormat = FileFormat | Literal["ovsession"]
Classes = Annotated[
    Literal["all"] | list[int | str], Field(description="names or ids from list_classes, or 'all'", max_length=400)
]

_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_CHANGES = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
_WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=False)


class OneLineServer(MCPServer[Any]):
    """Tells every error of ours, and of arguments, as one line: what is wrong and what to do."""

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
        """Call a tool.

        Raises:
            ToolError: one line.
        """
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            if isinstance(cause := error.__cause__, OpenVistaError):
                raise ToolError(str(cause)) from cause
            if isinstance(cause, ValidationError):
                first = cause.errors()[0]
                where = ".".join(str(part) for part in first["loc"])
                raise ToolError(f"{name}: {where}: {first['msg']}") from cause
            raise


class AgentTools:
    """The tools as the protocol calls them.

    Args:
        toolbox: what they do.
        turns: the jobs.
    """

    def __init__(self, toolbox: Toolbox, turns: Turns) -> None:
        self._box, self._turns = toolbox, turns

    def list_classes(
        self, query: Annotated[str, Field(description="part of a name, or an id; empty for all", max_length=120)] = ""
    ) -> answers.KnownClasses:
        """Lists the classes that can be asked for by name, best match first, and whether the model answers clicks."""
        return self._box.classes(query)

    async def inspect_scan(
        self, path: ScanPath, series: Series = None, fill_gaps: FillGaps = False
    ) -> answers.InspectedScan:
        """Reads a scan: shape, spacing, orientation, range of HU, and warnings if it does not look like a CT."""
        asked = Asked(self._box.folders.existing(path), series, fill_gaps)
        return answers.inspected(await _aside(asked.read))

    def segment(
        self,
        path: ScanPath,
        output: OutputPath,
        classes: Classes = "all",
        format: FileFormat | None = None,
        drop_unlikely: Annotated[bool, Field(description="leave out what is unlike the cases of training")] = False,
        series: Series = None,
        fill_gaps: FillGaps = False,
        overwrite: Overwrite = False,
    ) -> answers.JobAnswer:
        """Starts to segment a scan by class names; gives back a job at once. Ask job_status for progress and result.

        Takes seconds to minutes. The label map lies on exactly the voxels of the scan.
        """
        asked = Asked(self._box.folders.existing(path), series, fill_gaps)
        target = self._box.folders.target(output, overwrite)
        work = self._box.segmenting(asked, classes, target, format, drop_unlikely)
        return _job_answer(self._turns.submit("segment", work))

    async def job_status(
        self,
        job_id: str,
        context: Context,
        wait_seconds: Annotated[float, Field(ge=0, le=300, description="wait so long for the end")] = 20.0,
    ) -> answers.JobAnswer:
        """Tells how far a job is; waits a while for its end. The result is there once the state is done."""
        turn = self._turns.find(job_id)
        await turn.wait(wait_seconds, partial(_tell, context))
        return _job_answer(turn)

    def cancel_job(self, job_id: str) -> answers.JobAnswer:
        """Asks a job to stop; it writes nothing then. One that has ended stays as it is."""
        turn = self._turns.find(job_id)
        turn.cancel()
        return _job_answer(turn)

    async def open_session(
        self,
        path: ScanPath,
        context: Context,
        start: Annotated[
            str | None,
            Field(description=f"a label map to correct, or a session file ({SESSION_SUFFIX})", max_length=4096),
        ] = None,
        series: Series = None,
        fill_gaps: FillGaps = False,
    ) -> answers.SessionAnswer:
        """Opens a scan for clicks, and gives back the handle session_id. Close it when done: few can be open."""
        asked = Asked(self._box.folders.existing(path), series, fill_gaps)
        begin = None if start is None else self._box.folders.existing(start)
        return await self._turns.run("open", lambda _: self._box.open(asked, begin), partial(_tell, context))

    async def click(
        self,
        session_id: SessionId,
        object: ObjectRef,
        clicks: Annotated[list[ClickIn], Field(min_length=1, max_length=MAX_CLICKS)],
        context: Context,
        new: Annotated[bool, Field(description="object is the name of a new thing that no class describes")] = False,
        millimetres: Annotated[bool, Field(description="clicks are RAS+ mm instead of voxels")] = False,
    ) -> answers.SessionAnswer:
        """Clicks on one object: positive where it is, negative where it is not. A click is always right.

        The object is one of the session, by id or name; or a class, which starts from its automatic result where the
        model knows it.
        """
        given = [Click(click.voxel, click.positive) for click in clicks]
        self._box.opened(session_id)  # a wrong handle need not wait for its turn
        work = partial(self._box.click, session_id, given, object, new, millimetres)
        return await self._turns.run("click", work, partial(_tell, context))

    async def undo(self, session_id: SessionId) -> answers.SessionAnswer:
        """Takes back the last change of a session; as often as there is one."""
        return await _aside(partial(self._box.undo, session_id))

    async def close(self, session_id: SessionId) -> answers.Closed:
        """Forgets a session; what was not exported is lost."""
        return await _aside(partial(self._box.close, session_id))

    async def measure(
        self, session_id: MaybeSessionId = None, labels: Labels = None, scan: OfScan = None
    ) -> answers.Measured:
        """Measures all structures of a session or of a label map: volume, HU, place, side of the patient, flags."""
        found = await _aside(partial(self._box.segmentation, session_id, labels, scan))
        warnings = () if found.scan is None else [warning.message for warning in found.scan.warnings]
        return await _aside(partial(answers.measured, found, warnings))

    async def export(
        self,
        session_id: SessionId,
        output: OutputPath,
        format: Annotated[SessionFormat | None, Field(description="needed where .dcm is not dicom-seg")] = None,
        overwrite: Overwrite = False,
    ) -> answers.Written:
        """Writes a session: its label map as image, DICOM (if the scan was) or surfaces; or all of it, ovsession."""
        target = self._box.folders.target(output, overwrite)
        return await _aside(partial(self._box.export, session_id, target, format))

    async def preview(
        self, session_id: MaybeSessionId = None, labels: Labels = None, scan: OfScan = None
    ) -> list[Image | str]:
        """Draws a session or a label map over its scan: three slices, a 3D view, and a legend with volumes, as PNG.

        Radiological view: the patient's right is on the left of the picture.
        """
        found = await _aside(partial(self._box.segmentation, session_id, labels, scan))
        return [Image(data=await _aside(partial(picture, found)), format="png"), "radiological view"]


def make_server(folders: Folders, turns: Turns, model: str, device: str, precision: str) -> MCPServer[Any]:
    """A server with all tools.

    Args:
        folders: whose files may be used.
        turns: its jobs; whoever made them closes them.
        model: name or folder.
        device, precision: as for :func:`openvista.load_model`.

    Raises:
        ModelError: there is no such model.
    """
    find_model(model)  # a wrong name should be told at once, not to the first who asks
    tools = AgentTools(Toolbox(folders, model, device, precision), turns)
    server = OneLineServer("openvista", title="OpenVISTA", instructions=INSTRUCTIONS, version=__version__)
    for tool in (tools.list_classes, tools.inspect_scan, tools.job_status, tools.measure):
        server.add_tool(tool, annotations=_READS)
    server.add_tool(tools.preview, annotations=_READS, structured_output=False)
    for change in (tools.open_session, tools.click, tools.undo, tools.cancel_job):
        server.add_tool(change, annotations=_CHANGES)
    for write in (tools.segment, tools.export, tools.close):
        server.add_tool(write, annotations=_WRITES)
    return server


async def _tell(context: Context, progress: Progress) -> None:
    await context.report_progress(progress.done, progress.total, stage_in_words(progress))


async def _aside(work: Callable[[], T]) -> T:
    """Work that needs no turn, in a thread of its own."""
    return await anyio.to_thread.run_sync(work)


def _job_answer(turn: Turn[answers.Segmented]) -> answers.JobAnswer:
    told = turn.job.info()
    if told.problem is not None and turn.problem is not None:
        told.problem.detail = turn.problem
    result = turn.answer() if told.state == "done" else None
    return answers.JobAnswer(**told.model_dump(), result=result)
