"""Few-shot learning: a model fine-tuned on 1, 5 and 10 scans, against the same network from random weights.

Both learn from the same scans with the same number of steps, spacing and patch, and with nothing held out: the labels
of the shots are the only ones seen. Scored on the testing list by class prompts, on the scans' own voxels.

    # structures that the model never saw as labels
    python benchmarks/few_shot.py openkbp/dataset.json --model runs/without-parotids/model --steps 600 \\
        --map "right parotid=new" --map "left parotid=new" --map "larynx=new" -o runs/few-shot

    # the sarcoma pack
    python benchmarks/few_shot.py sarcoma/dataset.json --map "1=new:sarcoma" --steps 600 -o runs/few-shot-sarcoma

Each run is an ``openvista finetune`` and an ``openvista evaluate`` in a folder of its own, so a broken series goes on
where it stopped. Results: ``few_shot.csv`` (one line per structure and run, and per mean over structures), and a table.
"""

import argparse
import csv
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from openvista.evaluate.report.results import read_results
from openvista.io import replacing

STARTS = ("fine-tuned", "scratch")
COLUMNS = ("structure", "shots", "start", "seed", "steps", "scans", "dice", "dice_low", "dice_high", "missed")
Row = dict[str, object]


def main() -> None:
    arguments = read_arguments()
    rows: list[Row] = []
    for seed in arguments.seeds:
        for shots in arguments.shots:
            for start in STARTS:
                folder = arguments.output / f"{start}-{shots}-seed{seed}"
                train(folder, start, shots, seed, arguments)
                evaluate(folder, arguments)
                named = {"shots": shots, "start": start, "seed": seed, "steps": arguments.steps}
                rows += [named | score for score in scores(folder)]
                write_table(arguments.output / "few_shot.csv", rows)
    print(markdown(rows, arguments.shots))


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datalist", type=Path)
    parser.add_argument("--map", action="append", required=True, help="LABEL=CLASS, as for openvista finetune")
    parser.add_argument("--model", default="starter")
    parser.add_argument("--shots", type=numbers, default=[1, 5, 10], help="comma separated")
    parser.add_argument("--seeds", type=numbers, default=[0], help="comma separated; of the shots and of training")
    parser.add_argument("--steps", type=int, required=True, help="of every run")
    parser.add_argument("--only-in-slices", default="", help="as for openvista evaluate")
    parser.add_argument("--finetune", type=shlex.split, default=[], help='for both starts, as in --finetune="--mirror"')
    parser.add_argument(
        "--pretrained", type=shlex.split, default=[], help="beside --finetune, for the start from the model alone"
    )
    parser.add_argument("--evaluate", type=shlex.split, default=[], help="more options of openvista evaluate")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/few-shot"))
    return parser.parse_args()


def numbers(text: str) -> list[int]:
    return [int(piece) for piece in text.split(",")]


def train(folder: Path, start: str, shots: int, seed: int, arguments: argparse.Namespace) -> None:
    """Fine-tune, unless the folder holds a finished model."""
    if (folder / "model" / "card.json").is_file():
        return
    if (folder / "recipe.json").is_file():
        shutil.rmtree(folder)  # of a run that was broken off
    mapping = [word for item in arguments.map for word in ("--map", item)]
    choices = [
        "--shots",
        shots,
        "--steps",
        arguments.steps,
        "--seed",
        seed,
        "--fold",
        "none",
        "--branches",
        "automatic",
    ]
    more = ["--from-scratch"] if start == "scratch" else arguments.pretrained
    limited = ["--only-in-slices", arguments.only_in_slices] if arguments.only_in_slices else []
    command = ["finetune", arguments.datalist, "--model", arguments.model, *mapping, *choices, *more, *limited]
    openvista(*command, *arguments.finetune, "-o", folder)


def evaluate(folder: Path, arguments: argparse.Namespace) -> None:
    """Score on the testing list, unless that is done."""
    if (folder / "scores" / "scores.json").is_file():
        return
    classes = json.loads((folder / "recipe.json").read_text())["classes"]
    mapping = [word for value, class_id in classes.items() for word in ("--map", f"{value}={class_id}")]
    limited = ["--only-in-slices", arguments.only_in_slices] if arguments.only_in_slices else []
    resume = ["--resume"] if (folder / "scores").exists() else []
    command = ["evaluate", arguments.datalist, "--model", folder / "model", "--protocol", "auto", *mapping, *limited]
    openvista(*command, *arguments.evaluate, *resume, "-o", folder / "scores")


def scores(folder: Path) -> Iterator[Row]:
    """A row per structure, and one for the mean over structures if there are several."""
    results = read_results(folder / "scores")
    for summary in results.summaries() if len(results.info.names) > 1 else results.summaries()[:1]:
        dice = summary.statistics["dice"]
        name = "mean over structures" if summary.class_id is None else results.info.names[summary.class_id]
        limits = {"dice_low": round(dice.low, 4), "dice_high": round(dice.high, 4)}
        yield {
            "structure": name,
            "scans": summary.cases,
            "dice": round(dice.mean, 4),
            **limits,
            "missed": summary.missed,
        }


def write_table(path: Path, rows: list[Row]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def markdown(rows: list[Row], shots: list[int]) -> str:
    """Mean Dice over seeds: a line per structure and start, a column per number of shots."""
    cells: dict[tuple[object, object, object], list[float]] = {}
    for row in rows:
        cells.setdefault((row["structure"], row["start"], row["shots"]), []).append(float(str(row["dice"])))
    lines = ["| structure | start | " + " | ".join(map(str, shots)) + " |", "|---|---|" + "---|" * len(shots)]
    for structure, start in dict.fromkeys((row["structure"], row["start"]) for row in rows):
        means = [sum(values) / len(values) for count in shots if (values := cells[structure, start, count])]
        lines.append(f"| {structure} | {start} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")
    return "\n".join(lines)


def openvista(*arguments: object) -> None:
    command = [sys.executable, "-m", "openvista", *map(str, arguments)]
    print("openvista", *command[3:], flush=True)
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
