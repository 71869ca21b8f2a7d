"""The parts of ``openvista bench``: what is done, by whom, and what of it is timed."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch

from openvista.bench.contest import Contest, body_scan, smooth_scan
from openvista.bench.figures import Agreement, TimedWork
from openvista.bench.peer import OVERLAP, Peer, PeersLearner
from openvista.bench.rounds import PEER, Stopwatch, Way, take_turns
from openvista.distributed import Ranks
from openvista.errors import OpenVistaError, needs_extra
from openvista.inference.device import training_precision
from openvista.inference.profiles import BUNDLE
from openvista.io import read_scan, write_scan
from openvista.model import Model
from openvista.network import VISTA3D
from openvista.prompts import Click
from openvista.scan import Scan
from openvista.train.learner import Learner
from openvista.train.recipe import Recipe
from openvista.train.samples import ClassPrompts, Sample
from openvista.weights.store import save_model

AS_THE_PEER = BUNDLE.override(overlap=OVERLAP, weighting="constant")
"""The choices of ours that give the peer's labels."""
PATCHES, TRAINED_CLASSES, TRAINING_WINDOW = 2, 8, 64
"""Of a training step: windows, classes asked of each, voxels per axis (96 for networks of 48 filters and more)."""


def time_window(contest: Contest, rounds: int) -> list[TimedWork]:
    """One window through the network, asked for one class; logits on the device."""
    generator = torch.Generator().manual_seed(0)
    window_XYZ = torch.rand(contest.preset.window, generator=generator).to(contest.device)
    model, peer, ids = contest.model(), contest.peer(), [contest.class_ids[0]]
    embeddings_KC = model.network.embeddings(ids)

    def ours(watch: Stopwatch) -> None:
        with watch.timing("one window, one class"):
            model.network.logits(embeddings_KC, window_XYZ)

    def theirs(autocast: bool, watch: Stopwatch) -> None:
        with watch.timing("one window, one class"):
            peer.window(window_XYZ, ids, autocast)

    peers = {name: partial(theirs, autocast) for name, autocast in contest.autocasts.items()}
    return take_turns("window", {**peers, "ours": ours}, rounds, contest.device)


def time_everything(contest: Contest, rounds: int) -> list[TimedWork]:
    """A file with a made-up CT to a file with its labels, all steps from reading to writing."""
    with tempfile.TemporaryDirectory() as name:
        folder, model, peer = Path(name), contest.model(), contest.peer()
        scan = body_scan(contest.sizes.shape, contest.sizes.spacing)
        write_scan(scan, path := folder / "ct.nii.gz")
        work = f"{len(contest.class_ids)} classes in {'×'.join(map(str, scan.grid.shape))} voxels"

        def ours(profile: str, watch: Stopwatch) -> None:
            with watch.timing(work):
                model.segment(read_scan(path), contest.class_ids, profile=profile).save(folder / "ours.nii.gz")

        def theirs(autocast: bool, watch: Stopwatch) -> None:
            with watch.timing(work):
                peer.segment(path, contest.class_ids, autocast, folder)

        ways: dict[str, Way] = {f"ours {profile}": partial(ours, profile) for profile in ("best", "fast")}
        ways |= {name: partial(theirs, autocast) for name, autocast in contest.autocasts.items()}
        _warm(contest, model, peer)
        return take_turns("everything", ways, rounds, contest.device, warm=False)


def _warm(contest: Contest, model: Model, peer: Peer) -> None:
    """One window of each way: warming up with a whole scan would take as long as a round."""
    window_XYZ = torch.zeros(contest.preset.window)
    model.network.features(window_XYZ)
    for autocast in contest.autocasts.values():
        peer.window(window_XYZ, contest.class_ids[:1], autocast)


def agreement(contest: Contest) -> Agreement:
    """Labels of a scan of two windows per axis, ours and the peer's, which computes in float32."""
    side = round(contest.preset.window[0] * 1.5)
    scan = smooth_scan((side,) * 3, contest.preset.spacing)
    with tempfile.TemporaryDirectory() as name:
        write_scan(scan, path := Path(name) / "ct.nii.gz")
        theirs = contest.peer().segment(path, contest.class_ids, False, None)
        exact, planned = (
            contest.model(precision).segment(read_scan(path), contest.class_ids, profile=AS_THE_PEER).labels
            for precision in ("float32", "auto")
        )
    return Agreement(
        equal_choices=float(np.mean(exact == theirs)),
        as_it_runs=float(np.mean(planned == theirs)),
        foreground=float(np.mean(theirs > 0)),
    )


