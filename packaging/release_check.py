"""What must hold before a release: builds, installs into clean environments, runs outside the checkout.

    make release-check
    python packaging/release_check.py --python 3.10 3.12 --output dist

Wheel and source archive are built in isolation. For the Python that runs this, the wheel is installed with PyTorch and
segments the CT of examples/data; the licences of what came with it are looked at and listed (SBOM, CycloneDX). For
every other Python that is at hand, it is installed without PyTorch, whose builds take gigabytes (``--with-torch`` takes
them): dependencies resolve, every file compiles, and the commands that need no PyTorch run.
"""

import argparse
import compileall
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import asdict, dataclass, field
from importlib.metadata import PathDistribution
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CT = ROOT / "examples/data/head_neck_ct.nii.gz"
STRUCTURES = 7
"""That the starter names in that CT."""
VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
FREE = r"MIT|BSD|BSL|Apache|ISC|PSF|Python Software Foundation|MPL|Mozilla|LGPL|Lesser General|Unlicense|HPND|Zlib|CC0"
"""Licences of dependencies that a user of the core may rely on: none stronger than LGPL."""
STRONG = r"(?<!L)GPL|(?<!Lesser )General Public|Affero|Proprietary|NVIDIA"


class ReleaseError(Exception):
    """Something that must hold before a release does not."""


@dataclass
class Installed:
    """One clean environment."""

    python: str
    torch: bool
    megabytes: float
    packages: int


@dataclass
class Report:
    """What was found."""

    version: str
    wheel_megabytes: float
    source_megabytes: float
    source_sha256: str
    environments: list[Installed] = field(default_factory=list)
    missing_pythons: list[str] = field(default_factory=list)
    licences: dict[str, str] = field(default_factory=dict)


def run(*command: object, cwd: Path | None = None) -> str:
    """Standard output of a command that succeeds, run without the checkout on its path."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ReleaseError(f"{' '.join(words)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def built(output: Path) -> tuple[Path, Path]:
    """The wheel, built from the source archive, and that archive."""
    for old in [*output.glob("openvista-*.whl"), *output.glob("openvista-*.tar.gz")]:
        old.unlink()
    run(sys.executable, "-m", "build", "--outdir", output, ROOT)
    (wheel,), (source,) = output.glob("openvista-*.whl"), output.glob("openvista-*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, source)
    return wheel, source


def check_version(wheel: Path, source: Path) -> str:
    """The version of the wheel, which the source archive, the citation and the change log must name, too."""
    version = wheel.name.split("-")[1]
    with tarfile.open(source) as archive:
        inside = next(name for name in archive.getnames() if name.endswith("/_version.py"))
        stream = archive.extractfile(inside)
        text = stream.read().decode() if stream else ""
    said = {
        "_version.py": re.findall(r'__version__ = "(.+)"', text),
        "CITATION.cff": re.findall(r"^version: (\S+)", (ROOT / "CITATION.cff").read_text(), re.MULTILINE),
        "CHANGELOG.md": re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[:1],
    }
    for where, versions in said.items():
        if versions != [version]:
            raise ReleaseError(f"{where} says version {', '.join(versions) or 'nothing'}, the wheel {version}")
    return version


def interpreter(version: str) -> str | None:
    """A Python of this version: this one, one on the path, or one that pyenv has."""
    if version == OWN:
        return sys.executable
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for candidate in (*map(str, pyenv), shutil.which(f"python{version}")):
        if candidate is not None:
            asked = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
            answer = subprocess.run(asked, capture_output=True, text=True, check=False)
            if answer.stdout.strip() == version:
                return candidate
    return None


def clean_environment(python: str, folder: Path, wheel: Path, torch: bool) -> Path:
    """An environment with the wheel and what it needs; its Python."""
    run(python, "-m", "venv", folder)
    inside = folder / "bin/python"
    if torch:
        pinned = re.search(r"^torch==\S+", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
        run(inside, "-m", "pip", "install", "--quiet", pinned[0] if pinned else "torch")
        run(inside, "-m", "pip", "install", "--quiet", wheel)
        run(inside, "-m", "pip", "check")
    else:
        needed = [one for one in needs(wheel) if not one.startswith("torch")]
        run(inside, "-m", "pip", "install", "--quiet", *needed)
        run(inside, "-m", "pip", "install", "--quiet", "--no-deps", wheel)
    return inside


def needs(wheel: Path) -> list[str]:
    """What the core of the wheel depends on."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.unpack_archive(wheel, folder, "zip")
        metadata = PathDistribution(next(Path(folder).glob("*.dist-info")))
        return [one for one in metadata.requires or [] if "extra ==" not in one]


