"""Scans, segmentations and sessions in a notebook: Jupyter widgets, drawn by NiiVue. Needs the extra ``notebook``.

In the order of reading: ``viewer`` (a scan with its structures), ``clicking`` (the same for a session: clicks, undo),
``niivue`` (what is sent to the browser, and what comes back).
"""

from typing import TYPE_CHECKING

from openvista.errors import needs_extra
from openvista.scan import Scan, Segmentation

if TYPE_CHECKING:
    from openvista.widgets.clicking import ClickSession, SessionViewer
    from openvista.widgets.viewer import Viewer

_PURPOSE = "look at scans in a notebook"
HEIGHT = 480
"""Of the picture, in pixels."""


def view(scan: Scan, segmentation: Segmentation | None = None, *, height: int = HEIGHT) -> "Viewer":
    """A widget that shows a scan in three planes and in 3D, with a list and a table of structures.

    It is the last line of a cell, or goes to ``display``. Everything stays between kernel and browser: nothing is
    fetched from elsewhere.

    Args:
        scan: HU on its own grid.
        segmentation: on the grid of the scan.
        height: of the picture, in pixels.

    Raises:
        GridError: the segmentation lies on another grid.
        MissingExtraError: ipyniivue is not installed.
    """
    with needs_extra("ipyniivue", "notebook", _PURPOSE):
        from openvista.widgets.viewer import Viewer

    return Viewer(scan, segmentation, height)


def view_session(session: "ClickSession", height: int | None = None) -> "SessionViewer":
    """The same for a session, with clicks and undo: :meth:`openvista.Session.view`.

    Raises:
        MissingExtraError: ipyniivue is not installed.
    """
    with needs_extra("ipyniivue", "notebook", _PURPOSE):
        from openvista.widgets.clicking import SessionViewer

    return SessionViewer(session, height or HEIGHT)
