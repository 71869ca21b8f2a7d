"""A scan of Slicer on an OpenVISTA server. Nothing here needs Slicer, Qt, VTK or PyTorch.

Places are RAS in mm, as in Slicer's world; arrays are [K, J, I], as ``slicer.util.arrayFromVolume`` has them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openvista.anatomy.codes import Code, codes_for
from openvista.client import Client, RemoteScan, RemoteSession
from openvista.errors import ServiceError

_SAME_MM = 1e-3
_CONTEXT = "Segmentation category and type - DICOM master list"
_REGIONS = "Anatomic codes - DICOM master list"


@dataclass(frozen=True)
class Segment:
    """An object as a segment.

    Attributes:
        name: of the object.
        colour: red, green, blue, 0..1.
        terminology: Slicer's text for it (category, type, region, with modifiers).
        mask_KJI: bool.
    """

    name: str
    colour: tuple[float, float, float]
    terminology: str
    mask_KJI: NDArray[np.bool_]


class ServedScan:
    """One volume and its session on a server.

    Args:
        url: of the server.
        token: its token, "" for none.
    """

    def __init__(self, url: str, token: str = "") -> None:
        self._client = Client(url, token or None)
        self._scan: RemoteScan | None = None
        self._session: RemoteSession | None = None

    def about(self) -> str:
        """Which models answer."""
        models = self._client.info()["models"]
        return ", ".join(str(model["name"]) for model in models)

    def class_names(self) -> list[str]:
        """What can be segmented by name."""
        return [one["name"] for one in self._client.classes()]

    def open(self, file: Path, affine: Sequence[Sequence[float]]) -> list[str]:
        """Send a volume that Slicer has written to a file.

        Args:
            file: NIfTI or NRRD.
            affine: 4x4, IJK to RAS mm of the volume.

        Returns:
            why it may not be a CT in HU.

        Raises:
            ServiceError: the server refuses it, or places it elsewhere than Slicer.
        """
        self.close()
        scan = self._client.upload(file)
        away = float(np.abs(np.asarray(scan.affine) - np.asarray(affine)).max())
        if away > _SAME_MM:
            self._client.remove(scan)
            raise ServiceError(f"{file.name}: the server places it {away:g} mm away; harden its transform first")
        self._scan, self._session = scan, self._client.open(scan)
        return list(scan.warnings)

    def close(self) -> None:
        """Take the scan from the server."""
        if self._scan is not None:
            self._client.remove(self._scan)
        self._scan = self._session = None

    # --- prompts ----------------------------------------------------------------------------------------------------

    def segment(self, names: Sequence[str], progress: Callable[[Any], None]) -> list[str]:
        """By class names; what the user should know."""
        self._opened().segment(list(names), progress)
        return self._opened().warnings

    def click(self, place_ras: Sequence[float], name: str, positive: bool) -> list[str]:
        """On the object of that name, which is made if there is none; what the user should know."""
        session = self._opened()
        session.click(self.voxel(place_ras), self._object(name), positive)
        return session.warnings

    def box(self, first_ras: Sequence[float], last_ras: Sequence[float], name: str) -> list[str]:
        """From corner to corner around an object; what the user should know."""
        session = self._opened()
        corners = np.array([self.voxel(first_ras), self.voxel(last_ras)])
        ends = np.clip(np.rint([corners.min(0), corners.max(0)]), 0, np.array(session.labels.shape) - 1).astype(int)
        session.box([(int(low), int(high) + 1) for low, high in ends.T], self._object(name))
        return session.warnings

    def undo(self) -> bool:
        """Take back the last prompt; False if there is none."""
        return self._opened().undo()

    # --- results ----------------------------------------------------------------------------------------------------

    def segments(self) -> list[Segment]:
        """All objects that are anywhere."""
        session = self._opened()
        labels_KJI = session.labels.transpose(2, 1, 0)
        listed = []
        for one in session.objects:
            mask_KJI = labels_KJI == one.id
            if mask_KJI.any():
                red, green, blue = (int(one.colour.lstrip("#")[at : at + 2], 16) / 255 for at in (0, 2, 4))
                listed.append(Segment(one.name, (red, green, blue), terminology(one.name), mask_KJI))
        return listed

    def voxel(self, place_ras: Sequence[float]) -> tuple[float, float, float]:
        """The place in voxels I, J, K.

        Raises:
            ServiceError: it is outside the volume.
        """
        if self._scan is None:
            raise ServiceError("no volume is open: choose one")
        i, j, k = (np.linalg.inv(self._scan.affine) @ [*place_ras, 1.0])[:3]
        if any(not -0.5 <= one < side - 0.5 for one, side in zip((i, j, k), self._scan.shape, strict=True)):
            raise ServiceError("this place is outside the volume: click on the CT")
        return float(i), float(j), float(k)

    def _opened(self) -> RemoteSession:
        if self._session is None:
            raise ServiceError("no volume is open: choose one")
        return self._session

    def _object(self, name: str) -> str | int:
        session = self._opened()
        for one in session.objects:
            if one.name == name:
                return one.id
        return name if name in self.class_names() else session.new_object(name).id


def terminology(name: str) -> str:
    """Slicer's text of a structure's codes: context, category, type, side, and where a lesion lies."""
    codes = codes_for(name)
    kind = "~".join([_CONTEXT, _coded(codes.category), _coded(codes.type), _coded(codes.side)])
    return "~".join([kind, _REGIONS, _coded(codes.region), _coded(codes.region_side)])


def _coded(code: Code | None) -> str:
    return "^^" if code is None else f"SCT^{code.value}^{code.meaning}"
