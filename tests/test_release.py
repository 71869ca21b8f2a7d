"""What a release says of itself agrees, and the licence check can fail. ``make release-check`` does the rest."""

import re
import tarfile
from pathlib import Path

import pytest
import yaml

from by_path import module_at
from openvista._version import __version__

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {"pytorch": "torch", "huggingface_hub": "huggingface-hub", "python-isal": "isal"}


release_check = module_at("packaging/release_check.py")


def test_citation_and_changelog_name_the_version():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__
    assert re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == __version__


def test_the_conda_recipe_needs_what_the_package_needs():
    recipe = yaml.safe_load((ROOT / "packaging/conda/recipe.yaml").read_text())
    listed = dict(line.split(" ", 1) for line in recipe["requirements"]["run"])
    assert listed.pop("python") == ">=3.10"
    text = (ROOT / "pyproject.toml").read_text().split("dependencies = [", 1)[1].split("]", 1)[0]
    own = dict(re.findall(r'"([\w-]+)(>=[\d.]+)"', text))
    assert {CONDA_NAMES.get(name, name): version for name, version in listed.items()} == own


@pytest.mark.parametrize(
    ("licence", "free"),
    [
        ("MIT License", True),
        ("BSD-3-Clause", True),
        ("Apache-2.0 OR GPL-3.0", True),
        ("GNU Lesser General Public License v3 (LGPLv3)", True),
        ("Mozilla Public License 2.0 (MPL 2.0)", True),
        ("BSD-3-Clause AND MIT AND Zlib", True),
        ("GNU General Public License v3 (GPLv3)", False),
        ("MIT License; GNU General Public License v3 (GPLv3)", False),
        ("MIT AND GPL-3.0", False),
        ("GNU Affero General Public License v3", False),
        ("AGPL-3.0-only", False),
        ("UNKNOWN", False),
        ("LicenseRef-NVIDIA-Proprietary", False),
    ],
)
def test_no_licence_is_stronger_than_lgpl(licence, free):
    assert release_check.is_free(licence) is free


def test_a_version_that_differs_is_not_released(tmp_path, monkeypatch):
    for name, text in {"CITATION.cff": "version: 9.0\n", "CHANGELOG.md": "## 9.0\n", "_version.py": '"8.0"\n'}.items():
        (tmp_path / name).write_text(text if name != "_version.py" else f"__version__ = {text}")
    with tarfile.open(tmp_path / "source.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "_version.py", "openvista-9.0/src/openvista/_version.py")
    monkeypatch.setattr(release_check, "ROOT", tmp_path)
    with pytest.raises(release_check.ReleaseError, match=r"_version.py says version 8.0, the wheel 9.0"):
        release_check.check_version(Path("openvista-9.0-py3-none-any.whl"), tmp_path / "source.tar.gz")
