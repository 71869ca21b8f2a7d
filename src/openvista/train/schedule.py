"""How far a run is, and the learning rate that goes with it."""

import math
import time
from collections.abc import Callable

from openvista.train.recipe import Recipe


class Schedule:
    """Steps and minutes of a run, whichever ends first.

    Args:
        recipe: gives the learning rate and its course, and the minutes.
        steps: of the whole run.
        elapsed: seconds that earlier parts of the run took.
        clock: seconds that never go back.
    """

    def __init__(
        self, recipe: Recipe, steps: int, elapsed: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.recipe = recipe
        self.steps = steps
        self._clock = clock
        self._started = clock() - elapsed

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, those before a break included."""
        return self._clock() - self._started

    @property
    def time_over(self) -> float:
        """Share of the minutes that is over, 1 or more when time is up; 0 where the recipe has none."""
        return 0.0 if self.recipe.minutes is None else self.elapsed / 60 / self.recipe.minutes

    def fraction(self, step: int, time_over: float) -> float:
        """Share of the run that is over once this step (from 0) is done; 1 or more for the last one."""
        return max((step + 1) / self.steps, time_over)

    def learning_rate(self, step: int, time_over: float) -> float:
        """Of this step (from 0): rises along the warm-up, then stays or falls towards zero along a cosine.

        How far it has fallen is told by the steps before this one, so that the last one still learns, or by the clock.
        """
        warm = min(1.0, (step + 1) / max(self.recipe.warmup_steps, 1))
        over = min(max(step / self.steps, time_over), 1.0)
        falls = 0.5 * (1 + math.cos(math.pi * over)) if self.recipe.schedule == "cosine" else 1.0
        return self.recipe.learning_rate * warm * falls
