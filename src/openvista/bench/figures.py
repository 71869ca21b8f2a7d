"""What a benchmark says: seconds of every round, ratios with their spread, slopes, and the machine they hold for."""

import platform
import re
from importlib import metadata
from pathlib import Path

import psutil
import torch
from pydantic import BaseModel, ConfigDict

_FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_tile", "amx_bf16", "amx_int8")


class Figures(BaseModel):
    """Base of all parts of the result: frozen, and nothing unknown in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Ratio(Figures):
    """How many times as long the peer takes as ours, round by round.

    Attributes:
        ours, peer: which of the ways.
        median, least, most: over the rounds; above 1 ours is the faster one.
    """

    ours: str
    peer: str
    median: float
    least: float
    most: float


class TimedWork(Figures):
    """One kind of work.

    Attributes:
        part: what ``--only`` calls it.
        work: in words.
        seconds: of each round, by way.
        ratios: of every way of ours to every way of the peer.
    """

    part: str
    work: str
    seconds: dict[str, list[float]]
    ratios: list[Ratio]


class Slope(Figures):
    """Seconds as a straight line, by least squares.

    Attributes:
        way: whose seconds.
        against: of what: "classes", "million voxels" or "windows".
        sizes: where it was measured.
        seconds: median at each of them.
        per_unit: seconds more for one more.
        fixed: seconds at none.
    """

    way: str
    against: str
    sizes: list[float]
    seconds: list[float]
    per_unit: float
    fixed: float


class Agreement(Figures):
    """Share of the voxels with the same label as the peer's float32, on equal weights.

    Attributes:
        equal_choices: ours in float32 with the windows, weights and way back of the peer.
        as_it_runs: the same in the precision that is planned here.
        foreground: share of voxels that the peer labels.
    """

    equal_choices: float
    as_it_runs: float
    foreground: float


class Machine(Figures):
    """Where it ran.

    Attributes:
        cpu, cores, memory_gb: the processor, its logical cores, all memory.
        flags: instructions that matter, of those the processor has.
        device: what the networks ran on.
        threads: of torch.
        versions: of Python and packages.
    """

    cpu: str
    cores: int
    memory_gb: float
    flags: list[str]
    device: str
    threads: int
    versions: dict[str, str]


class BenchResult(Figures):
    """The whole result, as its JSON file holds it.

    Attributes:
        network: what ran: size and weights.
        rounds: of each row.
        rows, slopes, agreement: what was measured; empty where it was not asked for.
    """

    machine: Machine
    network: str
    rounds: int
    rows: list[TimedWork] = []
    slopes: list[Slope] = []
    agreement: Agreement | None = None


def describe_machine(device: torch.device) -> Machine:
    """This machine, and the device that networks run on."""
    described = Path("/proc/cpuinfo")
    text = described.read_text(errors="replace") if described.is_file() else ""
    named = re.search(r"model name\s*:\s*(.+)", text)
    listed = re.search(r"flags\s*:\s*(.+)", text)
    has = set(listed.group(1).split()) if listed else set()
    return Machine(
        cpu=named.group(1).strip() if named else platform.processor() or platform.machine(),
        cores=psutil.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        flags=[flag for flag in _FLAGS if flag in has],
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        threads=torch.get_num_threads(),
        versions={"python": platform.python_version()} | {name: metadata.version(name) for name in ("torch", "monai")},
    )
