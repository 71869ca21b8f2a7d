"""The items that ask the command line: each takes an empty folder and gives plain values."""

import csv
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from tools import EXAMPLES, ROOT, Done, array_sha, exact, openvista, plain_text, python, read_json, sha256, without

SMALL = {"steps": 3, "fold": "null", "window": "[32, 32, 32]", "device": "cpu", "minutes": "null", "loaders": 1}
"""Settings of a training that takes seconds."""


# --- segment ------------------------------------------------------------------------------------------------------


def demo(work: Path) -> dict[str, Any]:
    """The example CT as it is, turned, and flipped; the smallest one by other profiles and into other formats."""
    found = {name: _segmented(work, path) for name, path in _copies(work).items()}
    small = EXAMPLES / "case_092_ct.nii.gz"
    for profile in ("bundle", "research"):
        found[profile] = _segmented(work, small, "--profile", profile, folder=profile)
    found["some classes"] = _segmented(
        work, small, "-c", "spinal cord,133", "--preview", "--mode", "exact", folder="some"
    )
    written = [work / f"written{ending}" for ending in (".seg.nrrd", ".nrrd", ".mha", ".nii")]
    for path in written:
        openvista(work, "segment", small, "-c", "mandible", "-o", path).checked()
    return found | {"formats": {path.name: sha256(path.read_bytes()) for path in written}}


def _copies(work: Path) -> dict[str, Path]:
    source = EXAMPLES / "head_neck_ct.nii.gz"
    image = nib.load(source)
    voxels, affine = np.asarray(image.dataobj), image.affine
    angle = np.radians(12)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    mirror[0, 3] = voxels.shape[0] - 1
    found = {"as it is": source, "oblique": work / "oblique.nii.gz", "flipped": work / "flipped.nii.gz"}
    nib.save(nib.Nifti1Image(voxels, turn @ affine), found["oblique"])
    nib.save(nib.Nifti1Image(voxels[::-1], affine @ mirror), found["flipped"])
    return found


def _segmented(work: Path, scan: Path, *options: str, folder: str = "") -> dict[str, Any]:
    out = work / "out" / (folder or scan.name.split(".")[0])
    out.mkdir(parents=True)
    done = openvista(work, "segment", scan, "-o", out, "--table", *options).checked()
    files = sorted(out.iterdir())
    labels = next(path for path in files if path.name.endswith(".nii.gz"))
    return {
        "files": [path.name for path in files],
        "label map": _nifti(labels),
        "descriptions": {path.name: exact(read_json(path)) for path in files if path.suffix == ".json"},
        "tables": {path.name: path.read_text() for path in files if path.suffix == ".csv"},
        "pictures": {path.name: array_sha(_pixels(path)) for path in files if path.suffix == ".png"},
        "said": plain_text(done.out, work),
    }


def _pixels(path: Path) -> Any:
    from matplotlib.image import imread

    return imread(path)


def _nifti(path: Path) -> dict[str, Any]:
    image = nib.load(path)
    voxels = np.asarray(image.dataobj)
    return {
        "voxels": array_sha(voxels),
        "counts": {int(value): int(count) for value, count in zip(*np.unique(voxels, return_counts=True), strict=True)},
        "affine": exact(image.affine.tolist()),
        "codes": [int(image.header["qform_code"]), int(image.header["sform_code"])],
        "names inside": [sha256(extension.get_content()) for extension in image.header.extensions],
    }


# --- session ------------------------------------------------------------------------------------------------------


def session(work: Path) -> dict[str, Any]:
    """Clicks in Python, and by ``openvista click``."""
    done = python(work, Path(__file__).with_name("clicking.py"), work / "made").checked()
    scan, kept, log = EXAMPLES / "case_092_ct.nii.gz", work / "case.ovsession", work / "log.json"
    out = work / "clicked.nii.gz"
    prompts = ["--class", "mandible", "--at", "26,30,28", "--at", "20,30,28,-", "--session", kept, "--log", log]
    said = openvista(work, "click", scan, *prompts, "-o", out).checked()
    events = without(read_json(log), "time")
    again = openvista(work, "click", scan, "--replay", log, "-o", work / "again.nii.gz").checked()
    return {
        "python": json.loads(done.out.splitlines()[-1]),
        "command": {
            "said": plain_text(said.out + said.err, work),
            "labels": _nifti(out),
            "log": exact(events),
            "replayed": _nifti(work / "again.nii.gz"),
            "replay said": plain_text(again.out + again.err, work),
        },
    }


