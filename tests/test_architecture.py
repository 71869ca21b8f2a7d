"""The house rules that a reader relies on: imports go one way, files and functions fit, a light start stays light.

docs/architecture.md explains the layers. Exceptions stand here with their reasons; the lists may only get shorter.
"""

import ast
import subprocess
import sys
from collections import Counter
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import openvista

PACKAGE = Path(openvista.__file__).parent
TESTS = Path(__file__).parent
BENCHMARKS = TESTS.parent / "benchmarks"

LAYERS = [
    {"errors", "_version"},
    {"geometry", "anatomy", "network", "prompts", "distributed", "memory", "pipeline"},
    {"metrics", "simulate", "structures", "plausibility", "weights", "dicom_slices"},
    {"scan"},
    {"io", "prepare"},
    {"datalist", "inference", "report", "synthesis"},
    {"session", "train", "client"},
    {"model"},
    {"supervoxels", "cvpr", "serve", "bundle", "pacs", "cohort", "agents", "widgets"},
    {"evaluate", "bench"},
    {"cli", "__main__"},
]
LAYER = {part: index for index, layer in enumerate(LAYERS) for part in layer}
UPWARD = {("scan", "io"), ("session.session", "widgets")}
"""``Segmentation.save`` writes itself, so that users need not know ``io``; so does ``Session.view`` show itself."""

FILE_ACCESS = {
    ("inference", "io.scratch"): "features that do not fit into memory go to a temporary file",
    ("session", "io.session_file"): "Session.save writes one file",
}
WITHOUT_TORCH = ["geometry.grid", "geometry.box", "session.state", "session.history", "session.drawing"]


def module_of(file: Path) -> str:
    """The dotted name of a file below the package: "io.read"; "" for the package itself."""
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip(".")


FILES = {module_of(file): file for file in sorted(PACKAGE.rglob("*.py"))}


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def imports_of(file: Path) -> frozenset[tuple[str, str]]:
    """(module, name) of every import of ours in a file, those inside functions and for type checkers too."""
    found = set()
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "openvista":
            source = node.module.removeprefix("openvista").lstrip(".")
            for alias in node.names:
                inner = f"{source}.{alias.name}".lstrip(".")
                found.add((inner, "") if inner in FILES else (source, alias.name))
        elif isinstance(node, ast.Import):
            ours = [
                alias.name.removeprefix("openvista.") for alias in node.names if alias.name.startswith("openvista.")
            ]
            found |= {(name, "") for name in ours}
    return frozenset(found)


def part_of(module: str) -> str:
    return module.split(".")[0]


@pytest.mark.parametrize("module", sorted(FILES.keys() - {""}))
def test_imports_go_one_way(module):
    own = part_of(module)
    assert own in LAYER, f"{own} has no place in the order of imports"
    parts = {part_of(source) for source, _ in imports_of(FILES[module])} - {""}
    assert {part for part in parts if LAYER[part] > LAYER[own] and (module, part) not in UPWARD} == set()


def test_no_files_import_each_other_in_a_circle():
    """But for ``scan`` and ``io``; whoever imports a package imports all that its ``__init__`` imports."""
    graph = {module: {source for source, _ in imports_of(file)} - {module, ""} for module, file in FILES.items()}
    while leaves := {module for module, sources in graph.items() if not sources & graph.keys()}:
        for module in leaves:
            del graph[module]
    in_circles = {
        module for module in graph if module in reachable(graph, module) and part_of(module) not in ("scan", "io")
    }
    assert in_circles == set()


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        for module in graph.get(ahead.pop(), set()) - seen:
            seen.add(module)
            ahead.append(module)
    return seen


@pytest.mark.parametrize("script", sorted(BENCHMARKS.rglob("*.py")), ids=lambda script: script.stem)
def test_benchmarks_import_names_that_exist(script):
    """Nothing else notices when a name that a published number's command needs has changed."""
    for source, name in imports_of(script):
        module = import_module(f"openvista.{source}".rstrip("."))
        assert not name or hasattr(module, name), f"openvista.{source} has no {name}"


def test_the_network_imports_torch_and_itself_only():
    for module, file in FILES.items():
        if part_of(module) == "network":
            assert {part_of(source) for source, _ in imports_of(file)} <= {"network", "errors"}, module


def test_inference_and_sessions_open_no_files():
    used = {
        (part_of(module), source)
        for module, file in FILES.items()
        for source, _ in imports_of(file)
        if part_of(module) in ("inference", "session") and part_of(source) == "io"
    }
    assert used == FILE_ACCESS.keys()


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_plain_values_load_without_torch(module):
    assert loaded_by(f"import openvista.{module}", "torch") == "[]"


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
    assert loaded_by(statement, "torch", "nibabel", "scipy") == "[]"


def loaded_by(statement: str, *packages: str) -> str:
    """Which of the packages a fresh process has loaded after a statement."""
    code = f"{statement}; import sys; print([name for name in {packages!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


NEED_MONAI = ("bundle.evaluator", "bundle.preparation")
"""Their classes are an engine and a transform of MONAI's: whoever loads them runs MONAI already."""


