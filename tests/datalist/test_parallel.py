"""Work on many items at once: in order, few at a time, and no longer than it makes sense."""

import threading
import time

import pytest

from openvista.datalist.parallel import MOST_WORKERS, in_parallel

PATIENCE_S = 30


def test_results_and_calls_keep_the_order_though_the_first_item_ends_last():
    others_are_done = threading.Event()
    left = list(range(1, 6))
    seen = []

    def work(item):
        if item == 0:
            assert others_are_done.wait(PATIENCE_S)
        else:
            left.remove(item)
            if not left:
                others_are_done.set()
        return item * item

    assert in_parallel(work, iter(range(6)), workers=2, done=lambda: seen.append(len(left))) == [0, 1, 4, 9, 16, 25]
    assert seen == [0] * 6


@pytest.mark.parametrize(("workers", "cores", "most"), [(2, 64, 2), (None, 64, MOST_WORKERS), (None, 1, 1)])
def test_so_many_are_under_way_and_no_more(monkeypatch, workers, cores, most):
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    together = threading.Barrier(most)
    under_way, highest, lock = 0, 0, threading.Lock()

    def work(item):
        nonlocal under_way, highest
        with lock:
            under_way += 1
            highest = max(highest, under_way)
        together.wait(PATIENCE_S)  # nobody goes on before all that may work do
        time.sleep(0.02)  # time for one too many
        with lock:
            under_way -= 1

    in_parallel(work, range(3 * most), workers)
    assert highest == most


@pytest.mark.parametrize("stopped_by", ["the work", "what is called after it"])
def test_an_error_reaches_the_caller_and_what_has_not_begun_is_dropped(stopped_by):
    begun, ended = [], []

    def work(item):
        begun.append(item)
        if item == 1 and stopped_by == "the work":
            raise KeyboardInterrupt
        if item > 1:
            time.sleep(0.05)  # as long as nothing is dropped, the rest takes a second

    def done():
        ended.append(len(ended))
        if stopped_by != "the work":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_parallel(work, range(20), workers=1, done=done)
    assert ended == [0]
    assert len(begun) < 20


def test_nothing_to_do():
    assert in_parallel(str, []) == []
