"""Processes with a deadline, whose lines are heard as they come."""

import json
import os
import signal
import subprocess
import threading
import time

# What an interrupted process may take to say what it has, before it is killed.
GRACE_S = 4.0


class Failed(Exception):
    """A process that did not end well, and why."""


def run(command, log, seconds, environment=None, hear=None):
    """Runs a command for at most so many seconds. Its standard error goes to the file `log`.

    `hear` is called with each line of its standard output that is a JSON object, at once. Where time is up, the process
    is interrupted as by Ctrl-C, and killed if that does not end it. Returns all of its output, and whether it ended by
    itself. Raises `Failed` with the end of its standard error if it did so badly.
    """
    if seconds <= 0:
        raise Failed("no time was left")
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("wb") as stderr:
        child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            preexec_fn=_heed_interrupts,
        )
        timers = [
            threading.Timer(max(0.1, seconds - GRACE_S), _signal, (child, signal.SIGINT)),
            threading.Timer(seconds, _signal, (child, signal.SIGKILL)),
        ]
        for timer in timers:
            timer.start()
        try:
            lines = []
            with child.stdout:
                for line in child.stdout:
                    lines.append(line.decode(errors="replace"))
                    event = _object(line)
                    if hear and event is not None:
                        hear(event)
            code = child.wait()
        except BaseException:
            _signal(child, signal.SIGKILL)
            raise
        finally:
            for timer in timers:
                timer.cancel()
    in_time = time.monotonic() - started < seconds - GRACE_S
    if code and in_time:
        raise Failed(_reason(code, log))
    return "".join(lines), in_time


def _heed_interrupts():
    # A shell has what it runs in the background ignore them, and processes inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _object(line):
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _signal(child, number):
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        pass


def _reason(code, log):
    said = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    # A Python traceback ends with what went wrong, Lapidary's errors begin with it.
    errors = [line for line in said if line.startswith("error:")]
    cause = (errors or said[-1:] or ["it said nothing"])[0][:400]
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"{how}: {cause}"
