"""Reading the next photographs and finishing the last ones while the network works on the present one."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

from running.command import Problem
from running.machine import processors

FINISHERS = min(4, processors())  # a large photograph takes longer to draw and measure than to predict


def overlapped(items, read, compute, finish, ahead=2, finishers=FINISHERS):
    """Yields (item, what finish returned or the Problem that was raised), in order, while the steps overlap.

    read(item) returns what compute(item, ...) takes, and that returns what finish(item, ...) takes. `compute`
    runs in the caller's thread, `finish` in so many threads. No more than `ahead` items wait before `compute`
    and the larger of the two numbers after it, so memory stays bounded however many there are.
    """
    def attempt(step, *given):
        try:
            return step(*given)
        except Problem as problem:
            return problem

    def computed(item, future):
        result = future.result()
        return result if isinstance(result, Problem) else attempt(compute, item, result)

    items = list(items)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(finishers) as finisher:
        reading = deque((item, reader.submit(attempt, read, item)) for item in items[:ahead])
        finishing = deque()
        for k in range(len(items)):
            item, future = reading.popleft()
            result = computed(item, future)
            if k + ahead < len(items):
                reading.append((items[k + ahead], reader.submit(attempt, read, items[k + ahead])))
            if not isinstance(result, Problem):
                result = finisher.submit(attempt, finish, item, result)
            finishing.append((item, result))
            while finishing and (len(finishing) > max(ahead, finishers) or k == len(items) - 1):
                done, outcome = finishing.popleft()
                yield done, outcome if isinstance(outcome, Problem) else outcome.result()
