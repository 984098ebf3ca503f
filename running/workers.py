"""Worker processes for tasks on many files."""

import contextlib
import multiprocessing.connection
import os
import threading
from concurrent.futures import ProcessPoolExecutor


@contextlib.contextmanager
def process_pool(workers):
    """Yields an executor of so many processes. After an error the tasks that wait are dropped."""
    context = multiprocessing.get_context("spawn")  # forking after OpenCV was used can hang
    with ProcessPoolExecutor(workers, context, _watch_parent) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _watch_parent():
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    """Ends a worker whose command was killed: it would wait for tasks for ever."""
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
