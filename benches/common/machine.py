"""What the machine is, and what it has left."""

import os
import pathlib
import platform
import subprocess

# What speed depends on; a processor's other flags are left out.
TELLING_FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx512_fp16", "amx_bf16", "amx_int8", "asimd", "bf16", "i8mm", "sve")


def facts(root):
    """Processor, memory, system and the state of the checkout; `None` where this machine does not say."""
    info = _read("/proc/cpuinfo")
    fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return {
        "processor": fields.get("model name") or platform.processor() or platform.machine(),
        "flags": [flag for flag in TELLING_FLAGS if flag in flags],
        "processors": len(usable_processors()),
        "memory_bytes": _meminfo("MemTotal"),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "revision": _git(root, "rev-parse", "--short=12", "HEAD"),
        "changed": bool(_git(root, "status", "--porcelain", "--untracked-files=no")),
    }


def load_average():
    """Processes that ran or waited, on average of the last minute: above the threads of a benchmark, others ran."""
    return round(os.getloadavg()[0], 2)


def usable_processors():
    """Numbers of the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def available_memory():
    """Bytes that programs can take without swapping; `None` where that is unknown."""
    return _meminfo("MemAvailable")


def _meminfo(name):
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    return None


def _read(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


def _git(root, *arguments):
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None
