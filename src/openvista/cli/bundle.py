"""``openvista bundle``: a model as a MONAI bundle, and back."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Write a model as a MONAI bundle; import a bundle's weights.", no_args_is_help=True)


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="Name of a model, or its folder.")],
    folder: Annotated[Path, typer.Argument(help="Folder to make.")],
) -> None:
    """Write a folder that MONAI's tools run: python -m monai.bundle run --config_file configs/inference.json ...

    Examples:

      openvista bundle export starter bundles/starter

      openvista bundle export runs/spleen/model bundles/spleen
    """
    from openvista.bundle.export import export_bundle

    print(export_bundle(model, folder))


@app.command("import")
def import_folder(
    folder: Annotated[Path, typer.Argument(help="Folder of a bundle, with configs/ and models/model.pt.")],
    name: Annotated[str | None, typer.Option("--name", help="Name of the model. Default: the folder's.")] = None,
) -> None:
    """Make a model of a bundle's weights. Its configurations are read as data; nothing in them is run.

    Example:

      openvista bundle import NV-Segment-CT --name vista3d
    """
    from openvista.bundle.read import import_bundle

    found = import_bundle(folder, name)
    print(f"{found.card.name} is ready: openvista segment CT.nii.gz --model {found.card.name}")