@pytest.mark.parametrize("package", ["monai", "matplotlib", "SimpleITK", "yaml", "skimage", "transformers"])
def test_optional_packages_are_imported_inside_functions_only(package):
    for module, file in FILES.items():
        if package == "monai" and module in NEED_MONAI:
            continue
        for node in tree_of(file).body:
            names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert package not in {name.split(".")[0] for name in names}, file


def test_only_the_bundle_and_the_benchmark_import_monai():
    sources = {module: file.read_text(encoding="utf-8") for module, file in FILES.items()}
    users = {part_of(module) for module, text in sources.items() if "import monai" in text or "from monai" in text}
    assert users == {"bundle", "bench"}


def test_private_names_stay_private():
    """Nobody imports ``_name`` from another module, and nobody reads ``other._name``."""
    for module, file in FILES.items():
        imported = {name for _, name in imports_of(file) if name.startswith("_") and not name.startswith("__")}
        assert imported == set(), module
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                owner = ast.unparse(node.value)
                assert owner in ("self", "cls", "super()", "os"), f"{module}:{node.lineno} reads {owner}.{node.attr}"


MANY_PARAMETERS = {
    ("datalist.make", "make_datalist"): (9, "each is an option of the command and has a default"),
    ("model", "segment"): (11, "all but the scan have defaults, and four only override the profile"),
}


def test_files_and_functions_fit_a_reader():
    for module, file in FILES.items():
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 400, f"{module} has grown beyond one subject"
        for node in ast.walk(tree_of(file)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and part_of(module) != "cli":
                assert node.end_lineno - node.lineno < 70, f"{module}: {node.name} does not fit a screen"
                given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                parameters = [one.arg for one in given if one.arg not in ("self", "cls")]
                most = MANY_PARAMETERS.get((module, node.name), (8,))[0]
                assert len(parameters) <= most, f"{module}: {node.name} has {len(parameters)} parameters"


COMMAND, ROUTES = "the command is called like what it does", "routes are called like what they answer about"
SHARED_STEMS = {
    "batch": COMMAND,
    "case": "of a data list, and of a cohort",
    "cases": "fine-tuning has its own choice of a run's cases",
    "classes": COMMAND,
    "clicks": "those of protocols, and those that training simulates",
    "evaluate": COMMAND,
    "export": "of a run's network, and of a bundle",
    "files": "what commands share, and files of weights",
    "make": "lists, and supervoxels",
    "masks": "measures of two masks, and masks of objects",
    "models": COMMAND,
    "paths": "of scans, and those that requests may name",
    "pieces": "of pseudo-objects, and of supervoxels",
    "prompts": ROUTES,
    "read": "lists, and scans",
    "recipe": "fine-tuning makes one; training obeys it",
    "results": ROUTES,
    "run": "an evaluation, and a server",
    "run_folder": "of a training, and of an evaluation",
    "scans": ROUTES,
    "session": "the client's mirrors the real one",
    "sessions": ROUTES,
    "settings": "of a server, and values of a bundle's keys",
    "store": "of a session's file, and of models",
    "training": "what train and finetune share, and MONAI Label's jobs",
    "write": "lists, and label maps",
}
"""Names that two files share, and why a reader does not mix them up."""


def test_a_file_name_says_where_one_is():
    """Two files may share a name only where it is listed above."""
    stems = Counter(file.stem for file in FILES.values() if not file.stem.startswith("__"))
    assert {stem for stem, count in stems.items() if count > 1} == SHARED_STEMS.keys()


SCHEMA = "the HTTP interface's view of it, under the name that the OpenAPI document gives it"
SHARED_CLASSES = {
    "History": SCHEMA,
    "Problem": SCHEMA,
    "Progress": SCHEMA,
    "Request": "of the challenge, in its own words; and the base of HTTP bodies",
    "ScanWarning": SCHEMA,
    "Step": "of the challenge, in its own words; and of a session's history",
}
"""Names that two public classes share, and why."""


def test_a_class_name_means_one_thing():
    classes = Counter(
        node.name
        for file in FILES.values()
        for node in tree_of(file).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name for name, count in classes.items() if count > 1} == SHARED_CLASSES.keys()


BEHIND_AN_INTERFACE = {
    "bundle": "tested by MONAI, which runs its commands",
    "cli": "tested by calling commands",
    "serve": "tested by requests to a running server",
    "client": "tested against a running server",
}


def test_every_module_is_named_by_some_test():
    """It is imported by one, itself or what a package offers of it, or a test file has its name."""
    named = {file.stem.removeprefix("test_") for file in TESTS.rglob("test_*.py")}
    used: set[str] = set()
    for file in TESTS.rglob("*.py"):
        for source, name in imports_of(file):
            used.add(source)
            init = FILES.get(source)
            if init is not None and init.name == "__init__.py":
                used |= {inner for inner, offered in imports_of(init) if offered == name}
    missing = {
        module
        for module, file in FILES.items()
        if part_of(module) not in BEHIND_AN_INTERFACE
        and not file.stem.startswith("_")
        and module not in used
        and file.stem not in named
    }
    assert missing == set()
