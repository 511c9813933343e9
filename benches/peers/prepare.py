"""What has to be there before anything is timed: the command, the checkpoint, the clients and their files."""

import os
import pathlib
import shlex
import subprocess
import sys
import tomllib
import venv

import process

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CLIENTS = HERE / "clients"


class Workshop:
    """Where things are, on which processors to run, and how to say what is being done."""

    def __init__(self, work, environment, lapidary, processors, timeout):
        self.work, self.venv, self.lapidary = work.resolve(), environment.resolve(), lapidary
        self.processors, self.timeout = processors, timeout
        self.installed = {}

    def tell(self, text):
        print(text, file=sys.stderr, flush=True)

    def run(self, command, name, environment=None):
        return process.run(command, self.work / "logs" / f"{name}.log", self.processors, self.timeout, environment)

    @property
    def python(self):
        return self.venv / "bin" / "python"

    def build_lapidary(self):
        """Uses the release build of this checkout where none was given."""
        if self.lapidary is None:
            self.tell("building lapidary")
            _checked(["cargo", "build", "--release", "--locked", "-p", "lapidary"], ROOT)
            target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
            self.lapidary = (ROOT / target / "release" / "lapidary").resolve()
        return self.lapidary

    def checkpoint(self, config, layers):
        """A checkpoint of random weights; made once."""
        directory = self.work / "-".join([config, *([f"{layers}-layers"] if layers else [])])
        if not directory.exists():
            self.tell(f"making {directory.name}")
            sizes = ["--layers", layers] if layers else []
            self.run([self.lapidary, "synth", "--config", config, "--out", directory, *sizes], "synth")
        return directory

    def install(self, packages):
        """Makes sure of packages in the environment, at the versions of requirements.txt. Raises `process.Failed`."""
        if not self.python.exists():
            self.tell(f"making a virtual environment in {self.venv}")
            venv.create(self.venv, with_pip=True)
        missing = tuple(package for package in packages if package not in self.installed)
        if not missing:
            return
        self.tell(f"installing {', '.join(missing)}")
        # llama.cpp is compiled: for this processor, with all that it has, and without what reads pictures.
        flags = {
            "CMAKE_ARGS": os.environ.get("CMAKE_ARGS", "-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF"),
            "CXXFLAGS": f"{os.environ.get('CXXFLAGS', '')} -include {shlex.quote(str(HERE / 'amx_tile_config.h'))}".strip(),
        }
        pip = [self.python, "-m", "pip", "install", "--quiet", "-c", HERE / "requirements.txt", *missing]
        log = self.work / "logs" / "pip.log"
        process.run(pip, log, self.processors, max(self.timeout, 3600), flags)
        self.installed.update({package: True for package in missing})

    def gguf(self, checkpoint, kind):
        """The checkpoint as a GGUF file; made once. Raises `process.Failed`."""
        path = checkpoint.with_name(f"{checkpoint.name}-{kind}.gguf")
        if not path.exists():
            source = [checkpoint] if kind == "bf16" else [self.gguf(checkpoint, "bf16")]
            self.tell(f"making {path.name}")
            types = [] if kind == "bf16" else [kind]
            self.run([self.python, CLIENTS / "gguf_files.py", *source, path, *types], f"gguf-{kind}")
        return path

    def quantized(self, checkpoint, kind):
        """The checkpoint in fewer bits by `lapidary quantize`; made once. Raises `process.Failed`."""
        directory = checkpoint.with_name(f"{checkpoint.name}-{kind}")
        if not directory.exists():
            self.tell(f"making {directory.name}")
            self.run([self.lapidary, "quantize", "--model", checkpoint, "--to", kind, "--out", directory], f"quantize-{kind}")
        return directory

    def candle(self):
        """The candle client, built for this processor. Raises `process.Failed`."""
        target = self.work / "candle-target"
        self.tell("building the candle client")
        build = ["cargo", "build", "--release", "--locked", "--quiet", "--manifest-path", HERE / "candle" / "Cargo.toml"]
        flags = {"CARGO_TARGET_DIR": str(target), "RUSTFLAGS": "-C target-cpu=native"}
        process.run(build, self.work / "logs" / "candle-build.log", self.processors, max(self.timeout, 3600), flags)
        return target / "release" / "candle-client"


def candle_version():
    lock = tomllib.loads((HERE / "candle" / "Cargo.lock").read_text())
    return next(package["version"] for package in lock["package"] if package["name"] == "candle-transformers")


def _checked(command, directory):
    if subprocess.run(command, cwd=directory).returncode:
        raise SystemExit(f"{' '.join(command)} failed")
