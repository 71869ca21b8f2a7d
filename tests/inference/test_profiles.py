from dataclasses import FrozenInstanceError, asdict

import pytest

from openvista.errors import InputError
from openvista.inference.profiles import BEST, BUNDLE, FAST, PROFILES, RESEARCH, Profile, find_profile


def test_profiles_differ_in_named_choices_only():
    def difference(one, other):
        return {key for key, value in asdict(one).items() if value != asdict(other)[key]}

    assert difference(BEST, BUNDLE) == {
        "name",
        "overlap",
        "mode",
        "skip_air",
        "grow",
        "click_weighting",
        "local_clicks",
        "enforce_clicks",
        "drop_strays",
        "orient_first",
        "placement",
        "everywhere",
    }
    assert difference(BEST, FAST) == {"name", "overlap"}
    assert not BUNDLE.grow
    assert difference(BUNDLE, RESEARCH) == {"name", "overlap", "padding", "orient_first"}
    assert (BUNDLE.overlap, RESEARCH.overlap) == (0.3, 0.625)  # paper facts §5
    assert all(name == profile.name for name, profile in PROFILES.items())


def test_explicit_choices_override_the_profile_and_say_so():
    assert BEST.override(overlap=None, mode=None) is BEST
    assert BEST.override(overlap=BEST.overlap) is BEST
    chosen = BEST.override(overlap=0.25, mode="exact", skip_air=False)
    assert (chosen.overlap, chosen.mode, chosen.skip_air, chosen.weighting) == (0.25, "exact", False, BEST.weighting)
    assert chosen.name == "custom"


def test_a_profile_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        BEST.overlap = 0.1


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"overlap": 1.0}, "overlap must be at least 0 and less than 1, not 1.0"),
        ({"overlap": -0.1}, "not -0.1"),
        ({"mode": "nearest"}, "mode must be smooth or exact, not 'nearest'"),
        ({"weighting": "linear"}, "weighting must be gaussian or constant"),
        ({"placement": "random"}, "placement must be official or even"),
        ({"padding": "mirror"}, "padding must be constant or replicate"),
    ],
)
def test_impossible_choices_are_refused(choice, message):
    with pytest.raises(InputError, match=message) as caught:
        BEST.override(**choice)
    assert "\n" not in str(caught.value)


def test_unknown_profiles_name_the_known_ones():
    assert find_profile("bundle") is BUNDLE
    assert find_profile(BEST) is BEST
    with pytest.raises(InputError, match="no profile 'quick': there is best, fast, bundle, research"):
        find_profile("quick")


def test_session_files_keep_their_keys():
    stored = BEST.stored()
    assert stored["heed_clicks"] is True
    assert "enforce_clicks" not in stored
    assert Profile.from_stored(stored) == BEST
    assert Profile.from_stored(asdict(BEST)) == BEST
    del stored["heed_clicks"], stored["placement"]  # of before there was a choice
    assert not Profile.from_stored(stored).enforce_clicks
    assert Profile.from_stored(stored).placement == "official"
