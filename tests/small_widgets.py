"""A browser for widgets, without a browser: it keeps what ipyniivue's front end keeps, from the same messages."""

import gzip
from typing import Any

import nibabel as nib
import numpy as np
from comm.base_comm import BaseComm
from ipywidgets import Widget
from ipywidgets.widgets.widget import _put_buffers


class Browser:
    """What a browser has of the widgets of this process.

    Attributes:
        states: of all widgets, by model id.
        voxels: of volumes that have loaded, by model id; in the order of the file.
        received: bytes of voxels that came after a volume had loaded.
    """

    def __init__(self) -> None:
        self.states: dict[str, dict[str, Any]] = {}
        self.voxels: dict[str, np.ndarray] = {}
        self.received = 0

    def create_comm(self, **given: Any) -> BaseComm:
        """What a kernel would give to a new widget."""
        return _Wire(self, **given)

    def load(self, picture: Widget) -> None:
        """Draw a picture: its volumes are read, and the kernel is told so."""
        for volume in picture.volumes:
            image = nib.Nifti1Image.from_bytes(gzip.decompress(self.states[volume.model_id]["data"]))
            voxels = np.asarray(image.dataobj).ravel(order="F").copy()
            self.voxels[volume.model_id] = voxels
            self.say(volume, {"method": "update", "state": {"hdr": {"littleEndian": True}}})
            chunk = {"chunk_index": 0, "total_chunks": 1, "data_type": str(voxels.dtype), "chunk": voxels.data}
            self.say(volume, {"method": "update", "state": {"chunk_img_0": chunk}})
            self.event(picture, "image_loaded", {"id": volume.id})

    def load_again(self, picture: Widget) -> None:
        """Forget everything and ask the kernel, as a page that is loaded again does."""
        self.voxels.clear()
        for volume in picture.volumes:
            self.states[volume.model_id] = volume.get_state()
        self.load(picture)

    def event(self, picture: Widget, name: str, data: dict[str, Any]) -> None:
        """Something that the mouse did, or NiiVue."""
        self.say(picture, {"method": "custom", "content": {"event": name, "data": data}})

    def point(self, picture: Widget, place_mm: np.ndarray, *, plane: bool = True, dragging: bool = False) -> None:
        """Press and let go over a place of a plane; or over the 3D view, whose places NiiVue does not tell."""
        if plane:
            self.event(picture, "location_change", {"mm": [*place_mm.tolist(), 1.0]})
        place = dict.fromkeys("012", 0.5) if plane else [-1, -1, -1]
        self.event(picture, "mouse_up", {"is_dragging": dragging, "mouse_pos": [9, 9], "frac_pos": place})

    def say(self, widget: Widget, data: dict[str, Any]) -> None:
        """A message to the kernel."""
        widget.comm.handle_msg({"content": {"data": data}, "buffers": []})

    def hear(self, model_id: str, data: dict[str, Any], buffers: list[Any]) -> None:
        """A message from the kernel."""
        if "state" in data:
            _put_buffers(data["state"], data.get("buffer_paths", []), buffers)
            self.states.setdefault(model_id, {}).update(data["state"])
        elif data.get("method") == "custom" and model_id in self.voxels:
            assert data["content"]["type"] == "buffer_update"
            what = data["content"]["data"]
            assert (what["attr"], what["type"]) == ("img", str(self.voxels[model_id].dtype))
            places, values = np.frombuffer(buffers[0], "uint32"), np.frombuffer(buffers[1], what["type"])
            self.voxels[model_id][places] = values
            self.received += places.nbytes + values.nbytes


class _Wire(BaseComm):
    def __init__(self, browser: Browser, **given: Any) -> None:
        self._browser = browser
        super().__init__(**given)

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
    ) -> None:
        if data:
            self._browser.hear(self.comm_id, dict(data), buffers or [])
