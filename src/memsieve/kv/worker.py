"""Work beside the forward pass: one thread that all caches share, and what it has been given."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from copy import deepcopy
from functools import lru_cache
from typing import Any, Generic, TypeVar

from memsieve.kv.extras import Tensor, torch

T = TypeVar("T")


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    # One thread: each layer takes its job before the next is given, and threads that compete for
    # the cores would slow down the pass that they are to help.
    if hasattr(os, "register_at_fork"):  # a child has no such thread
        os.register_at_fork(after_in_child=_pool.cache_clear)
    return ThreadPoolExecutor(1, "memsieve-kv")


class Job(Generic[T]):
    """Something that the worker has been given, or that is done; made by `begun` and `done`.

    A copy waits for the job, and holds a copy of what it gave, or raises what it raised.
    """

    def __init__(self, future: Future[T], work: Callable[[], T]) -> None:
        self.future, self._work = future, work

    def result(self) -> T:
        """Wait, and give what came out; what the work raised is raised here, each time.

        What has not begun is done on the thread that asks, as waiting could only take longer: so
        a worker that gets no core, or has more to do, costs next to nothing.
        """
        if self.future.cancel():
            self.future = _future_of(self._work)
        return self.future.result()

    def __deepcopy__(self, memo: dict[int, Any]) -> Job[T]:
        return Job(_future_of(lambda: deepcopy(self.result(), memo)), self._work)


def done(work: Callable[[], T]) -> Job[T]:
    """Do `work` at once, on this thread."""
    return Job(_future_of(work), work)


def _future_of(work: Callable[[], T]) -> Future[T]:
    """What the worker would have made of it, made on this thread."""
    future: Future[T] = Future()
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001 - comes out of `result`, as the worker's would
        future.set_exception(error)
    return future


def begun(work: Callable[[], T]) -> Job[T]:
    """Have `work` done by the worker, from now on and in order of asking, without gradients.

    The work must not wait for another job. It may read what the caller has, and should write to
    nothing: then a job that nobody wants any more can be let go, with what it raised.
    """
    # Both modes belong to a thread, and the worker knows nothing of the caller's.
    is_inference = torch.is_inference_mode_enabled()

    def alike() -> T:
        with torch.inference_mode(is_inference), torch.no_grad():
            return work()

    return Job(_pool().submit(alike), alike)


def waited_for(jobs: Iterable[Future[Any]]) -> None:
    """Wait until none of them is being done; what they raised stays with them."""
    wait([job for job in jobs if not job.cancelled()])


def to_host(tensor: Tensor) -> Callable[[], Tensor]:
    """Begin to copy a tensor to the host; what is given waits for the copy, on any thread."""
    if tensor.device.type != "cuda":
        here = tensor.to("cpu")
        return lambda: here
    copy = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    copy.copy_(tensor, non_blocking=True)
    copied = torch.cuda.Event()
    copied.record(torch.cuda.current_stream(tensor.device))

    def waited() -> Tensor:
        copied.synchronize()
        return copy

    return waited
