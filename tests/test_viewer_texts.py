"""Whatever the viewer says comes from web/src/strings.ts: no other source has words for people in it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "web" / "src"
STRINGS = SOURCES / "strings.ts"
PROGRAMS = ("shaders.ts", "oblique.ts", "no-zarr.ts", "axes.ts", "label-volume.ts", "ct-worker.ts")
"""These hold programs of the graphics card as strings, or speak only where the program itself is at fault."""
WORDS = re.compile(r"\b[A-Z][a-z]+|[A-Za-z]{2,}[,.:;!?]? [A-Za-z(“]{2,}|[A-Za-z]…| mm\b|\bmm | HU\b|\bHU ")
"""What reads like a text: a capital word, two words, a unit beside something."""
NO_TEXT = re.compile(
    r"""(?:class|className|style|rel|type|key|d|transform|'data-key'):\s*$  # attributes that nobody reads
    |(?:querySelector(?:All)?(?:<\w+>)?|closest|matchMedia|matches)\(\s*$  # selectors
    |(?:headers\.get|getItem|setItem|addEventListener|includes|startsWith|createElementNS|from)\(?\s*$
    |const\ STYLE\ =\ $
    |key\ ===\ $|event\.key\ ===\ $""",
    re.VERBOSE,
)
TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/                                     # comments
    |(?:[(=:,?!&|{;]|return)\s*/(?:\\.|\[[^]\n]*\]|[^/\\\n[])+/  # patterns
    |'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`""",
    re.VERBOSE | re.DOTALL,
)
KEYS = re.compile(r"^(Arrow|Page)(Up|Down|Left|Right)$|^(Enter|Escape|Files|Content-Type|Retry-After)$")
"""Names of keys, of kinds of drops, of HTTP headers."""


def literals(code: str) -> Iterator[tuple[str, str]]:
    """Every string of a TypeScript source, what is fixed of it, and what stands before it."""
    at = 0
    while found := TOKEN.search(code, at):
        at = found.end()
        text = found.group()
        if text[0] in "'\"":
            yield text[1:-1], code[max(0, found.start() - 60) : found.start()]
        elif text == "`":
            end, fixed, inner = template(code, at)
            yield fixed, code[max(0, found.start() - 60) : found.start()]
            for part in inner:
                yield from literals(part)
            at = end


def template(code: str, at: int) -> tuple[int, str, list[str]]:
    """Where a template string ends, its fixed parts, and the code in it."""
    fixed, inner = "", []
    while code[at] != "`":
        if code.startswith("${", at):
            start, depth, at = at + 2, 1, at + 2
            while depth:
                if code[at] == "`":
                    at = template(code, at + 1)[0] - 1
                depth += {"{": 1, "}": -1}.get(code[at], 0)
                at += 1
            inner.append(code[start : at - 1])
            fixed += "0"
        else:
            step = 2 if code[at] == "\\" else 1
            fixed += code[at : at + step]
            at += step
    return at + 1, fixed, inner


def texts(file: Path) -> list[str]:
    """What in a source reads like words for people."""
    return [
        text
        for text, before in literals(file.read_text(encoding="utf-8"))
        if WORDS.search(re.sub("<[^>]*>", "", text)) and not NO_TEXT.search(before) and not KEYS.match(text)
    ]


@pytest.mark.parametrize("file", sorted(SOURCES.rglob("*.ts")), ids=lambda file: str(file.relative_to(SOURCES)))
def test_no_source_speaks_for_itself(file):
    if file == STRINGS or file.name.endswith(PROGRAMS):
        return
    assert texts(file) == []


def test_the_strings_themselves_would_be_found():
    assert len(texts(STRINGS)) > 200


def test_every_string_is_used():
    """By its key; those of a table that is taken as a whole by the table's."""
    code = "\n".join(file.read_text(encoding="utf-8") for file in SOURCES.rglob("*.ts") if file != STRINGS)
    whole = {"kinds", "edits", "formats"}
    table, unused = [], []
    for line in STRINGS.read_text(encoding="utf-8").split("} satisfies")[0].splitlines():
        named = re.match(r"^\s+'?([\w.-]+)'?: (?!\{$)", line)
        if named and not any(one in whole for one in table) and not re.search(rf"\b{named.group(1)}\b", code):
            unused.append(named.group(1))
        opened = re.match(r"^\s+'?([\w-]+)'?: \{$", line)
        if opened:
            table.append(opened.group(1))
        elif re.match(r"^\s+\},?$", line):
            table.pop()
    assert unused == []
