"""Profiles: named sets of inference choices. Needs no torch.

Two profiles differ in what the ``replace`` below shows and in nothing else.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

from openvista.errors import InputError

WEIGHTINGS = ("gaussian", "constant")
PLACEMENTS = ("official", "even")
MODES = ("smooth", "exact")
PADDINGS = ("constant", "replicate")

_FIELDS = {"heed_clicks": "enforce_clicks"}
"""Key in session files to field, where they differ."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The choices of one whole-scan inference.

    Attributes:
        name: what users call it; ``"custom"`` once something was overridden.
        overlap: share of a window that the next one covers again at least, 0 <= overlap < 1.
        weighting: how overlapping windows are averaged: ``"gaussian"`` (centres count more) or ``"constant"``.
        mode: the way back to the scan's grid. ``"smooth"``: interpolate what the network says, then decide per voxel;
            ``"exact"``: decide on the model grid, then take the nearest voxel, as the official pipeline does.
        skip_air: look only at the body: crop to its bounding box, and leave out windows that hold nothing of it.
        padding: what surrounds a scan that is smaller than a window: air (``"constant"``, the lower end of the HU
            window) or its border repeated (``"replicate"``).
        grow: whether the mask of a click goes on into neighbouring windows when it reaches the border of its own.
        click_weighting: how the overlapping windows of clicks are averaged, as ``weighting``.
        local_clicks: a click that corrects a mask changes only what lies nearer to it than to the object's other clicks
            and is connected with it (:func:`openvista.session.merge.correct_nearby`). Otherwise all clicks are answered
            together every time, as in the paper, and each may change all of the object.
        enforce_clicks: a click is always right: where the network's answer contradicts one, its logits are shifted
            around it (see :mod:`openvista.session.merge`). Otherwise a click may do nothing, as in the paper.
        drop_strays: class prompts leave out what lies far from the rest of a structure that is in one piece
            (:func:`openvista.inference.strays.remove_strays`), such as spinal cord in an upper arm.
        orient_first: a scan is brought to RAS order before it is resampled, as in training and in the paper's code;
            otherwise after, as in the official bundle (:func:`openvista.prepare.model_grid`).
        placement: ``"official"``: windows follow each other by the same step, and the last is shifted back to end with
            the scan; ``"even"``: as many, spread evenly (:func:`openvista.inference.windows.axis_starts`).
        everywhere: class prompts look at every window; otherwise, for few classes that are in one piece each, only
            near what some of the windows found (:mod:`openvista.inference.search`).

    Raises:
        InputError: a value that does not exist.
    """

    name: str
    overlap: float
    weighting: str
    mode: str
    skip_air: bool
    padding: str
    grow: bool = True
    click_weighting: str = "gaussian"
    local_clicks: bool = True
    drop_strays: bool = True
    enforce_clicks: bool = False  # so that session files from before this choice stay what they were
    orient_first: bool = True
    placement: str = "official"  # as of all session files from before there was a choice
    everywhere: bool = True  # so do these

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < 1:
            raise InputError(f"overlap must be at least 0 and less than 1, not {self.overlap}; 0.5 is usual")
        for field, value, allowed in (
            ("weighting", self.weighting, WEIGHTINGS),
            ("mode", self.mode, MODES),
            ("placement", self.placement, PLACEMENTS),
            ("padding", self.padding, PADDINGS),
            ("click_weighting", self.click_weighting, WEIGHTINGS),
        ):
            if value not in allowed:
                raise InputError(f"{field} must be {' or '.join(allowed)}, not {value!r}")

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> "Profile":
        """The profile that a session file holds, see :meth:`stored`."""
        return cls(**{_FIELDS.get(key, key): value for key, value in stored.items()})

    def stored(self) -> dict[str, Any]:
        """The profile as session files hold it. Some of their keys are older than the names of the fields."""
        keys = {field: key for key, field in _FIELDS.items()}
        return {keys.get(field, field): value for field, value in asdict(self).items()}

    def override(self, **choices: object) -> "Profile":
        """This profile with explicit choices; those that are ``None`` keep the profile's."""
        chosen = {key: value for key, value in choices.items() if value is not None and value != getattr(self, key)}
        return replace(self, name="custom", **chosen) if chosen else self  # type: ignore[arg-type]


BEST = Profile(
    name="best",
    overlap=0.4,
    weighting="gaussian",
    mode="smooth",
    skip_air=True,
    padding="replicate",
    enforce_clicks=True,
    placement="even",
    everywhere=False,
)
"""Ours. Most voxels are seen by eight windows. Spread evenly, windows that overlap by 0.4 or more do what those of the
official placement do at 0.5, at 0.56 of the time (benchmarks/profile_speed.py). Edges are decided on the scan's own
grid. Air costs nothing: looking only at the body moves windows, as the official bundle's crop does (monai-bundle facts
§4), but leaves none out that touches the body."""

FAST = replace(BEST, name="fast", overlap=0.15)
"""Fewer windows: most voxels are seen by one or two instead of by eight. Edges are decided as in ``best``: deciding
them on the model grid saved nothing and cost Dice (benchmarks/profile_speed.py)."""

BUNDLE = replace(
    BEST,
    name="bundle",
    overlap=0.3,
    placement="official",
    mode="exact",
    skip_air=False,
    grow=False,
    click_weighting="constant",
    local_clicks=False,
    enforce_clicks=False,
    drop_strays=False,
    orient_first=False,
    everywhere=True,
)
"""What the official bundle's configuration says (overlap 0.3, Gaussian, replicate padding since 0.5.7; paper facts
§5) and not what its code does: there the automatic path falls back to overlap 0.25 with constant weights. We also
leave its crop of voxels above 0 HU out, because the scan's own frame makes windows comparable. It resamples before it
orients, as we do here (docs/sources.md has what is left of a difference). Windows of clicks are
averaged, which is what its code is meant to do; it sums them."""

RESEARCH = replace(BUNDLE, name="research", overlap=0.625, padding="constant", orient_first=True)
"""The paper's evaluation: overlap 0.625, Gaussian (paper facts §5). About 7 times the windows of ``bundle``."""

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {profile.name: profile for profile in (BEST, FAST, BUNDLE, RESEARCH)}
)


def find_profile(profile: str | Profile) -> Profile:
    """A profile by name.

    Raises:
        InputError: there is none of that name.
    """
    if isinstance(profile, Profile):
        return profile
    if profile not in PROFILES:
        raise InputError(f"no profile {profile!r}: there is {', '.join(PROFILES)}")
    return PROFILES[profile]
