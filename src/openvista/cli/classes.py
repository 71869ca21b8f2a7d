"""``openvista classes``: what can be asked for. Needs no torch."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from openvista.anatomy import official_vocabulary
from openvista.anatomy.ctmr import CTMR, FAMILY
from openvista.cli.options import model_option
from openvista.weights import find_model


def classes(
    query: Annotated[str, typer.Argument(help="Part of a name or alias, or an id. Default: everything.")] = "",
    model: Annotated[str | None, model_option("Only what this model knows. Default: the official catalogue.")] = None,
) -> None:
    """List the classes that can be named, with ids and aliases.

    Examples:

      openvista classes liv

      openvista classes --model starter
    """
    card = None if model is None else find_model(model).card
    vocabulary = official_vocabulary() if card is None else card.vocabulary()
    seen_in = {} if card is None or card.family != FAMILY else {id_: item.seen_in for id_, item in CTMR.items()}
    found = vocabulary.search(query) if query else vocabulary.classes()
    if not found:
        vocabulary.resolve(query)  # raises, with the nearest names
    table = Table(header_style="bold")
    for heading in ("id", "", "name", "also called", ""):
        table.add_column(heading)
    for item in found:
        red, green, blue = item.colour
        swatch = Text("██", style=f"rgb({red},{green},{blue})")
        remark = "lesion or vessel: own click type" if item.special else "" if item.supported else "not supported"
        if seen_in:
            remark = f"seen in {' and '.join(sorted(seen_in[item.id])) or 'nothing'}"
        table.add_row(str(item.id), swatch, item.name, ", ".join(item.aliases), remark)
    Console().print(table)