FIRST, NEXT = "first click in a window", "next click in it"


def time_clicks(contest: Contest, rounds: int) -> list[TimedWork]:
    """Two clicks on one object, ours up to its finished mask; the peer's windows alone."""
    model, scan, clicks = contest.model(), _clicked_scan(contest), _clicks(contest)

    def ours(watch: Stopwatch) -> None:
        session = model.open(scan)
        session.open_scan.prepared  # noqa: B018 both begin with the prepared image
        target = session.new_object("object")
        for work, click in zip((FIRST, NEXT), clicks, strict=True):
            with watch.timing(work):
                session.clicks([click], target, grow=False)

    return take_turns("click", {**_peers_clicks(contest, model, scan), "ours": ours}, rounds, contest.device)


def time_server(contest: Contest, rounds: int) -> list[TimedWork]:
    """The same clicks through :mod:`openvista.client` and a server on this machine; the peer has no server between."""
    with needs_extra("httpx", "bench", "ask a server"):
        from openvista.client import Client
    model, scan, clicks = contest.model(), _clicked_scan(contest), _clicks(contest)
    peers = _peers_clicks(contest, model, scan)
    with tempfile.TemporaryDirectory() as name, _server(contest, Path(name)) as url, Client(url) as client:
        write_scan(scan, path := Path(name) / "ct.nii.gz")
        uploaded = client.upload(path)

        def ours(watch: Stopwatch) -> None:
            session = client.open(uploaded)
            target = session.new_object("object")
            for work, click in zip((FIRST, NEXT), clicks, strict=True):
                with watch.timing(f"{work}, over HTTP"):
                    session.click(click.voxel, target, grow=False)

        def theirs(way: Way, watch: Stopwatch) -> None:
            inner = Stopwatch(watch.device)
            way(inner)
            watch.seconds |= {f"{work}, over HTTP": seconds for work, seconds in inner.seconds.items()}

        ways = {f"{each} without server": partial(theirs, way) for each, way in peers.items()}
        return take_turns("server", {**ways, "ours over HTTP": ours}, rounds, contest.device)


