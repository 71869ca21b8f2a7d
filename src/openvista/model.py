"""Model: weights loaded once, ready to segment scans. What users of the library hold in their hands."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from openvista._version import __version__
from openvista.anatomy.ctmr import FAMILY, known_modality, unseen
from openvista.anatomy.vocabulary import ClassItem
from openvista.errors import ModelError
from openvista.geometry.box import Box
from openvista.geometry.grid import Grid
from openvista.geometry.resample import are_parallel, bytes_to_resample
from openvista.inference.automatic import prepare_scan, segment_scan
from openvista.inference.class_maps import empty_class_maps
from openvista.inference.device import Compute, plan_compute
from openvista.inference.profiles import Profile, find_profile
from openvista.inference.progress import Report, silent
from openvista.inference.target import Target, nearest_on
from openvista.inference.window_network import WindowNetwork
from openvista.memory import retain_heap
from openvista.network import Vista3D
from openvista.pipeline import Room
from openvista.prepare import PreparedScan, model_grid
from openvista.scan import Scan, Segmentation
from openvista.structures import StructureRow
from openvista.weights import ModelCard, find_model
from openvista.weights.store import fingerprint, load_network

if TYPE_CHECKING:
    from openvista.session.open_scan import SessionModel
    from openvista.session.session import Session


class Model:
    """A network with its card, on one device.

    Args:
        network: with its weights, float32; it is taken over and may be converted in place.
        card: what it knows.
        compute: device and precision, from :func:`openvista.inference.device.plan_compute`.
        modality: what "all" is for, of a model for CT and MR, see :func:`load_model`.

    Attributes:
        card: name, classes, licence, origin.
        vocabulary: the classes it knows, by any of their names.
        modality: of the images that it is asked about: "CT", or as given; ``None`` where nobody said.
    """

    def __init__(self, network: Vista3D, card: ModelCard, compute: Compute, modality: str | None = None) -> None:
        self.card = card
        self.vocabulary = card.vocabulary(modality)
        self.modality = "CT" if card.family != FAMILY else modality and known_modality(modality)
        self.network = _ready(network, card, compute)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.network.compute.device

    def segment(
        self,
        scan: Scan | PreparedScan,
        classes: ClassItem | Iterable[ClassItem] | None = None,
        *,
        profile: str | Profile = "best",
        mode: str | None = None,
        overlap: float | None = None,
        weighting: str | None = None,
        skip_air: bool | None = None,
        class_maps: str | None = None,
        grid: Grid | None = None,
        region: Box | None = None,
        progress: Report = silent,
    ) -> Segmentation:
        """Find structures in a scan.

        Args:
            scan: HU on its own grid; any orientation and spacing, smaller than a window or of one slice as well. Or
                what :meth:`prepare` made of it for the same profile.
            classes: names, aliases and ids, groups among them ("lung"); ``None`` for every class that the model knows
                and that does not overlap others.
            profile: ``"best"``, ``"fast"``, ``"bundle"``, ``"research"`` or your own; see
                :mod:`openvista.inference.profiles`.
            mode, overlap, weighting, skip_air: override the profile's choice where given.
            class_maps: "probabilities" or "logits" of every class, too, as ``class_maps`` of the result; on disk (a
                byte, or two, per class and voxel in the folder for temporary files) until nobody uses them any more.
            grid: that the result, its maps and its ``scan`` shall lie on; ``None`` for the scan's own. Structures are
                decided on it; if its axes are turned against the scan's, they are those of the scan's nearest voxel.
            region: voxels of the scan that are looked at, which takes fewer windows; elsewhere nothing is found.
            progress: called after every step.

        Returns:
            Ids on the grid, with names, colours, and what it takes to make it again. A class that is not there has no
            voxels. Ids are uint8 if they fit, else uint16; always uint16 from a model for CT and MR.

        Raises:
            AnatomyError: a class that nobody, or this model, knows.
            InputError: a choice that does not exist.
            GridError: the grid, or the region, lies outside the scan.
            ModelError: the model answers no class prompts.
            OutputError: there is no room for the class maps.
            DeviceError: the GPU is too small for a single window.
        """
        if "automatic" not in self.card.branches:
            raise ModelError(f"model {self.card.name!r} answers clicks only, not class prompts; choose another model")
        chosen = find_profile(profile).override(mode=mode, overlap=overlap, weighting=weighting, skip_air=skip_air)
        scan, prepared = (scan.scan, scan.prepared) if isinstance(scan, PreparedScan) else (scan, None)
        ids = self.vocabulary.expand(classes)
        names = {class_id: self.vocabulary.name(class_id) for class_id in ids}
        turned = grid is not None and not are_parallel(scan.grid, grid)
        target = Target.of(scan, None if grid is None or turned or grid.matches(scan.grid) else grid, region)
        seen = target.seen_scan()
        maps = None if class_maps is None else empty_class_maps(class_maps, seen, names)
        labels = segment_scan(self.network, target, ids, chosen, progress, self.card.one_piece_ids, maps, prepared)
        looked_at = None if target.box == Box.whole(seen.grid.shape) else target.box
        judge = self.card.plausibility
        result = Segmentation(
            labels=labels.astype(np.uint16, copy=False) if self.card.family == FAMILY else labels,
            grid=seen.grid,
            names=names,
            colours={class_id: self.vocabulary.colour(class_id) for class_id in ids},
            scan=seen,
            provenance=self._provenance(ids, chosen) | ({} if region is None else {"region": [*region]}),
            class_maps=maps,
            looked_at=looked_at,
            unlikely=None if judge is None else judge.unlikely(labels, seen.grid, seen.voxels, looked_at),
        )
        return nearest_on(result, grid) if grid is not None and turned else result

    def prepare(self, scan: Scan, profile: str | Profile, room: Room) -> Scan | PreparedScan:
        """The first step of :meth:`segment`, on the host, for the thread that reads while another scan is segmented.

        Args:
            scan: HU on its own grid.
            profile: as for :meth:`segment`.
            room: what it asks for the memory; without it the scan stays as it is.

        Raises:
            GridError: the scan is too large for this machine at the model's spacing.
        """
        chosen = find_profile(profile)
        target = model_grid(scan.grid, self.network.network.preset.spacing, chosen.orient_first)
        if not room.allows(bytes_to_resample(scan.grid, target)):
            return scan
        return PreparedScan(scan, prepare_scan(self.network, scan, chosen))

    def region_warning(self, asked: Iterable[int], rows: Iterable[StructureRow]) -> str | None:
        """One line if a scan shows nothing that the model knows; ``None`` if it does, or not everything was asked for.

        Args:
            asked: class ids that were looked for.
            rows: what was found, by class id, as in :meth:`Segmentation.table`.
        """
        found = [row for row in rows if row.voxels]
        judge = self.card.plausibility
        shown = bool(found)
        if judge is not None:
            unlikely = {row.id for row in found if row.unlikely}
            shown = judge.shows({row.id: row.volume_ml for row in found}, unlikely)
        everything = set(self.vocabulary.everything)
        if shown or not everything or not everything <= set(asked):
            return None
        what = "nothing was found that looks as in training" if found else "nothing was found"
        return f"{what}: does the scan show the part of the body that model {self.card.name!r} knows?"

    def unseen_warning(self, asked: Iterable[int]) -> str | None:
        """One line if no image of this modality had some of the classes in training; ``None`` else, and for CT models.

        Args:
            asked: class ids that will be looked for.
        """
        if self.card.family != FAMILY or self.modality is None:
            return None
        names = [self.vocabulary.name(class_id) for class_id in unseen(asked, self.modality)]
        if not names:
            return None
        kind, more = self.modality.partition("_")[0], f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f"no {kind} of the training had {', '.join(names[:3])}{more}: do not expect much"

    def open(
        self,
        scan: Scan,
        session: str | Path | None = None,
        *,
        profile: str | Profile = "best",
        feature_budget: int | None = None,
    ) -> "Session":
        """A session on a scan: clicks, corrections, undo. Nothing is computed before it is asked for.

        Args:
            scan: HU on its own grid.
            session: a session file to go on with; it brings its own profile.
            profile: as for :meth:`segment`; it also says whether clicks grow.
            feature_budget: bytes of whole-scan features that may be kept in memory, half of what is free if ``None``;
                more go to disk.

        Raises:
            SessionError: the file is damaged, or belongs to another scan or model.
            InputError: no such profile.
        """
        from openvista.io.session_file import read_session
        from openvista.session.session import Session  # not needed, and not loaded, for automatic segmentation

        if session is not None:
            return Session.restored(read_session(session), self._for_sessions, scan, feature_budget)
        return Session(self._for_sessions, scan, find_profile(profile), feature_budget)

    @cached_property
    def _for_sessions(self) -> "SessionModel":
        from openvista.session.click_engine import PointNetwork
        from openvista.session.open_scan import SessionModel

        return SessionModel(
            name=self.card.name,
            fingerprint=self.card.weights_sha256 or fingerprint(self.network.network),
            preset=self.network.network.preset,
            vocabulary=self.vocabulary,
            one_piece_ids=self.card.one_piece_ids,
            storage_dtype=self.network.compute.storage_dtype,
            automatic=self.network if "automatic" in self.card.branches else None,
            clicks=PointNetwork(self.network) if "point" in self.card.branches else None,
            plausibility=self.card.plausibility,
            precision=str(self.network.compute),
            device=str(self.network.compute.device),
        )

    def _provenance(self, ids: list[int], profile: Profile) -> dict[str, object]:
        return {
            "model": self.card.name,
            "weights_sha256": self.card.weights_sha256,
            "profile": profile.name,
            "mode": profile.mode,
            "overlap": profile.overlap,
            "placement": profile.placement,
            "weighting": profile.weighting,
            "skip_air": profile.skip_air,
            "padding": profile.padding,
            "drop_strays": profile.drop_strays,
            "everywhere": profile.everywhere,
            "precision": str(self.network.compute),
            **({} if self.modality == "CT" else {"modality": self.modality}),
            "version": __version__,
            "prompts": {"classes": list(ids)},
        }


def load_model(
    name_or_path: str | Path = "starter", device: str = "auto", precision: str = "auto", modality: str | None = None
) -> Model:
    """A model by name or by the path of its folder, with its weights loaded.

    Args:
        name_or_path: what :func:`openvista.weights.find_model` finds; the starter comes with the package. A checkpoint
            file of any known naming (``model.pt``) is taken as it is, and converted in memory.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
        precision: ``"auto"``, ``"float32"`` (compute and store), ``"bfloat16"``, ``"float16"``, or ``"int8"`` where
            somebody has calibrated the model (``openvista models calibrate``).
        modality: for a model of family "ctmr", which images it will see: "CT_BODY", "MRI_BODY" or "MRI_BRAIN". It says
            what "all" is; named classes do without.

    On a CPU this also makes the process keep freed memory (:func:`openvista.memory.retain_heap`).

    Raises:
        ModelError: there is no such model; the message says how to get it.
        WeightsError: its weights are damaged.
        DeviceError: this machine has no such device or precision.
        InputError: there is no such modality.
    """
    compute = plan_compute(device, precision)  # first: a wrong device should not cost reading the weights
    if compute.device.type == "cpu":
        retain_heap()
    folder = find_model(name_or_path)
    folder.card.vocabulary(modality)  # refuses a modality before the weights are read
    return Model(load_network(folder), folder.card, compute, modality)


def _ready(network: Vista3D, card: ModelCard, compute: Compute) -> WindowNetwork:
    if not compute.int8:
        return WindowNetwork(network, compute)
    from openvista.inference.eight_bit import EightBitWindows, eight_bit_file  # an extra that few have

    return EightBitWindows(network, compute, eight_bit_file(card))