# --- training -----------------------------------------------------------------------------------------------------


def training(work: Path) -> dict[str, Any]:
    """Three steps alone and in two processes, with both branches; two of a fine-tune."""
    recipe, listed = ROOT / "recipes" / "starter_joint.yaml", EXAMPLES / "dataset.json"
    asked = ["train", recipe, "--datalist", listed, *_set(**SMALL)]
    openvista(work, *asked, "-o", work / "alone").checked()
    together = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "openvista"]
    found = {"alone": _run(work / "alone")}
    python(work, *together, *asked, "-o", work / "two").checked()
    found["two processes"] = _run(work / "two")
    fitted = ["finetune", EXAMPLES / "finetune.json", "--fold", "none", "--patch", "32,32,32", "--map", "1=new:stem"]
    fitted += ["--map", "2=spinal cord", "--shots", "1", *_set(device="cpu", loaders=1), "--steps", "2"]
    openvista(work, *fitted, "-o", work / "fitted").checked()
    return found | {"finetune": _run(work / "fitted")}


def _set(**settings: object) -> list[str]:
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def _run(folder: Path) -> dict[str, Any]:
    """What a run folder holds, without times; its large files are removed."""
    import torch

    with (folder / "train.csv").open(newline="") as file:
        steps = [
            {key: row[key] for key in ("step", "loss", "learning_rate", "gradient")} for row in csv.DictReader(file)
        ]
    best = torch.load(folder / "best.pt", map_location="cpu", weights_only=True)["model"]
    weights = {name: array_sha(tensor.float().numpy()) for name, tensor in sorted(best.items())}
    described = folder / "model" / "card.json"
    result = {
        "files": sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()),
        "steps": steps,
        "weights": sha256(json.dumps(weights).encode()),
        "model": sha256((folder / "model" / "model.safetensors").read_bytes()),
        "card": exact(read_json(described)),
        "recipe": exact(read_json(folder / "recipe.json")),
    }
    result["files"] = [re.sub(r"events\.out.*", "events", name) for name in result["files"]]
    if (folder / "plan.json").exists():
        result["plan"] = exact(read_json(folder / "plan.json"))
    text = json.dumps(result).replace(str(folder.parent), "<work>").replace(str(ROOT), "<root>")
    shutil.rmtree(folder)
    return json.loads(text)


# --- evaluate and challenge ---------------------------------------------------------------------------------------


def evaluation(work: Path) -> dict[str, Any]:
    """The smallest example case by class prompts and by clicks, and both compared."""
    listed = work / "list.json"
    case = {"image": str(EXAMPLES / "case_092_ct.nii.gz"), "label": str(EXAMPLES / "case_092_labels.nii.gz")}
    content = read_json(EXAMPLES / "finetune.json")
    facts = {key: content["training"][0][key] for key in ("annotated", "label_slices")}
    listed.write_text(json.dumps({"labels": content["labels"], "testing": [case | facts]}))
    found = {}
    asked = {"auto": [], "clicks": ["--clicks", "1,2"]}
    for protocol, more in asked.items():
        folder = work / protocol
        done = openvista(work, "evaluate", listed, "-P", protocol, *more, "-o", folder).checked()
        scores = without(
            read_json(folder / "scores.json"), "seconds", "started", "command", "peak_mb", "datalist_sha256"
        )
        found[protocol] = {
            "files": sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()),
            "scores": exact(_without_times(scores)),
            "columns": (folder / "scores.csv").read_text().splitlines()[0],
            "said": len(done.out.splitlines()),
        }
    done = openvista(work, "evaluate", "compare", work / "auto", work / "clicks", "-o", work / "both").checked()
    found["compare"] = {
        "said": plain_text(done.out + done.err, work),
        "csv": (work / "both" / "compare.csv").read_text(),
    }
    return found


