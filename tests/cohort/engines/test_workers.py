"""What a driver knows of a worker: whom to give the next try, and what is lost with it."""

import time

from openvista.cohort.case import Attempt, CaseResult, CohortCase
from openvista.cohort.engines.workers import InHand, too_long
from openvista.cohort.failures import WORKER, Failure


def attempt(name: str, tries: int = 1) -> Attempt:
    return Attempt(CohortCase(name, name), tries=tries)


def holding(*attempts: Attempt) -> InHand:
    in_hand = InHand()
    for one in attempts:
        in_hand.take(one)
    in_hand.asks = True
    return in_hand


def test_only_first_tries_share_a_worker():
    assert (holding().free, holding().ahead) == (True, False)
    assert (holding(attempt("a")).free, holding(attempt("a")).ahead) == (False, True)
    assert (holding(attempt("a", 2)).free, holding(attempt("a", 2)).ahead) == (False, False)
    in_hand = holding()
    in_hand.take(attempt("a"))
    assert (in_hand.free, in_hand.ahead) == (False, False), "it has to ask again"


def test_a_death_counts_for_all_and_a_time_out_for_the_oldest():
    lost = holding(attempt("a"), attempt("b")).lost(Failure(WORKER, "", "SIGKILL"), 7)
    assert [(one.attempt.case.id, one.failure.kind, one.pid) for one in lost] == [
        ("a", "worker", 7),
        ("b", "worker", 7),
    ]
    lost = holding(attempt("a"), attempt("b")).lost(too_long(3))
    assert [one.failure.kind for one in lost] == ["timeout", "worker"]
    assert "a took too long" in lost[1].failure.message


def test_the_time_of_a_try_begins_when_it_is_the_oldest():
    in_hand = holding(attempt("a"), attempt("b"))
    first = in_hand.since
    time.sleep(0.02)
    in_hand.ended(CaseResult(attempt("a")))
    assert in_hand.since >= first + 0.02
    assert [one.case.id for one in in_hand.tries] == ["b"]
