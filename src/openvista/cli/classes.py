"""``openvista classes``: what can be asked for. Needs no torch."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from openvista.anatomy.vocabulary import Vocabulary


def classes(
    query: Annotated[str, typer.Argument(help="Part of a name or alias, or an id. Default: everything.")] = "",
    model: Annotated[
        str | None, typer.Option("-m", "--model", help="Only what this model knows. Default: the official catalogue.")
    ] = None,
) -> None:
    """List the classes that can be named, with ids and aliases.

    Examples:

      openvista classes liv

      openvista classes --model starter
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    vocabulary = _vocabulary(model)
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
        table.add_row(str(item.id), swatch, item.name, ", ".join(item.aliases), remark)
    Console().print(table)


def _vocabulary(model: str | None) -> "Vocabulary":
    from openvista.anatomy import Vocabulary, official_vocabulary
    from openvista.weights import find_model

    if model is None:
        return official_vocabulary()
    card = find_model(model).card
    return Vocabulary(card.class_ids, card.extra_classes, card.extra_aliases, model_name=card.name)