def _clicked_scan(contest: Contest) -> Scan:
    """A quarter larger than a window."""
    side = contest.preset.window[0]
    return smooth_scan((side + side // 4,) * 3, contest.preset.spacing)


def _clicks(contest: Contest) -> list[Click]:
    """Two in one window."""
    middle = contest.preset.window[0] // 2
    return [Click((middle, middle, middle)), Click((middle + 3, middle - 2, middle))]


def _peers_clicks(contest: Contest, model: Model, scan: Scan) -> dict[str, Way]:
    peer, clicks = contest.peer(), _clicks(contest)
    image_XYZ = model.open(scan).open_scan.prepared.image_XYZ

    def theirs(autocast: bool, watch: Stopwatch) -> None:
        for count, work in enumerate((FIRST, NEXT), start=1):
            with watch.timing(work):
                peer.click(image_XYZ, clicks[:count], autocast)

    return {name: partial(theirs, autocast) for name, autocast in contest.autocasts.items()}


@contextmanager
def _server(contest: Contest, folder: Path) -> Iterator[str]:
    """The address of ``openvista serve`` with the contest's weights."""
    with needs_extra("fastapi", "bench", "serve"):
        import fastapi  # noqa: F401
    model = save_model(contest.network(), contest.card, folder / "model", torch.float32).path
    command = [sys.executable, "-m", "openvista", "serve", "--quiet", "--port", "0"]
    command += ["--model", str(model), "--state", str(folder / "state"), "--device", contest.device.type]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert started.stdout is not None
        line = started.stdout.readline()
        if " at " not in line:
            raise OpenVistaError(f"the server did not start: {line.strip() or 'it said nothing'}")
        yield line.split(" at ")[1].strip().rstrip("/")
    finally:
        started.terminate()
        started.wait()


def time_training(contest: Contest, rounds: int) -> list[TimedWork]:
    """A step: forward, Dice and cross-entropy, backward, clipping, AdamW; no preparing of data."""
    recipe = training_recipe(contest)
    images_NXYZ, ids_K, targets_NKXYZ = training_batch(contest)
    dtype = getattr(torch, training_precision(contest.device))
    ours = OurSteps(contest, recipe, dtype)
    learner = PeersLearner(contest.peers_network(), recipe.learning_rate, recipe.weight_decay, recipe.gradient_clip)
    work = f"a step on {PATCHES} windows of {images_NXYZ.shape[1]}³, {TRAINED_CLASSES} classes"

    def own(watch: Stopwatch) -> None:
        with watch.timing(work):
            ours.step(images_NXYZ, ids_K, targets_NKXYZ)

    def theirs(precision: torch.dtype, watch: Stopwatch) -> None:
        with watch.timing(work):
            learner.step(images_NXYZ, ids_K, targets_NKXYZ, precision)

    precisions = {"peer float32": torch.float32} | ({} if dtype == torch.float32 else {"peer autocast": dtype})
    peers = {name: partial(theirs, precision) for name, precision in precisions.items()}
    return take_turns("training", {**peers, "ours": own}, rounds, contest.device)


class OurSteps:
    """Steps of ``openvista train``, on patches that are given.

    Args:
        contest: gives weights and device.
        recipe: the constants.
        precision: of autocast; float32 for none.
    """

    def __init__(self, contest: Contest, recipe: Recipe, precision: torch.dtype) -> None:
        network = contest.network().train().to(contest.device)
        network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        named = recipe.model_copy(update={"precision": str(precision).removeprefix("torch.")})
        self.learner, self.recipe = Learner(network, named, Ranks(device=contest.device)), recipe

    def step(self, images_NXYZ: torch.Tensor, ids_K: torch.Tensor, targets_NKXYZ: torch.Tensor) -> float:
        """Learn from N windows that are asked for the same classes; returns the mean loss."""
        samples = []
        for image_XYZ, targets_KXYZ in zip(images_NXYZ, targets_NKXYZ, strict=True):
            known_KXYZ, weights_K = torch.ones_like(targets_KXYZ), torch.ones(len(ids_K))
            prompts = ClassPrompts(ids_K, targets_KXYZ, known_KXYZ, weights_K)
            samples.append(Sample("made-up", image_XYZ, prompts, None))
        return self.learner.step([samples], self.recipe.learning_rate, 0).loss


def training_recipe(contest: Contest) -> Recipe:
    """The defaults of ``openvista train`` without the averaging of weights, which the peer does not have."""
    classes = {class_id: class_id for class_id in contest.class_ids[:TRAINED_CLASSES]}
    chosen = {"datalist": Path("none.json"), "classes": classes, "average_decay": 0, "augmentation": {"mirror": False}}
    return Recipe.model_validate(chosen)


def training_batch(contest: Contest) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images [N, X, Y, Z] of 0..1, class ids [K], and a tenth of the voxels at random as the truth of each."""
    side = min(contest.preset.window[0], TRAINING_WINDOW if contest.preset.filters < VISTA3D.filters else 96)
    generator = torch.Generator().manual_seed(0)
    images_NXYZ = torch.rand((PATCHES, side, side, side), generator=generator)
    ids_K = torch.tensor(contest.class_ids[:TRAINED_CLASSES])
    targets_NKXYZ = torch.rand((PATCHES, len(ids_K), side, side, side), generator=generator) > 0.9
    return images_NXYZ, ids_K, targets_NKXYZ


def time_start(contest: Contest, rounds: int) -> list[TimedWork]:
    """A cold start of the command line and of the package, each in a process of its own."""
    commands = {
        "the command line's help": {
            "ours": ["-m", "openvista", "--help"],
            f"{PEER} (monai.bundle)": ["-m", "monai.bundle", "--help"],
        },
        "import of what segments": {
            "ours": ["-c", "from openvista import load_model, read_scan"],
            f"{PEER} (monai.bundle)": ["-c", "import monai.bundle"],
        },
    }

    def way(name: str, watch: Stopwatch) -> None:
        for work, by_way in commands.items():
            with watch.timing(work):
                subprocess.run([sys.executable, *by_way[name]], check=True, capture_output=True)

    ways = {name: partial(way, name) for name in commands["import of what segments"]}
    return take_turns("start", ways, rounds, contest.device)


PARTS: Mapping[str, Callable[[Contest, int], list[TimedWork]]] = {
    "window": time_window,
    "everything": time_everything,
    "click": time_clicks,
    "training": time_training,
    "start": time_start,
    "server": time_server,
}
"""What ``--only`` may name, but for "agreement" and "scaling"."""
