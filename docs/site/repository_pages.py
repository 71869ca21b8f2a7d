"""mkdocs hook: files of the repository that pages link to become pages, so that a link works here and there alike.

``[recipe](../recipes/torso.yaml)`` is a link between two files of a checkout. The site has a page for the second one,
``repository/recipes/torso.yaml``, which shows it; Markdown becomes a page like others, a folder a list of its files.
"""

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

_LINK = re.compile(r"(?P<before>\]\()(?P<path>[^)#\s:]+)(?P<anchor>#[^)\s]*)?\)")
_FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_ALWAYS = ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "NOTICE", "benchmarks/README.md")
_PLACE = "repository/"
_PNG = "data:image/png;base64,"
_LANGUAGES = {".py": "python", ".yaml": "yaml", ".conf": "nginx", ".service": "ini", ".json": "json"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file that a page links to, and for those that these link to."""
    root = Path(config.config_file_path).parent
    files.append(File.generated(config, "site/icon.svg", abs_src_path=str(root / "web/public/icon.svg")))
    waiting = list(_ALWAYS)
    for file in files.documentation_pages():
        if file.generated_by is None:
            waiting += _targets(f"docs/{file.src_uri}", Path(file.abs_src_path or "").read_text(encoding="utf-8"))
    done = set()
    while waiting:
        path = waiting.pop()
        if path in done or path.startswith("docs/") or path == "README.md" or not (root / path).exists():
            continue
        done.add(path)
        content = _content(root, path)
        files.append(File.generated(config, _page_of(path), content=content, inclusion=InclusionLevel.NOT_IN_NAV))
        if path.endswith((".md", ".ipynb")):
            waiting += _targets(path, content)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links between files of the repository become links between pages."""
    uri = page.file.src_uri
    here = f"docs/{uri}"
    if uri.startswith(_PLACE):
        here = uri.removeprefix(_PLACE)
        if not (Path(config.config_file_path).parent / here).exists():
            here = here.removesuffix(".md")  # a page that shows a file: its name is the file's and .md
            if not here.endswith(".ipynb"):
                return markdown

    def there(link: "re.Match[str]") -> str:
        target = _page_of(posixpath.normpath(posixpath.join(posixpath.dirname(here), link["path"])))
        return f"{link['before']}{posixpath.relpath(target, posixpath.dirname(uri) or '.')}{link['anchor'] or ''})"

    pieces, end = [], 0
    for fence in _FENCE.finditer(markdown):
        pieces += [_LINK.sub(there, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*pieces, _LINK.sub(there, markdown[end:])])


def _targets(source: str, markdown: str) -> list[str]:
    """The files that a file of the repository links to; paths from the root."""
    paths = (link["path"] for link in _LINK.finditer(_FENCE.sub("", markdown)))
    return [posixpath.normpath(posixpath.join(posixpath.dirname(source), path)) for path in paths]


def _page_of(path: str) -> str:
    """Where the site has a file of the repository, from the folder of pages."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return _PLACE + (path if path.endswith(".md") else f"{path}.md")


def _content(root: Path, path: str) -> str:
    """The Markdown of a page that shows a file or folder."""
    file = root / path
    head = f"---\ntitle: {file.name}\nsearch:\n  exclude: true\n---\n\n# `{path}`\n\n"
    if file.is_dir():
        return head + "".join(f"- `{one.name}`\n" for one in sorted(file.iterdir()) if not one.name.startswith("."))
    text = file.read_text(encoding="utf-8")
    if path.endswith(".md"):
        return text
    if path.endswith(".ipynb"):
        return head + "\n\n".join(_cell(cell) for cell in json.loads(text)["cells"])
    return f"{head}````{_LANGUAGES.get(file.suffix, 'text')}\n{text.rstrip()}\n````\n"


def _cell(cell: dict[str, Any]) -> str:
    """A cell of a notebook, with what it printed and drew."""
    source = "".join(cell["source"])
    if cell["cell_type"] != "code":
        return re.sub("^#", "##", source, flags=re.MULTILINE)
    pieces = [f"````python\n{source}\n````"]
    for output in cell["outputs"]:
        data = output.get("data", {})
        told = output.get("text", []) if "image/png" in data else output.get("text", data.get("text/plain", []))
        printed = "".join(told).rstrip()
        pieces += [f"````text\n{printed}\n````"] if printed else []
        pieces += [f"![]({_PNG}{''.join(data['image/png']).strip()})"] if "image/png" in data else []
    return "\n\n".join(pieces)