def _without_times(content: Any) -> Any:
    """Without every key that speaks of time or memory."""
    if isinstance(content, dict):
        return {key: _without_times(value) for key, value in content.items() if not re.search("second|_mb", key)}
    return [_without_times(value) for value in content] if isinstance(content, list) else content


def challenge(work: Path) -> dict[str, Any]:
    """Two boxes, and one with clicks, on a made-up case of the CVPR challenge."""
    inputs = work / "inputs"
    inputs.mkdir()
    random = np.random.default_rng(0)
    places = np.stack(np.indices((20, 40, 44)), -1)
    image = random.normal(60, 6, places.shape[:3])
    boxes = []
    for centre, radius in (((9, 12, 14), 6), ((11, 28, 30), 7)):
        image[((places - centre) ** 2).sum(-1) <= radius**2] += 90
        (z, y, x), r = centre, radius
        box = {"z_min": z - r, "z_max": z + r, "z_mid": z, "z_mid_y_min": y - r, "z_mid_y_max": y + r}
        boxes.append(box | {"z_mid_x_min": x - r, "z_mid_x_max": x + r})
    grey = np.clip(image, 0, 255).astype(np.uint8)
    spacing = np.array([2.5, 2.0, 2.0])
    np.savez_compressed(inputs / "CT_boxes.npz", imgs=grey, spacing=spacing, boxes=boxes)
    clicks = [{"fg": [[9, 12, 14]], "bg": [[9, 22, 14]]}, {"fg": [[11, 28, 30], [11, 26, 30]], "bg": []}]
    np.savez_compressed(inputs / "CT_clicks.npz", imgs=grey, spacing=spacing, boxes=boxes, clicks=clicks)
    openvista(work, "cvpr", "predict", "-i", inputs, "-o", work / "out", "--seconds-per-class", "0").checked()
    truth = np.zeros(grey.shape, np.uint8)
    for value, (centre, radius) in enumerate((((9, 12, 14), 6), ((11, 28, 30), 7)), start=1):
        truth[((places - centre) ** 2).sum(-1) <= radius**2] = value
    (work / "judged").mkdir()
    np.savez_compressed(work / "judged" / "CT_boxes.npz", imgs=grey, spacing=spacing, boxes=boxes, gts=truth)
    openvista(work, "cvpr", "evaluate", "-i", work / "judged", "-o", work / "scores").checked()
    with (work / "scores" / "starter_metrics.csv").open(newline="") as file:
        scores = [_without_times(row) for row in csv.DictReader(file)]
    found: dict[str, Any] = {"scores": [{k: v for k, v in row.items() if "ime" not in k} for row in scores]}
    for path in sorted((work / "out").iterdir()):
        with np.load(path) as arrays:
            found[path.name] = {key: array_sha(arrays[key]) for key in arrays.files}
            found[path.name]["voxels"] = np.bincount(arrays["segs"].ravel()).tolist()
    return found


# --- files --------------------------------------------------------------------------------------------------------


