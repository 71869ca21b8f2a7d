"""One queue per device. Models are loaded once; each device computes one thing at a time, in the order of asking."""

import asyncio
import logging
import math
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from openvista.errors import ModelError, OpenVistaError, ServiceError
from openvista.inference.progress import Report
from openvista.model import Model, load_model
from openvista.serve.jobs import Job
from openvista.serve.observe import Metrics
from openvista.serve.settings import Settings

logger = logging.getLogger(__name__)
T = TypeVar("T")
Work = Callable[[Report], T]

_LOADING_RETRY_SECONDS = 3
_FIRST_GUESS_SECONDS = 2.0


class Lane:
    """A device with its models, its thread, and its queue.

    Args:
        device: its name, as users write it.
        settings: which models, which precision, how long the queue may be.
        metrics: told about every job.

    Attributes:
        models: by name, once loaded.
        pending: jobs that wait or run.
    """

    def __init__(self, device: str, settings: Settings, metrics: Metrics) -> None:
        self.device = device
        self.models: dict[str, Model] = {}
        self._settings = settings
        self._metrics = metrics
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"lane-{device}")
        self._lock = threading.Lock()
        self.pending = 0
        self._mean_seconds = _FIRST_GUESS_SECONDS

    def load(self) -> Future[None]:
        """Load every model, in the lane's own thread."""
        return self._executor.submit(self._load)

    def _load(self) -> None:
        for name in self._settings.models:
            model = load_model(name, self.device, self._settings.precision)
            self.models[model.card.name] = model
            logger.info("model %s is ready on %s", model.card.name, self.device)

    def model(self, name: str | None) -> Model:
        """A loaded model by name; the default when none is named.

        Raises:
            ModelError: it is not loaded here.
        """
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise ModelError(f"no model {name[:80]!r} on this server: there is {', '.join(self.models)}")
        return self.models[name]

    def submit(self, job: Job, work: Work[T]) -> "Future[T]":
        """Queue a job.

        Raises:
            ServiceError: 429, the queue is full; 503, the server stops.
        """
        with self._lock:
            self.refuse_if_full()
            self.pending += 1
        try:
            return self._executor.submit(self._run, job, work)
        except RuntimeError:  # shut down
            self._leave()
            raise _stopping() from None

    def refuse_if_full(self) -> None:
        """Say so when the queue takes no more.

        Raises:
            ServiceError: 429.
        """
        if self.pending >= self._settings.queue:
            self._metrics.refused.inc()
            wait = min(60, max(1, math.ceil(self.pending * self._mean_seconds)))
            message = "the server's queue is full; try again soon"
            raise ServiceError(message, status=429, code="queue-full", retry_after=wait)

    def _run(self, job: Job, work: Work[T]) -> T:
        error: BaseException | None = None
        try:
            job.start()
            return work(job.report)
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._leave()
            job.finish(error)
            self._note(job, error)

    def _leave(self) -> None:
        with self._lock:
            self.pending -= 1

    def _note(self, job: Job, error: BaseException | None) -> None:
        self._metrics.jobs.labels(job.kind, job.state.value).inc()
        if job.seconds is not None:
            self._metrics.job_seconds.labels(job.kind).observe(job.seconds)
            self._mean_seconds += 0.2 * (job.seconds - self._mean_seconds)
        if error is not None and not isinstance(error, OpenVistaError):
            logger.error("a job of kind %s failed", job.kind, exc_info=error)

    def close(self) -> None:
        """Take nothing more, drop what waits, and wait for the job that runs."""
        self._executor.shutdown(cancel_futures=True)


class Engine:
    """All lanes of a server, and whether they are ready."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.lanes = [Lane(device, settings, metrics) for device in settings.devices]
        self._loaded = False
        self.draining = False
        pending = {lane.device: partial(getattr, lane, "pending") for lane in self.lanes}
        metrics.watch_each("openvista_queue_length", "Jobs that wait or run", "device", pending)

    async def load(self) -> None:
        """Load the models on every device; until that is done every question gets 503."""
        await asyncio.gather(*(asyncio.wrap_future(lane.load()) for lane in self.lanes))
        self._loaded = True

    @property
    def ready(self) -> bool:
        """Whether questions are answered."""
        return self._loaded and not self.draining

    @property
    def models(self) -> dict[str, Model]:
        """The models by name, as the first lane has them; the default comes first.

        Raises:
            ServiceError: 503, not loaded yet, or about to stop.
        """
        self.require_ready()
        return self.lanes[0].models

    def require_ready(self) -> None:
        """Refuse questions that cannot be answered now.

        Raises:
            ServiceError: 503.
        """
        if self.draining:
            raise _stopping()
        if not self._loaded:
            message = "the server is still loading its models; try again soon"
            raise ServiceError(message, status=503, code="starting", retry_after=_LOADING_RETRY_SECONDS)

    def model(self, name: str | None) -> Model:
        """A loaded model by name; the default when none is named.

        Raises:
            ModelError: it is not loaded here.
            ServiceError: 503, not ready.
        """
        self.require_ready()
        return self.lanes[0].model(name)

    def quietest(self) -> Lane:
        """The lane with the shortest queue.

        Raises:
            ServiceError: 503, not ready.
        """
        self.require_ready()
        return min(self.lanes, key=lambda lane: lane.pending)

    async def run(self, lane: Lane, job: Job, work: Work[T]) -> T:
        """Queue a job and wait for it.

        Raises:
            ServiceError: 429, 503; or whatever the work raises.
        """
        if not job.accepted:
            self.require_ready()
        return await asyncio.shield(asyncio.wrap_future(lane.submit(job, work)))

    def close(self) -> None:
        """Stop all lanes, after the job that runs."""
        for lane in self.lanes:
            lane.close()


def _stopping() -> ServiceError:
    return ServiceError("the server is stopping; try again soon", status=503, code="stopping", retry_after=5)
