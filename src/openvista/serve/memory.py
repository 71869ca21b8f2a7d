"""What a session takes of memory, and how to make it take less. Everything it forgets it can make again."""

from openvista.session.session import Session

_SHARE_OF_CACHE = 4
"""A cache of one session gets this part of what all sessions may take: a session has four of them."""


def session_bytes(session: Session) -> int:
    """Memory that a session holds: masks, logits, features, the prepared scan. The scan itself is mapped from disk."""
    bench = session.bench
    total = sum(part.nbytes for part in (*bench.automatic.values(), *bench.masks.values()))
    total += sum(layer.nbytes for layer in bench.restored.values())
    total += bench._shown.nbytes + sum(part.nbytes for part in bench._starts.values())
    if bench._features is not None and type(bench._features.values_XYZC).__name__ != "memmap":
        total += int(bench._features.values_XYZC.nbytes)
    if "prepared" in bench.__dict__:
        total += int(bench.prepared.image_XYZ.nbytes)
    if "answering" in bench.__dict__:
        engine = bench.answering.engine
        total += bench.answering.layers.nbytes + engine.answers.nbytes + engine.features.nbytes
    return total


def bound_caches(session: Session, most_bytes: int) -> None:
    """Let the caches of a session grow to their share and no further."""
    bench, share = session.bench, most_bytes // _SHARE_OF_CACHE
    bench._shown.limit = min(bench._shown.limit, share)
    if "answering" in bench.__dict__:
        engine = bench.answering.engine
        for cache in (bench.answering.layers, engine.answers, engine.features):
            cache.limit = min(cache.limit, share)


def forget(session: Session) -> None:
    """Empty the caches of a session that somebody still works with."""
    bench = session.bench
    bench._shown.clear()
    if "answering" in bench.__dict__:
        bench.answering.layers.clear()
        bench.answering.engine.answers.clear()
        bench.answering.engine.features.clear()
