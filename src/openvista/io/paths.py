"""Names of image files: which formats there are, what a scan is called, where its results go."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from openvista.errors import OutputError, ScanError

NIFTI_SUFFIXES = (".nii.gz", ".nii")
ITK_SUFFIXES = (".seg.nrrd", ".nrrd", ".nhdr", ".mha", ".mhd")
IMAGE_SUFFIXES = NIFTI_SUFFIXES + ITK_SUFFIXES
OUTPUT_SUFFIXES = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".mha")
"""Of label maps."""

MESH_FORMATS = ("stl", "obj", "glb")
DICOM_FORMATS = {"dicom-seg": "_seg.dcm", "dicom-rtstruct": "_rtstruct.dcm", "dicom-sr": "_sr.dcm"}
FORMATS = {suffix[1:]: f"_seg{suffix}" for suffix in OUTPUT_SUFFIXES}
FORMATS |= DICOM_FORMATS | {name: f"_seg.{name}" for name in MESH_FORMATS}
"""What a result can be written as, and what follows the scan's name in the name of its file."""

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")


def image_suffix(path: Path) -> str:
    """The image suffix of a file name in lower case (``".nii.gz"``), or ``""`` when it is no image format we know."""
    name = path.name.lower()
    return next((suffix for suffix in IMAGE_SUFFIXES if name.endswith(suffix)), "")


def scan_name(path: Path) -> str:
    """What to call a scan: the name of its file without the ending (``ct.nii.gz`` -> ``ct``), or of its folder."""
    if path.name.upper() == "DICOMDIR" or path.name in ("", ".."):
        path = path.resolve()
        path = path.parent if path.name.upper() == "DICOMDIR" else path
    suffix = image_suffix(path) or (path.suffix if path.suffix.lower() in (*DICOM_SUFFIXES, ".zip") else "")
    return path.name[: len(path.name) - len(suffix)] or path.name or "scan"


def sidecar_path(path: Path) -> Path:
    """The ``.json`` that lies beside a label map (``ct_seg.nii.gz`` -> ``ct_seg.json``)."""
    return path.with_name(f"{scan_name(path)}.json")


def result_path(output: str | Path, name: str, format: str | None = None) -> Path:
    """Where a result goes: ``output`` itself, or ``<name>_seg.nii.gz`` inside when it is an existing folder.

    Args:
        output: a file whose ending fits the format, or an existing folder.
        name: of the scan.
        format: one of :data:`FORMATS`; ``None`` for what the ending says, and ``nii.gz`` in a folder.

    Raises:
        OutputError: there is no such format, or the file's ending is that of no format, or of another one.
    """
    output = Path(output)
    if address := as_address(output):
        raise OutputError(f"{address}: is an address; results are written to files: give a path")
    if output.is_dir():
        return output / f"{name}{FORMATS[known_format(format or 'nii.gz')]}"
    output_format(output, format)
    return output


def formats_apart(formats: Iterable[str], per_class: bool) -> frozenset[str]:
    """The formats with a file per structure: STL, which has no names, and with ``per_class`` all but DICOM."""
    return frozenset(set(formats) - DICOM_FORMATS.keys() if per_class else {"stl"} & set(formats))


def output_format(path: Path, format: str | None = None) -> str:
    """The format that a file is to be written in, from its ending; ``.dcm`` alone is a DICOM segmentation.

    Raises:
        OutputError: there is no such format, or the file's ending is that of no format, or of another one.
    """
    name = path.name.lower()
    suffixes = {format: f".{format}" for format in FORMATS} | dict.fromkeys(DICOM_FORMATS, ".dcm")
    if format is not None:
        if not name.endswith(suffixes[known_format(format)]):
            raise OutputError(f"{path}: {format} is written as {suffixes[format]}; give that ending, or a folder")
        return format
    fitting = [format for format, suffix in suffixes.items() if name.endswith(suffix)]
    if not fitting:
        endings = ", ".join(dict.fromkeys(suffixes.values()))
        raise OutputError(f"{path}: a result is written as {endings}; use one of these endings")
    return "seg.nrrd" if "seg.nrrd" in fitting else fitting[0]


def known_format(format: str) -> str:
    """The format itself.

    Raises:
        OutputError: there is none of this name.
    """
    if format not in FORMATS:
        raise OutputError(f"no format {format!r}: there is {', '.join(FORMATS)}")
    return format


def distinct_file_names(names: Mapping[int, str]) -> dict[int, str]:
    """File names without ending: letters and digits of the names, the rest underscores; two that would be the same on
    a file system that does not know capitals get their id behind."""
    plain = {key: re.sub(r"[^\w.+-]+", "_", name).strip("._") or f"label_{key}" for key, name in names.items()}
    folded = [name.casefold() for name in plain.values()]
    return {key: name if folded.count(name.casefold()) == 1 else f"{name}_{key}" for key, name in plain.items()}


def as_address(path: Path) -> str | None:
    """What a user wrote, where it was an address such as ``s3://bucket/ct.nii.gz``: paths lose one of its slashes."""
    found = re.fullmatch(r"([A-Za-z][A-Za-z0-9+.-]+):/(?!/)(.*)", path.as_posix())
    return f"{found[1]}://{found[2]}" if found else None


def find_image(path: str | Path) -> Path:
    """The image that a user's path means: the file itself, the only image in a folder, or the folder of a DICOM series.

    Raises:
        ScanError: nothing is there, it is no image format we read, or a folder holds none or several images.
    """
    path = Path(path)
    if address := as_address(path):
        raise ScanError(f"{address}: is an address; only files are read: download it first")
    try:
        there = path.exists()
    except (OSError, ValueError) as error:  # a name longer than the system knows
        reason = getattr(error, "strerror", None) or error
        raise ScanError(f"{str(path)[:80]}...: cannot be looked for: {reason}; check the path") from None
    if not there:
        raise ScanError(f"{path}: there is no such file or folder; check the path")
    if path.is_dir():
        return _image_in(path)
    if not path.is_file():
        raise ScanError(f"{path}: not a regular file; give an image file")
    if not image_suffix(path) and not _holds_slices(path):
        raise ScanError(f"{path}: not an image format we read; use DICOM or one of {', '.join(IMAGE_SUFFIXES)}")
    return path


def may_be_dicom(path: Path) -> bool:
    """A file that is named or begins like DICOM: "DICM" after 128 bytes (PS3.10 §7.1)."""
    if path.suffix.lower() in DICOM_SUFFIXES:
        return True
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _holds_slices(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() == ".zip" or may_be_dicom(path)


def _image_in(folder: Path) -> Path:
    try:
        files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    except OSError as error:
        raise ScanError(f"{folder}: cannot be listed: {error.strerror}; check its permissions") from error
    images = [file for file in files if image_suffix(file) and file.is_file()]
    if len(images) == 1:
        return images[0]
    if images:
        raise ScanError(f"{folder}: holds {len(images)} images ({images[0].name}, ...); name the one you mean")
    if any(_holds_slices(file) for file in files):
        return folder
    raise ScanError(
        f"{folder}: no image in this folder; give a DICOM series, or a file that ends with {', '.join(IMAGE_SUFFIXES)}"
    )
