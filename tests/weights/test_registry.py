"""Finding models: by name, by path, and what is said when there is none."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from openvista.errors import ModelError
from openvista.weights import ModelFolder, available_models, find_model, home_folder, registry


def test_by_name_and_by_path(model: ModelFolder, home: Path) -> None:
    assert find_model("tiny-model", home) == model
    assert find_model(model.path) == find_model(str(model.path)) == model
    assert model in available_models(home)


def test_by_the_name_on_the_card_when_the_folder_is_called_otherwise(model: ModelFolder, home: Path) -> None:
    model.path.rename(model.path.with_name("renamed"))
    assert find_model("tiny-model", home).path.name == "renamed"
    assert find_model("renamed", home).card.name == "tiny-model"


def test_the_environment_says_where(model: ModelFolder, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENVISTA_HOME", str(home))
    assert home_folder() == home
    assert find_model("tiny-model") == model


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="XDG_CACHE_HOME is Linux's")
@pytest.mark.parametrize(("given", "base"), [("", "~/.cache"), ("/elsewhere", "/elsewhere"), ("relative", "~/.cache")])
def test_without_it_the_platforms_cache_folder(monkeypatch: pytest.MonkeyPatch, given: str, base: str) -> None:
    monkeypatch.delenv("OPENVISTA_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert home_folder() == Path(base).expanduser() / "openvista"


def test_a_model_inside_the_package(
    model: ModelFolder, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded = tmp_path / "package" / "starter"
    shutil.copytree(model.path, embedded)
    monkeypatch.setattr(registry, "EMBEDDED", embedded)
    found = find_model("starter", home)
    assert found.path == embedded
    assert found.embedded
    assert not find_model("tiny-model", home).embedded
    assert [folder.path for folder in available_models(home)] == [embedded, model.path]


def test_unknown_names_list_what_exists(model: ModelFolder, home: Path) -> None:
    with pytest.raises(ModelError, match=r"no model 'tiny'.*tiny-model.*models download") as caught:
        find_model("tiny", home)
    assert "\n" not in str(caught.value)


def test_official_names_say_how_to_get_them(home: Path) -> None:
    with pytest.raises(ModelError, match=r"not on this machine.*models download vista3d.*models import"):
        find_model("vista3d", home)
    with pytest.raises(ModelError, match=r"not on this machine.*models download vista3d-ctmr.*models import"):
        find_model("vista3d-ctmr", home)


def test_a_damaged_model_does_not_hide_the_others(
    model: ModelFolder, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("no-weights", "no-json"):
        shutil.copytree(model.path, model.path.with_name(name))
    (model.path.with_name("no-weights") / "model.safetensors").unlink()
    (model.path.with_name("no-json") / "card.json").write_text("?")
    with caplog.at_level("WARNING"):
        assert [folder.path.name for folder in available_models(home) if not folder.embedded] == ["tiny-model"]
    assert "no-weights" in caplog.text
    assert "no-json" in caplog.text
    with pytest.raises(ModelError, match="not a valid model card"):
        find_model("no-json", home)


def test_listing_needs_no_torch() -> None:
    code = "import sys, openvista.weights as w; w.available_models(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
