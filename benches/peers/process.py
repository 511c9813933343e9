"""Running one process: pinned, with its lines timed from its start, and its peak memory."""

import collections
import json
import os
import pathlib
import signal
import subprocess
import threading
import time

# Each library has its own idea of how many threads to start; where it reads one of these, it is told.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "NPROC")

Done = collections.namedtuple("Done", "events stdout wall_s peak_rss_bytes")


class Failed(Exception):
    """A process that did not end well, and why."""


def run(command, log, processors, timeout, environment=None):
    """Runs `command` on `processors`. Its standard error goes to the file `log`.

    Returns its events (lines that are JSON objects, each with `at_s`, seconds from the start of the process), all of its
    output, its wall time and the most memory that it had resident. Raises `Failed` with the end of its standard error.
    """
    threads = {name: str(len(processors)) for name in THREAD_VARIABLES}
    variables = {**os.environ, **threads, **(environment or {})}
    pin = (lambda: os.sched_setaffinity(0, processors)) if hasattr(os, "sched_setaffinity") else None
    log.parent.mkdir(parents=True, exist_ok=True)
    events, lines = [], []
    started = time.monotonic()
    with log.open("wb") as stderr:
        child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=variables,
            preexec_fn=pin,
            start_new_session=True,
        )
        stop = threading.Timer(timeout, lambda: _kill(child))
        stop.start()
        try:
            for line in child.stdout:
                event = _event(line)
                if event is not None:
                    events.append({**event, "at_s": time.monotonic() - started})
                lines.append(line.decode(errors="replace"))
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            _kill(child)
            raise
        finally:
            stop.cancel()
    wall_s = time.monotonic() - started
    if child.returncode:
        raise Failed(_reason(child.returncode, wall_s, timeout, log))
    # Linux counts it in KiB.
    return Done(events, "".join(lines), wall_s, usage.ru_maxrss * 1024)


def _event(line):
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and "event" in value else None


def _kill(child):
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _reason(code, wall_s, timeout, log):
    if wall_s >= timeout:
        return f"not done after {timeout:.0f} s"
    if code == -signal.SIGKILL:
        return "killed: the machine may have run out of memory"
    said = [line.strip() for line in pathlib.Path(log).read_text(errors="replace").splitlines() if line.strip()]
    cause = said[-1][:300] if said else "it said nothing"
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"{how}: {cause}"
