"""How seconds grow with classes, voxels and windows: slopes of ours and of the peer."""

import statistics
import tempfile
from functools import partial
from pathlib import Path

from openvista.bench.contest import Contest, body_scan
from openvista.bench.figures import Slope
from openvista.bench.rounds import Stopwatch, Way, slope, take_turns
from openvista.inference.progress import Progress
from openvista.io import read_scan, write_scan

_LENGTHS = (1, 2, 3)
"""Of the longer scans, in those of the shortest."""


def scaling(contest: Contest, rounds: int) -> list[Slope]:
    """Slopes over classes (on the shortest scan) and over volume and windows (for all classes)."""
    side = contest.preset.window[0] * 3 // 2
    most = len(contest.class_ids)
    by_classes = [Volume(contest, side, classes) for classes in sorted({max(most // 4, 1), max(most // 2, 1), most})]
    by_length = [Volume(contest, side * length, most) for length in _LENGTHS]
    for volume in (*by_classes, *by_length):
        volume.measure(rounds)
    found = []
    for way in by_length[0].seconds:
        classes = [float(volume.classes) for volume in by_classes]
        found.append(slope(way, "classes", classes, [volume.seconds[way] for volume in by_classes]))
        seconds = [volume.seconds[way] for volume in by_length]
        found.append(slope(way, "million voxels", [volume.voxels / 1e6 for volume in by_length], seconds))
        found.append(slope(way, "windows", [float(volume.windows[way]) for volume in by_length], seconds))
    return found


class Volume:
    """A made-up CT of so many slices, asked for so many classes.

    Attributes:
        voxels: of the scan, which has the model's spacing.
        seconds, windows: median and number by way, once measured.
    """

    def __init__(self, contest: Contest, slices: int, classes: int) -> None:
        side = contest.preset.window[0] * 3 // 2
        self.contest, self.shape, self.classes = contest, (side, side, slices), classes
        self.voxels = side * side * slices
        self.seconds: dict[str, float] = {}
        self.windows: dict[str, int] = {}

    def measure(self, rounds: int) -> None:
        """All ways in turn."""
        contest, ids = self.contest, self.contest.class_ids[: self.classes]
        model, peer = contest.model(), contest.peer()
        with tempfile.TemporaryDirectory() as name:
            write_scan(body_scan(self.shape, contest.preset.spacing), path := Path(name) / "ct.nii.gz")

            def count(step: Progress) -> None:
                if step.stage == "encode":
                    self.windows["ours best"] = step.total

            def ours(watch: Stopwatch) -> None:
                with watch.timing("everything"):
                    model.segment(read_scan(path), ids, progress=count)

            def theirs(way: str, autocast: bool, watch: Stopwatch) -> None:
                before = peer.windows
                with watch.timing("everything"):
                    peer.segment(path, ids, autocast, None)
                self.windows[way] = peer.windows - before

            ways: dict[str, Way] = {way: partial(theirs, way, cast) for way, cast in contest.autocasts.items()}
            (row,) = take_turns("scaling", {**ways, "ours best": ours}, rounds, contest.device, warm=False)
        self.seconds = {way: statistics.median(seconds) for way, seconds in row.seconds.items()}
