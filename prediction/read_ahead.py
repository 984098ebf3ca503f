"""Reading the next photographs and finishing the last ones while the network works on the present one."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

from photographs.formats import pixels_of
from running.command import Problem
from running.machine import free_memory, freed_at_once, processors

FINISHERS = min(4, processors())  # a large photograph takes longer to draw and measure than to predict
BYTES_PER_PIXEL = 20  # that a photograph takes at most from its reading to its last file


def memory_of(path):
    """Returns the bytes that the photograph in a file takes at most while it is worked on."""
    return BYTES_PER_PIXEL * pixels_of(path)


def overlapped(items, read, compute, finish, ahead=2, finishers=FINISHERS, memory=lambda item: 0):
    """Yields (item, what finish returned or the Problem that was raised), in order, while the steps overlap.

    read(item) returns what compute(item, ...) takes, and that returns what finish(item, ...) takes. `compute`
    runs in the caller's thread, `finish` in so many threads. No more than `ahead` items wait before `compute`
    and the larger of the two numbers after it. Where several are worked on, the memory(item) bytes that they
    take are together no more than half of what is free at the start.
    """
    freed_at_once()
    reading, finishing, taken, room = deque(), deque(), deque(), free_memory() / 2
    coming = ((item, memory(item)) for item in items)
    next_one = next(coming, None)

    def attempt(step, item, *given):
        if given and isinstance(given[0], Problem):  # of the step before
            return given[0]
        try:
            return step(item, *given)
        except Problem as problem:
            return problem

    def read_more():
        nonlocal next_one
        while next_one and len(reading) < ahead and (not taken or sum(taken) + next_one[1] <= room):
            item, needed = next_one
            reading.append((item, reader.submit(attempt, read, item)))
            taken.append(needed)
            next_one = next(coming, None)

    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(finishers) as finisher:
        read_more()
        while reading:
            item, result = reading.popleft()
            result = attempt(compute, item, result.result())
            read_more()
            result = finisher.submit(attempt, finish, item, result)
            finishing.append((item, result))
            while finishing and (len(finishing) > max(ahead, finishers) or not reading):
                done, outcome = finishing.popleft()
                yield done, outcome.result()
                taken.popleft()
                read_more()
