"""The queue of a node: what a series goes through, restarts at every moment, and its bounds."""

from pathlib import Path

import pytest

from openvista.pacs.queue import QueuedSeries, QueueFull, SeriesQueue, SeriesState
from openvista.pacs.rules import SeriesFacts

QUIET = 30.0
FACTS = SeriesFacts(modality="CT")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(tmp_path, clock) -> SeriesQueue:
    return SeriesQueue(tmp_path, 1000, QUIET, clock)


def restarted(tmp_path: Path, clock: Clock) -> SeriesQueue:
    return SeriesQueue(tmp_path, 1000, QUIET, clock)


def complete(queue: SeriesQueue, clock: Clock, images: int = 3) -> QueuedSeries:
    for number in range(images):
        queue.add("1.2", f"1.2.{number}", FACTS, b"image")
    clock.now += QUIET
    series = queue.next()
    assert series is not None
    return series


def segmented(queue: SeriesQueue, clock: Clock) -> QueuedSeries:
    series = complete(queue, clock)
    queue.begin(series, "rule")
    series.results.mkdir()
    (series.results / "dicom-seg.dcm").write_bytes(b"result")
    queue.begin_sending(series)
    return series


def test_a_series_is_complete_after_a_quiet_time(queue, clock):
    assert queue.add("1.2", "1.2.1", FACTS, b"image")
    clock.now += QUIET - 1
    assert queue.add("1.2", "1.2.2", FACTS, b"image")
    clock.now += QUIET - 1
    assert queue.next() is None
    clock.now += 1
    series = queue.next()
    assert series.images == {"1.2.1", "1.2.2"}
    assert series.entry.state is SeriesState.SEGMENTING
    assert sorted(path.name for path in series.instances.iterdir()) == ["1.2.1.dcm", "1.2.2.dcm"]


def test_an_image_that_comes_again_changes_nothing(queue, clock):
    series = complete(queue, clock)
    assert not queue.add("1.2", "1.2.0", FACTS, b"another")
    assert (series.instances / "1.2.0.dcm").read_bytes() == b"image"
    queue.finish(series, SeriesState.DONE)
    clock.now += 100
    queue.tidy(keep_seconds=50, remember_seconds=1000)
    assert list(series.instances.iterdir()) == []
    assert not queue.add("1.2", "1.2.0", FACTS, b"image"), "recognised after its file is deleted"
    assert series.entry.state is SeriesState.DONE


def test_the_longest_waiting_comes_first(queue, clock):
    queue.add("1.3", "1.3.1", FACTS, b"image")
    clock.now += 1
    queue.add("1.2", "1.2.1", FACTS, b"image")
    clock.now += QUIET
    first = queue.next()
    assert first.entry.uid == "1.3"
    queue.finish(first, SeriesState.DONE)
    assert queue.next().entry.uid == "1.2"
    assert queue.count(SeriesState.DONE) == 1


def test_an_earlier_life_goes_on_where_it_was(queue, clock, tmp_path):
    complete(queue, clock)
    again = restarted(tmp_path, clock)
    series = again.next()
    assert (series.entry.state, len(series.images)) == (SeriesState.SEGMENTING, 3)
    sending = segmented(restarted(tmp_path, clock), clock)
    restarted(tmp_path, clock).note_sent(sending, "archive/dicom-seg")
    third = restarted(tmp_path, clock).next()
    assert (third.entry.state, third.entry.sent) == (SeriesState.SENDING, ["archive/dicom-seg"])
    assert (third.results / "dicom-seg.dcm").read_bytes() == b"result"


def test_after_a_restart_the_quiet_time_begins_anew(queue, clock, tmp_path):
    queue.add("1.2", "1.2.1", FACTS, b"image")
    clock.now += 10 * QUIET
    again = restarted(tmp_path, clock)
    assert again.next() is None
    clock.now += QUIET
    assert again.next() is not None


def test_what_a_kill_left_half_written_is_deleted(queue, clock, tmp_path):
    series = complete(queue, clock)
    (series.instances / ".ab12-1.2.9.dcm").write_bytes(b"half")
    series.unfinished_results.mkdir()
    (series.unfinished_results / "dicom-seg.dcm").write_bytes(b"half")
    again = restarted(tmp_path, clock).next()
    assert again.images == {"1.2.0", "1.2.1", "1.2.2"}
    assert not again.unfinished_results.exists()


def test_a_damaged_entry_is_kept_aside(queue, clock, tmp_path):
    series = complete(queue, clock)
    (series.folder / "entry.json").write_text("{")
    assert len(restarted(tmp_path, clock)) == 0
    assert len(list(tmp_path.glob("*.damaged/instances/*.dcm"))) == 3


def test_late_slices_begin_the_series_again(queue, clock):
    series = complete(queue, clock)
    queue.add("1.2", "1.2.9", FACTS, b"late")
    queue.finish(series, SeriesState.DONE)
    assert series.entry.state is SeriesState.RECEIVING
    clock.now += QUIET
    assert len(queue.next().images) == 4
    queue.finish(series, SeriesState.DONE)
    queue.add("1.2", "1.2.10", FACTS, b"later still")
    assert series.entry.state is SeriesState.RECEIVING


def test_what_failed_is_tried_again_when_it_is_sent_again(queue, clock):
    series = complete(queue, clock)
    queue.finish(series, SeriesState.FAILED, "no such model")
    assert not queue.add("1.2", "1.2.0", FACTS, b"image")
    assert series.entry.state is SeriesState.RECEIVING
    queue.finish(series, SeriesState.FAILED, "again")
    clock.now += 100
    queue.tidy(keep_seconds=50, remember_seconds=1000)
    assert queue.add("1.2", "1.2.0", FACTS, b"image"), "its file is gone: it must be taken"


def test_no_more_is_taken_than_may_be_kept(queue, clock):
    queue.add("1.2", "1.2.1", FACTS, b"x" * 600)
    with pytest.raises(QueueFull):
        queue.add("1.3", "1.3.1", FACTS, b"x" * 600)
    clock.now += QUIET
    queue.finish(queue.next(), SeriesState.DONE)
    queue.tidy(keep_seconds=0, remember_seconds=1000)
    assert queue.add("1.3", "1.3.1", FACTS, b"x" * 600), "deleted files make room"


def test_what_is_over_for_long_is_forgotten(queue, clock, tmp_path):
    series = complete(queue, clock)
    queue.finish(series, SeriesState.IGNORED)
    clock.now += 2000
    queue.tidy(keep_seconds=50, remember_seconds=1000)
    assert not series.folder.exists()
    assert len(queue) == 0


def test_a_postponed_series_waits(queue, clock):
    series = segmented(queue, clock)
    queue.begin(series, "rule")
    queue.postpone(series, 60, "cannot be reached")
    assert queue.next() is None
    clock.now += 60
    assert queue.next() is series
    assert series.entry.attempts == 1
