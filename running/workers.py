"""Worker processes for tasks on many files."""

import contextlib
import multiprocessing.connection
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor


@contextlib.contextmanager
def process_pool(workers):
    """Yields an executor of so many processes. After an error the tasks that wait are dropped."""
    context = multiprocessing.get_context("spawn")  # forking after OpenCV was used can hang
    with ProcessPoolExecutor(workers, context, _begin) as pool:
        try:
            with _interrupts_held_back():  # so too in the processes that start: they would print tracebacks
                for _ in range(workers):
                    pool.submit(os.getpid)
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _begin():
    """Lets Ctrl-C end a worker at once: as an exception it ends one task, and the worker takes the next."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as a shell does where it runs a command with &
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    _hold_back(False)
    threading.Thread(target=_end_with_parent, daemon=True).start()


@contextlib.contextmanager
def _interrupts_held_back():
    """Lets Ctrl-C wait until the end."""
    _hold_back(True)
    try:
        yield
    finally:
        _hold_back(False)


def _hold_back(held):
    if hasattr(signal, "pthread_sigmask"):  # Windows lacks it
        signal.pthread_sigmask(signal.SIG_BLOCK if held else signal.SIG_UNBLOCK, [signal.SIGINT])


def _end_with_parent():
    """Ends a worker whose command was killed: it would wait for tasks for ever."""
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
