"""Jobs: what is left of one when it is over."""

import gc
import weakref

from openvista.errors import ServiceError
from openvista.serve.jobs import Job
from openvista.serve.schemas import Problem


def test_a_failed_job_lets_go_of_what_it_worked_on():
    class Large:
        pass

    def work(large):
        job = Job("clicks")
        try:
            raise ServiceError("full", status=429, code="queue-full")
        except ServiceError as error:
            job.finish(error)
        return job, weakref.ref(large)

    job, large = work(Large())
    gc.collect()
    assert large() is None
    assert job.problem == Problem(detail="full", code="queue-full")
