from dataclasses import dataclass

from openvista.session.byte_cache import ByteCache


@dataclass(frozen=True)
class Thing:
    nbytes: int


def test_what_was_used_longest_ago_goes_first():
    cache = ByteCache[Thing](100)
    for key in "ab":
        cache.get(key, lambda: Thing(40))
    cache.get("a", lambda: Thing(1))
    cache.get("c", lambda: Thing(40))
    assert "b" not in cache
    assert "a" in cache
    assert cache.nbytes == 80
    assert cache.made == 3


def test_what_is_used_now_stays_however_large():
    cache = ByteCache[Thing](10)
    big = cache.get("big", lambda: Thing(99))
    assert cache.get("big", lambda: Thing(0)) is big
    cache.get("small", lambda: Thing(1))
    assert "big" not in cache
    assert len(cache) == 1
