"""Imports go one way, and a light start stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import openvista

PACKAGE = Path(openvista.__file__).parent

LEVELS = [
    {"errors", "_version"},
    {"distributed", "geometry", "anatomy", "network", "prompts"},
    {"metrics", "simulate", "structures", "weights"},
    {"scan"},
    {"io", "prepare"},
    {"datalist", "inference", "report"},
    {"session", "train", "client"},
    {"model"},
    {"supervoxels", "cvpr", "serve"},
    {"evaluate"},
    {"cli", "__main__"},
]
EXCEPTIONS = {("scan.py", "io")}
"""``Segmentation.save`` writes itself."""
LEVEL = {part: index for index, level in enumerate(LEVELS) for part in level}


def imported_parts(file: Path) -> set[str]:
    """First part of every ``openvista.<part>`` a file imports, inside functions as well."""
    parts = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        parts |= {name.split(".")[1] for name in names if name.startswith("openvista.")}
    return parts


def part_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(file for file in PACKAGE.rglob("*.py") if file != PACKAGE / "__init__.py")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_never_go_up(file):
    own = part_of(file)
    assert own in LEVEL, f"{own} has no place in the order of imports"
    above = {part for part in imported_parts(file) if LEVEL[part] > LEVEL[own]}
    above -= {part for name, part in EXCEPTIONS if file == PACKAGE / name}
    assert not above


@pytest.mark.parametrize("package", ["monai", "matplotlib", "SimpleITK", "yaml", "skimage", "transformers"])
def test_optional_packages_are_imported_inside_functions_only(package):
    for file in FILES:
        for node in ast.parse(file.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert package not in {name.split(".")[0] for name in names}, file


def test_monai_is_never_imported_by_the_package():
    assert [file for file in FILES if "import monai" in file.read_text() or "from monai" in file.read_text()] == []


@pytest.mark.parametrize(
    "statement",
    [
        "import openvista",
        "from openvista.cli import main",
        "from openvista.anatomy import official_vocabulary; official_vocabulary().search('liv')",
        "from openvista.weights import available_models; available_models()",
    ],
)
def test_light_things_load_no_heavy_package(statement):
    code = f"{statement}; import sys; print([name for name in ('torch', 'nibabel', 'scipy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_files_and_functions_fit_a_reader():
    for file in FILES:
        source = file.read_text()
        assert len(source.splitlines()) <= 350, f"{file} has grown beyond one subject"
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 90, f"{file}: {node.name} does not fit a screen"
