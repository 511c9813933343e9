"""Time: how much is left, and how steps share it."""

import time

# Writing results and ending processes takes a moment.
RESERVE_S = 5.0


class Budget:
    """A run that is to be over after so many seconds."""

    def __init__(self, seconds, clock=time.monotonic):
        self.clock = clock
        self.started = clock()
        self.seconds = seconds

    def elapsed(self):
        return self.clock() - self.started

    def left(self):
        return max(0.0, self.seconds - RESERVE_S - self.elapsed())

    def slice(self, weights):
        """Seconds for the first of several steps that have these weights: its share of what is left. What a step does
        not use is shared by those after it."""
        total = sum(weights)
        return self.left() * weights[0] / total if total > 0 else 0.0
