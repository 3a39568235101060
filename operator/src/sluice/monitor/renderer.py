"""Renderer: the process that renders reports, begun when there is work and ended when there is none.

Evidently keeps 280 MB resident and holds the interpreter for seconds, so it runs neither in the
collector's process nor longer than needed.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from sluice.monitor.exhibit import Rendered, RenderJob

TIMEOUT = 180.0
"""Seconds after which a report is given up and its process killed."""
NICENESS = 10
"""Verdicts and events go first where the processor is short."""


class RendererError(RuntimeError):
    """The process died, was killed for want of memory, or took too long."""


class Renderer:
    """One process at a time, one report at a time. Blocks; called from one worker thread."""

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    @property
    def running(self) -> bool:
        """Whether there is a process to end."""
        return self._process is not None

    def render(self, job: RenderJob) -> Rendered:
        """The report's digest, or why Evidently refused.

        Raises:
            RendererError: the process died or took too long; the next report gets a new one.
        """
        pipe = self._pipe or self._begin()
        try:
            pipe.send(job)
            if not pipe.poll(self._timeout):
                raise RendererError(f"no report after {self._timeout:g} s")
            rendered = pipe.recv()
        except (EOFError, OSError) as error:
            self.end()
            raise RendererError("the report process died; is its memory limit too low?") from error
        except RendererError:
            self.end()
            raise
        assert isinstance(rendered, Rendered)
        return rendered

    def end(self) -> None:
        """Ends the process, in the middle of a report if need be. Any thread may call it, more than once."""
        process, pipe, self._process, self._pipe = self._process, self._pipe, None, None
        if process:
            process.kill()
            process.join()
        if pipe:
            pipe.close()

    def _begin(self) -> Connection:
        # Spawned, not forked: a fork would take the event loop's sockets and threads' locks with it.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), name="sluice-renderer", daemon=True)
        self._process.start()
        theirs.close()
        return self._pipe


def _serve(pipe: Connection) -> None:
    """Renders one job after another until the other end closes."""
    os.nice(NICENESS)
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            pipe.send(_render(pipe.recv()))


def _render(job: RenderJob) -> Rendered:
    from sluice.monitor.rendering import render  # not before: the parent imports this module too

    try:
        return render(job)
    except Exception as error:  # noqa: BLE001 - Evidently raises all sorts, and one report must not end the rest
        return Rendered(error=f"{type(error).__name__}: {error}")
