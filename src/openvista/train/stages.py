"""The stages of the paper's recipe (paper facts §6): what is trained, what is asked, for how long.

A stage is a set of defaults; a recipe has the same keys, names a stage and overrides what it wants.
The stages are written as changes of each other, so that the difference is what one reads.
"""

from collections.abc import Callable
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Part = Literal["encoder", "automatic", "point"]
PARTS: tuple[Part, ...] = get_args(Part)
"""What can be trained or frozen: the encoder; decoder and head of class prompts; decoder and head of clicks."""


class Stage(BaseModel):
    """The keys of a recipe that a stage decides.

    Attributes:
        stage: its name.
        trained: the parts that learn, of ``PARTS``; the others are frozen.
        class_probability: share of patches that are asked by class.
        most_present, most_absent: class prompts per patch at most, of each kind.
        click_probability: share of patches that are asked by clicks. A patch that would be asked nothing is asked by
            clicks if this is not 0.
        most_objects: objects clicked on per patch at most.
        most_clicks: first clicks of each kind on an object at most; how many is drawn (``max_point`` of the original).
        rounds: rounds of clicks after the first one.
        step_every_round: one optimiser step per round, as in the paper. Otherwise the rounds' losses are averaged and
            one step is made, which costs one pass through the decoder instead of one per round.
        user_share: share of clicked patches on which not the paper's rule clicks but the evaluation's simulated user:
            once in the middle of each object, then one click at a time in the middle of the largest error.
        user: who that simulated user is: "evaluation", or "challenge", who begins with a box and then clicks as the
            CVPR 2025 challenge does.
        user_rounds: clicks of that user after the first one at most; how many is drawn. Only the answers to the first
            and to the last one give loss, unless ``step_every_round``.
        blend: where a patch is asked by class and by clicks, the clicked objects' logits are those of the class, and
            those of the clicks near the clicks, as the bundle trains; otherwise each branch has its own loss.
        supervoxels: make objects of supervoxels too, where a case has them.
        labels: "manual", or "manual+pseudo" to fill in what nobody marked from the case's pseudo-label.
        oversample: a training case of a data list of n cases is drawn max(1, ``oversample`` / n) times as often as
            one of a large list; ``None`` draws all alike.
        balance: draw a case the more often the fewer others show its structures, and centre patches on these more
            often, for lists in which not every structure is marked in every case.
        epochs: passes over the training cases, ``patches_per_case`` patches of each; ``None`` leaves it to ``steps``.
        steps: draws of patches, each learnt from by one optimiser step or, with ``step_every_round``, by one per round;
            ``None`` leaves it to ``epochs``.
        learning_rate: peak.
        warmup_steps: steps until it is reached.
        schedule: "cosine" to zero, or "constant".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str = "automatic"
    trained: tuple[Part, ...] = Field(min_length=1)
    class_probability: float = Field(default=0.0, ge=0, le=1)
    most_present: int = Field(default=32, ge=0)
    most_absent: int = Field(default=4, ge=0)
    click_probability: float = Field(default=0.0, ge=0, le=1)
    most_objects: int = Field(default=4, ge=1)
    most_clicks: int = Field(default=3, ge=1)
    rounds: int = Field(default=4, ge=0)
    step_every_round: bool = True
    user_share: float = Field(default=0.0, ge=0, le=1)
    user_rounds: int = Field(default=9, ge=1)
    user: Literal["evaluation", "challenge"] = "evaluation"
    blend: bool = False
    supervoxels: bool = False
    labels: Literal["manual", "manual+pseudo"] = "manual"
    oversample: float | None = Field(default=None, gt=0)
    balance: bool = False
    epochs: float | None = Field(default=None, gt=0)
    steps: int | None = Field(default=None, ge=1)
    learning_rate: float = Field(default=2e-5, gt=0)
    warmup_steps: int = Field(default=0, ge=0)
    schedule: Literal["cosine", "constant"] = "cosine"


def stage1() -> Stage:
    """Clicks on every scan, with supervoxels: the network learns what an object is."""
    return Stage(stage="stage1", trained=("encoder", "point"), click_probability=1.0, supervoxels=True, epochs=300)


def stage2() -> Stage:
    """The same on labelled scans, small data sets drawn more often."""
    return _changed(stage1(), stage="stage2", supervoxels=False, oversample=100.0)


def stage3() -> Stage:
    """Class prompts with pseudo-labels; the encoder is frozen."""
    return Stage(stage="stage3", trained=("automatic",), class_probability=1.0, labels="manual+pseudo", epochs=200)


def stage4() -> Stage:
    """The same, labelled scans drawn more often."""
    return _changed(stage3(), stage="stage4", oversample=100.0)


def finetune() -> Stage:
    """The encoder learns too, every class of a scan is asked."""
    return _changed(
        stage3(),
        stage="finetune",
        trained=("encoder", "automatic"),
        labels="manual",
        most_present=512,
        most_absent=512,
        learning_rate=5e-5,
    )


def joint() -> Stage:
    """Both branches at once, each left out of a quarter of the patches, as the bundle fine-tunes."""
    return _changed(
        finetune(),
        stage="joint",
        trained=PARTS,
        class_probability=0.75,
        click_probability=0.75,
        step_every_round=False,
        blend=True,
        schedule="constant",
    )


def automatic() -> Stage:
    """From random weights: encoder and class prompts, with a learning rate for small networks."""
    return Stage(
        trained=("encoder", "automatic"), class_probability=1.0, steps=10_000, learning_rate=1e-3, warmup_steps=200
    )


def cvpr25() -> Stage:
    """Boxes and clicks on any object of any image, as in the CVPR 2025 challenge.

    Length and rate are those of its baseline (challenge facts §6).
    """
    return Stage(
        stage="cvpr25",
        trained=("encoder", "point"),
        click_probability=1.0,
        most_objects=10,
        step_every_round=False,
        user_share=1.0,
        user_rounds=5,
        user="challenge",
        epochs=100,
        learning_rate=2e-6,
    )


def _changed(stage: Stage, /, **changes: Any) -> Stage:
    """A stage that differs in some keys."""
    return Stage.model_validate(stage.model_dump() | changes)


STAGES: dict[str, Callable[[], Stage]] = {
    make.__name__: make for make in (stage1, stage2, stage3, stage4, finetune, joint, automatic, cvpr25)
}
