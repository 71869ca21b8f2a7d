"""Options of TotalSegmentator that people type by habit: a line that names ours, before a letter is read as another."""

from collections.abc import Sequence

from openvista.errors import InputError

_FAST = "use --fast: the same model on fewer windows"
_NOT_NEEDED = "leave it out: only windows in the body are computed, and memory does not grow with the classes"
_CLASSES = "use --class NAME, repeatable; 'openvista classes' lists the names, and theirs are understood"

OURS = {
    "-i": "give the CT without a letter: openvista segment CT -o out/",
    "-ot": "use --format nii.gz, dicom-seg or dicom-rtstruct, repeatable",
    "-ml": "leave it out: one label map is what is written; --per-class writes a file per structure",
    "-ta": "use --model NAME, and --class NAME for some of its classes",
    "-rs": _CLASSES,
    "-rsr": _CLASSES,
    "-rc": _NOT_NEEDED,
    "-f": _FAST,
    "-ff": _FAST,
    "-ms": "use --model NAME",
    "-s": "use --statistics",
    "-sa": "use --statistics, which has mean and median",
    "-sx": "use --statistics, which has all of it",
    "-sii": "use --statistics: structures at the border are measured, and marked as touches_border",
    "-ho": "leave it out: --mode smooth, the default, has smooth borders",
    "-ro": "leave it out: --mode chooses the way back to the scan's voxels",
    "-nr": "leave it out: OMP_NUM_THREADS sets the number of threads",
    "-ns": "leave it out: OMP_NUM_THREADS sets the number of threads",
    "-bs": _NOT_NEEDED,
    "-cp": "use --roi FILE",
    "-fs": _NOT_NEEDED,
    "-rp": "use --report; and the .json beside the label map says how it was made",
    "-sp": "use --probabilities",
    "-sl": "use --spacing MM",
    "-rmb": "leave it out: what lies far from a structure that is in one piece is left out",
    "-ss": "use --statistics; the label map is always written",
    "-r": "there are no radiomics here: --statistics has volumes and HU",
    "-lt": "use 'openvista models'",
    "-lc": "use 'openvista classes'",
    "-l": "leave it out: no licence number is needed",
}
_LONG = {
    "--output_type": "-ot", "--ml": "-ml", "--task": "-ta", "--roi_subset": "-rs", "--roi_subset_robust": "-rsr",
    "--robust_crop": "-rc", "--fastest": "-ff", "--model_size": "-ms", "--statistics_extra": "-sx",
    "--stats_include_incomplete": "-sii", "--higher_order_resampling": "-ho", "--resampling_order": "-ro",
    "--nr_thr_resamp": "-nr", "--nr_thr_saving": "-ns", "--body_seg": "-bs", "--crop_path": "-cp",
    "--force_split": "-fs", "--save_probabilities": "-sp", "--list-tasks": "-lt",
    "--list-classes": "-lc", "--license_number": "-l", "--save_lowres": "-sl", "--remove_small_blobs": "-rmb",
    "--skip_saving": "-ss", "--radiomics": "-r",
}  # fmt: skip


def refuse_totalsegmentator_options(arguments: Sequence[str]) -> None:
    """Refuse what is an option of TotalSegmentator's and none of ours.

    Raises:
        InputError: it says what to use instead.
    """
    for argument in arguments:
        if argument == "--":
            return
        option = argument.split("=")[0]
        instead = OURS.get(_LONG.get(option, option))
        if instead is not None:
            raise InputError(f"{option} is an option of TotalSegmentator: {instead}")