def check_runs(python: Path, folder: Path, version: str, torch: bool) -> None:
    """The installed command works in an empty folder."""
    folder.mkdir()
    command = python.with_name("openvista")
    if (said := run(command, "--version", cwd=folder).strip()) != f"openvista {version}":
        raise ReleaseError(f"{command} --version says {said!r}")
    run(command, "segment", "--help", cwd=folder)
    if "liver" not in run(command, "classes", cwd=folder):
        raise ReleaseError(f"{command} classes does not know the liver")
    package = run(python, "-c", "import openvista._version as v; print(v.__file__)", cwd=folder).strip()
    if not Path(package).is_relative_to(python.parents[1]):
        raise ReleaseError(f"the package comes from {package}, not from the environment")
    if not compileall.compile_dir(Path(package).parent, quiet=1):
        raise ReleaseError("not every file compiles")
    if torch:
        shutil.copy(CT, folder)
        run(command, "segment", CT.name, "-o", "out/", "--table", cwd=folder)
        found = (folder / "out" / CT.name.replace(".nii.gz", "_seg.csv")).read_text().splitlines()
        if len(found) != STRUCTURES + 1:
            raise ReleaseError(f"{len(found) - 1} structures in {CT.name}, not {STRUCTURES}")


def check_licences(python: Path, output: Path) -> dict[str, str]:
    """Licence by package, and a list of materials beside the wheel."""
    tools = Path(sys.executable)
    listed = json.loads(run(tools.with_name("pip-licenses"), f"--python={python}", "--format=json", "--from=mixed"))
    licences = {one["Name"]: one["License"] for one in listed if one["Name"] != "openvista"}
    wrong = [f"{name}: {said}" for name, said in licences.items() if not is_free(said)]
    if wrong:
        raise ReleaseError("licences that a core dependency may not have, or that are unknown: " + "; ".join(wrong))
    run(tools.with_name("cyclonedx-py"), "environment", "-o", output / "sbom.cdx.json", python)
    return licences


def is_free(licence: str) -> bool:
    """Whether all licences of a package are no stronger than LGPL; of alternatives, those of one."""

    def free(one: str) -> bool:
        return bool(re.search(FREE, one)) and not re.search(STRONG, one)

    return any(all(map(free, re.split(r"\bAND\b|;", choice))) for choice in re.split(r"\bOR\b", licence))


def megabytes(path: Path) -> float:
    """Of a file, or of what lies in a folder."""
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file() and not one.is_symlink()]
    return round(sum(one.stat().st_size for one in files) / 1e6, 1)


def conda_recipe(report: Report, output: Path) -> None:
    """The recipe with version and hash, for a feedstock."""
    text = (ROOT / "packaging/conda/recipe.yaml").read_text()
    text = text.replace("VERSION", report.version).replace("SHA256", report.source_sha256)
    (output / "recipe.yaml").write_text(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", nargs="+", default=VERSIONS, help="versions to install for, where they are at hand")
    parser.add_argument("--with-torch", action="store_true", help="install PyTorch for every version")
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    try:
        wheel, source = built(given.output)
        sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
        report = Report(check_version(wheel, source), megabytes(wheel), megabytes(source), sha256)
        print(f"{wheel.name}: {report.wheel_megabytes} MB, source {report.source_megabytes} MB", flush=True)
        for version in given.python:
            python = interpreter(version)
            if python is None:
                report.missing_pythons.append(version)
                print(f"Python {version}: not at hand, not checked", flush=True)
                continue
            torch = given.with_torch or version == OWN
            with tempfile.TemporaryDirectory() as folder:
                inside = clean_environment(python, Path(folder) / "environment", wheel, torch)
                check_runs(inside, Path(folder) / "empty", report.version, torch)
                if version == OWN:
                    report.licences = check_licences(inside, given.output)
                packages = len(json.loads(run(inside, "-m", "pip", "list", "--format=json")))
                size = megabytes(inside.parents[1])
                report.environments.append(Installed(version, torch, size, packages))
                with_torch = "with PyTorch" if torch else "without PyTorch"
                print(f"Python {version}, {with_torch}: {packages} packages, {size:.0f} MB, runs", flush=True)
    except ReleaseError as error:
        print(f"not ready for release: {error}", file=sys.stderr)
        return 1
    conda_recipe(report, given.output)
    (given.output / "release-check.json").write_text(json.dumps(asdict(report), indent=1) + "\n")
    print(f"licences: {', '.join(sorted(set(report.licences.values())))}")
    print(f"{given.output}: wheel, source archive, sbom.cdx.json, recipe.yaml, release-check.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