def files(work: Path) -> dict[str, Any]:
    """Supervoxels, data lists, and weights in other namings."""
    import torch

    openvista(work, "supervoxels", EXAMPLES / "case_092_ct.nii.gz", "-o", work / "sv").checked()
    pairs = work / "pairs"
    for folder, kind in (("images", "ct"), ("labels", "labels")):
        (pairs / folder).mkdir(parents=True)
        for case in ("041", "092", "100"):
            shutil.copy(EXAMPLES / f"case_{case}_{kind}.nii.gz", pairs / folder / f"case_{case}.nii.gz")
    made = openvista(work, "datalist", "make", pairs, "-o", pairs / "list.json", "--partial").checked()
    converted = {}
    starter = next((ROOT / "src").rglob("starter/card.json")).parent
    for naming in ("monai-1.4", "monai-1.3", "hf"):
        path = work / f"{naming}.pt"
        openvista(work, "models", "convert", starter, path, "--to", naming).checked()
        weights = torch.load(path, map_location="cpu", weights_only=True)
        weights = weights.get("state_dict", weights)
        listed = {name: array_sha(tensor.float().numpy()) for name, tensor in weights.items()}
        converted[naming] = {"names": sha256("\n".join(listed).encode()), "all": sha256(json.dumps(listed).encode())}
    return {
        "supervoxels": _nifti(work / "sv" / "case_092_ct_sv.nii.gz"),
        "their description": exact(read_json(work / "sv" / "case_092_ct_sv.json")),
        "data list": read_json(pairs / "list.json"),
        "said": plain_text(made.out + made.err, work),
        "converted": converted,
    }


# --- help and other texts -----------------------------------------------------------------------------------------


def help_texts(work: Path) -> dict[str, str]:
    """``--help`` of every command, found by following the lists of commands."""
    found: dict[str, str] = {}
    waiting = [[], ["evaluate", "compare"], ["evaluate", "run"]]  # these are in no list
    while waiting:
        command = waiting.pop(0)
        text = openvista(work, *command, "--help").checked().out
        found[" ".join(["openvista", *command])] = "\n".join(line.rstrip() for line in text.splitlines())
        waiting += [[*command, name] for name in _commands(text)]
    return found


def _commands(text: str) -> Iterator[str]:
    """The names in the panel of commands."""
    _, _, panel = text.partition("─ Commands ")
    for line in panel.splitlines():
        if match := re.match(r"│ ([a-z0-9][\w-]*) {2,}", line):
            yield match[1]


def words(work: Path) -> dict[str, Any]:
    """What short commands say, good and bad, with their exit codes."""
    images = work / "images"
    images.mkdir()
    for kind in ("ct", "labels"):
        shutil.copy(EXAMPLES / f"case_092_{kind}.nii.gz", images / f"case_092_{kind}.nii.gz")
    scan = images / "case_092_ct.nii.gz"
    bad = work / "bad.yaml"
    bad.write_text("name: bad\nstage: finetune\nstepps: 3\n")
    asked: list[list[object]] = [
        ["--version"],
        ["classes"],
        ["classes", "liv"],
        ["classes", "--model", "starter"],
        ["models"],
        ["models", "list"],
        ["models", "info", "starter"],
        ["models", "verify", "starter"],
        ["models", "download", "vista3d"],
        ["models", "info", "nothing"],
        ["segment", work / "missing.nii.gz"],
        ["segment", scan, "-c", "livr", "-o", work / "x.nii.gz"],
        ["segment", scan, "-c", "liver", "-o", work / "x.nii.gz"],
        ["segment", scan, "-o", work / "x.exe"],
        ["segment", scan, "--profile", "fast"],
        ["click", scan, "--at", "1,2"],
        ["click", scan, "--at", "1,2,3", "--class", "xyz"],
        ["datalist", "check", EXAMPLES / "finetune.json"],
        ["datalist", "check", work / "missing.json"],
        ["train", bad],
        ["train", ROOT / "recipes" / "starter.yaml", "--datalist", work / "missing.json"],
        ["finetune", EXAMPLES / "finetune.json", "--map", "1=livr"],
        ["evaluate", EXAMPLES / "finetune.json", "--protocol", "unknown"],
        ["evaluate", "compare", work / "a", work / "b"],
        ["cvpr", "predict", "-i", work / "none", "-o", work / "out"],
        ["serve", "--model", "nothing"],
        ["unknown"],
    ]
    return {" ".join(_word(item, work) for item in line): _told(openvista(work, *line), work) for line in asked}


def _word(item: object, work: Path) -> str:
    return plain_text(str(item), work)


def _told(done: Done, work: Path) -> dict[str, Any]:
    return {"code": done.code, "out": plain_text(done.out, work), "err": plain_text(done.err, work)}
