"""The blocks of code in our pages: where they stand, what they need, and which commands they hold.

The words after a block's language are for readers and for tests. ``sh needs a PACS`` says what the tests do not have:
such a block is parsed and not run. ``sh keeps running`` is a program that goes on until it is stopped.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("**/*.md"))]
PARSED = [*sorted((ROOT / "benchmarks").glob("*.md")), *sorted((ROOT / "skills").glob("**/*.md"))]
"""Pages whose commands gave the figures beside them, which takes hours or data that is not here; and for agents."""
NEEDS = {
    "network",
    "a PACS",
    "a bucket",
    "a cluster",
    "a server",
    "a GPU",
    "other weights",
    "some minutes",
    "your data",
}
PROGRAMS = {"openvista", "python", "python3", "pip", "make", "torchrun", "curl", "docker", "OMP_NUM_THREADS"}
NOT_ON_THE_SITE = {"README.md"}
"""It says in short what the site's pages say: what is in it is parsed."""
GO_ON = {"openvista serve", "openvista listen", "openvista mcp"}
"""Commands that go on until they are stopped."""
INSTALL = {"pip", "make", "docker", "apt", "npm"}
RUN_ELSEWHERE = {
    ("docs/agents.md", "json"): "tests/services/test_mcp.py",
    ("docs/serving.md", "bash"): "tests/serve/test_serving_docs.py",
    ("docs/serving.md", "python"): "tests/serve/test_serving_docs.py",
    ("docs/serving.md", "nginx"): "tests/services/test_proxies.py",
    ("docs/cohorts.md", "yaml"): "tests/services/test_cohort_examples.py",
    ("docs/cohorts.md", "python"): "tests/services/test_cohort_examples.py",
    ("docs/cohorts.md", "groovy"): "tests/services/test_cohort_examples.py",
    ("docs/notebooks.md", "python"): "tests/services/test_notebooks.py",
    ("docs/ctmr.md", "sh"): "tests/cli/test_ctmr_commands.py",
    ("docs/napari.md", "python"): "tests/services/test_napari_widget.py",
}
"""{page, language: the test that runs these blocks as they stand}."""
_FENCE = re.compile(r"^(?P<margin> *)```(?P<head>[^`\n]*)\n(?P<text>.*?)^ *```", re.MULTILINE | re.DOTALL)
_SHELLS = {"sh", "bash"}


@dataclass(frozen=True)
class Block:
    """A block of a page.

    Attributes:
        page: its path from the root of the repository.
        line: of its first line in the page, from 1.
        language: "" where none is given.
        words: what follows the language.
        text: without fences.
    """

    page: str
    line: int
    language: str
    words: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_shell(self) -> bool:
        """Whether it holds commands: it says so, or it says nothing and begins with a program."""
        first = re.split(r"[\s=]", self.text.strip(), maxsplit=1)[0]
        return self.language in _SHELLS or (self.language == "" and first in PROGRAMS)

    @property
    def needs(self) -> set[str]:
        """What the tests do not have."""
        return set(self.words.removeprefix("needs ").split(", ")) if self.words.startswith("needs ") else set()

    @property
    def keeps_running(self) -> bool:
        return self.words == "keeps running"

    @property
    def shell_commands(self) -> list[list[str]]:
        """Those of :attr:`commands`, if it is a shell block."""
        return self.commands if self.is_shell else []

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command of a shell block; assignments before a command are left out."""
        found, waiting = [], ""
        for line in re.sub(r"\\\n", " ", self.text).splitlines():
            waiting += line
            try:
                words = shlex.split(waiting, comments=True)
            except ValueError:  # a quotation goes on in the next line
                waiting += "\n"
                continue
            waiting = ""
            cuts = [-1, *(i for i, word in enumerate(words) if word in {"&&", "||", "|", ";"}), len(words)]
            for start, stop in pairwise(cuts):
                command = words[start + 1 : stop]
                while command and re.match(r"[A-Z_]+=", command[0]):
                    command = command[1:]
                found += [command] if command else []
        assert waiting == "", f"{self}: a quotation does not end"
        return found


def blocks_of(page: Path) -> Iterator[Block]:
    """The blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for fence in _FENCE.finditer(text):
        language, _, words = fence["head"].strip().partition(" ")
        lines = [line.removeprefix(fence["margin"]) for line in fence["text"].splitlines()]
        line = text.count("\n", 0, fence.start()) + 2
        yield Block(page.relative_to(ROOT).as_posix(), line, language, words, "\n".join(lines) + "\n")
