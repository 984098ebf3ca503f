"""The learning rate over a training: warm-up, half a cosine, and an end within the minutes that are given."""

import math
import time

import keras

from running.command import say


class Anneal(keras.callbacks.Callback):
    """Warms up and then follows half a cosine, by factors on the present rate: ReduceLROnPlateau's cuts stay.

    With a budget of `minutes` the fit stops when the time is over. If the pace so far, judged at every step,
    is too slow for all steps, the user is told, and from there the share of the time that has passed counts
    in place of the share of the steps, so that the rate has come down by then. A machine that is fast enough
    trains to the last digit as without a budget.
    """

    remembered = ("done", "seconds", "last", "compiled", "slow")
    WARM_UP, LAST = 0.03, 0.01  # share of the training that warms up; share of the rate left at the end
    STEPS, SHARE = 80, 0.1  # the pace is judged after so many steps or such a share of the time

    def __init__(self, steps, minutes=None):
        super().__init__()
        self.steps, self.budget = steps, 60 * (minutes or math.inf)
        self.done, self.seconds, self.compiled, self.slow = 0, 0.0, 0.0, False

    def factor(self, progress):
        """Returns the factor on the highest rate at a `progress` of 0 to 1."""
        if progress < self.WARM_UP:
            return 0.05 + 0.95 * progress / self.WARM_UP
        cosine = 0.5 + 0.5 * math.cos(math.pi * min(1.0, (progress - self.WARM_UP) / (1 - self.WARM_UP)))
        return self.LAST + (1 - self.LAST) * cosine

    def on_train_begin(self, logs=None):
        self.began = self.last = None

    def _share_of_time(self):
        """Returns the share of the budget that has passed, without the first step, which compiles."""
        self.seconds = time.monotonic() - self.began
        if self.seconds >= self.budget:
            return 1.0
        return (self.seconds - self.compiled) / (self.budget - self.compiled)

    def on_train_batch_begin(self, batch, logs=None):
        if self.began is None:  # now, since a resumed training puts `seconds` back after on_train_begin
            self.began = time.monotonic() - self.seconds
        share = self._share_of_time() if self.slow else 0.0
        factor = self.factor(max(self.done / self.steps, share))
        rate = self.model.optimizer.learning_rate
        rate.assign(float(keras.ops.convert_to_numpy(rate)) * factor / (self.last or 1.0))
        self.last = factor
        self.done += 1

    def on_train_batch_end(self, batch, logs=None):
        share = self._share_of_time()
        if share >= 1:
            self.model.stop_training = True
        if self.done == 1:
            self.compiled = self.seconds
        elif not self.slow and self._too_slow(share):
            self.slow = True
            needed = self.budget / 60 * share * (self.steps - 1) / (self.done - 1)
            say(f"\nAll epochs would take some {needed:.0f} minutes at this speed: the fit ends after "
                f"{self.budget / 60:.0f}, and the rate is annealed to fit. --minutes 0 lifts the limit.")

    def _too_slow(self, share):
        judged = self.done > self.STEPS or share >= self.SHARE
        return judged and share > (self.done - 1) / (self.steps - 1)
