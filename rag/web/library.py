"""Uploaded documents: stored in one folder, added to the index, and deleted again.

Uploads live in ``<index_dir>/library``. They belong to this index alone, move with it, and need no setting. Nothing is
written elsewhere.
"""

import queue
import re
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal, NamedTuple

from rag.documents import LOADERS
from rag.engine import Rag
from rag.errors import IndexLocked, IndexMissing, RagError, UsageError
from rag.index import Listed, OnProgress
from rag.web.server.background import Reader, reader
from rag.web.server.limits import MAX_UPLOAD_FILES

_MAX_NAME_BYTES = 200  # file systems allow 255; leaves room for temporary suffixes
_WAIT_S = 30.0  # how long to wait for another writer before asking the reader to try again
_STEP_S = 0.5
_FORBIDDEN = re.compile(r'[<>:"|?*]')  # forbidden on Windows, where the index may be copied

State = Literal["waiting", "at work", "done", "refused"]
Work = Callable[[OnProgress], None]


class Received(NamedTuple):
    """A file sent by a browser.

    name: the browser's name for it, untrusted. path: where it is stored, alone in a folder beside the library's files;
    the code that stored it removes that folder.
    """

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Upload:
    """A file being added to the index; ``line`` describes its progress or outcome."""

    name: str
    state: State = "waiting"
    line: str = "waiting"


Uploads = tuple[Upload, ...]


def folder_of(rag: Rag) -> Path:
    """Return the folder of uploaded documents, which may not exist yet."""
    return (rag.settings.index_dir / "library").resolve()


def listing(rag: Rag) -> list[Listed]:
    """Return the documents of the index; none if there is no index yet."""
    try:
        return rag.listing()
    except IndexMissing:
        return []


def unread(rag: Rag) -> list[str]:
    """Return the names of uploaded files missing from the index, because it was busy or an ingest was killed."""
    known = {listed.source for listed in listing(rag) if Path(listed.root) == folder_of(rag)}
    return sorted(path.name for path in folder_of(rag).glob("[!.]*") if path.name not in known)


def add(rag: Rag, files: Sequence[Received]) -> Iterator[Uploads]:
    """Add uploaded files to the library and the index, yielding the state of every file after each step.

    files: as stored by ``rag.web.server.uploads``; readable ones are moved into the library. An unreadable file is
    refused and changes nothing, even if it would have replaced an earlier one. All readable files become visible at
    once; if the index is busy, they stay in the library without being indexed.
    """
    if len(files) > MAX_UPLOAD_FILES:
        raise UsageError(f"{len(files)} files: more than {MAX_UPLOAD_FILES} at once; upload fewer, or use rag ingest")
    uploads: Uploads = tuple(Upload(file.name) for file in files)
    yield uploads
    with reader(rag) as reading:
        for index, file in enumerate(files):
            uploads = _with(uploads, index, _placed(rag, file, reading))
            yield uploads
        placed = [folder_of(rag) / upload.name for upload in uploads if upload.state == "at work"]
        if placed:
            yield from _ingested(rag, placed, uploads, reading)


def reread(rag: Rag) -> Iterator[str]:
    """Bring the index up to date with all its files and all uploads, yielding lines that describe the progress."""
    n_changed, failed = 0, list[str]()

    def work(on_progress: OnProgress) -> None:
        nonlocal n_changed
        for paths in ([folder_of(rag)] if unread(rag) else []), []:
            report = reading.ingest(paths, on_progress=on_progress)
            n_changed += len(report.added) + len(report.updated)
            failed.extend(line for _, line in report.failed)

    with reader(rag) as reading:
        for done, total, at_work in _running(work):
            yield f"reading {done} of {total}: {at_work}"
    yield " ".join([f"All files were read again; {n_changed} had changed.", *failed])


def delete(rag: Rag, doc_id: str) -> str:
    """Remove a document from the index, and delete its file if it was uploaded; return a line that says so."""
    listed = next((known for known in listing(rag) if known.doc_id == doc_id), None)
    if listed is None:
        raise UsageError("that document is not in the index any more; load the page again")
    for _ in _running(lambda _: rag.remove([doc_id])):
        pass
    if not is_uploaded(rag, listed):
        return f"{listed.source} is out of the index. Its file stays in {listed.root}."
    (folder_of(rag) / listed.source).unlink(missing_ok=True)
    return f"{listed.source} is deleted."


def is_uploaded(rag: Rag, listed: Listed) -> bool:
    """Whether a document was uploaded, so that its file belongs to the library."""
    return Path(listed.root) == folder_of(rag)


def file_name(name: str) -> str:
    """Return a safe name for an upload: a single visible path component without special or misleading characters.

    Raises UsageError for unsupported kinds of files, such as archives.
    """
    bare = PurePosixPath(PureWindowsPath(name).name).name
    kept = "".join(c for c in unicodedata.normalize("NFC", bare) if unicodedata.category(c)[0] != "C")
    tidy = " ".join(_FORBIDDEN.sub("_", kept).split()).lstrip(". ")
    stem, suffix = PurePosixPath(tidy).stem, PurePosixPath(tidy).suffix.lower()
    if suffix not in LOADERS:
        known = ", ".join(sorted(LOADERS))
        raise UsageError(f"{tidy or 'a file without a name'}: this kind of file is not read; known are {known}")
    return stem.encode()[: _MAX_NAME_BYTES - len(suffix)].decode(errors="ignore") + suffix


def _with(uploads: Uploads, index: int, upload: Upload) -> Uploads:
    return (*uploads[:index], upload, *uploads[index + 1 :])


def _placed(rag: Rag, file: Received, reading: Reader) -> Upload:
    """Move a file into the library if it can be read, and return its state."""
    try:
        name = file_name(file.name)
    except UsageError as error:
        return Upload(file.name, "refused", str(error))
    taken = next((known for known in listing(rag) if known.source == name and not is_uploaded(rag, known)), None)
    if taken:
        return Upload(
            name, "refused", f"{name}: the index has a document of this name from {taken.root}; rename the file"
        )
    tried = file.path.rename(file.path.with_name(name))
    if problem := reading.problem(tried):
        return Upload(name, "refused", problem.replace(str(tried), name))
    folder_of(rag).mkdir(parents=True, exist_ok=True)
    is_new = not (folder_of(rag) / name).exists()
    tried.replace(folder_of(rag) / name)
    return Upload(name, "at work", "reading" if is_new else "reading; it replaces the file of this name")


def _ingested(rag: Rag, placed: Sequence[Path], uploads: Uploads, reading: Reader) -> Iterator[Uploads]:
    """Index files in the library, yielding their states."""
    outcome: dict[str, str] = {}

    def work(on_progress: OnProgress) -> None:
        report = reading.ingest(placed, on_progress=on_progress)
        for word in ("added", "updated", "unchanged"):
            outcome.update(dict.fromkeys(getattr(report, word), word))
        outcome.update({Path(path).name: line for path, line in report.failed})

    try:
        for _, _, at_work in _running(work):
            yield tuple(replace(u, line=at_work) if u.state == "at work" else u for u in uploads)
    except RagError as error:
        kept = f"{error} The file is kept in the library; read it again there."
        yield tuple(replace(u, state="refused", line=kept) if u.state == "at work" else u for u in uploads)
        return
    passages = {listed.source: listed.n_passages for listed in listing(rag)}
    yield tuple(_outcome(u, outcome, passages) if u.state == "at work" else u for u in uploads)


_DONE = {"added": "added", "updated": "replaced the document of this name", "unchanged": "is there already, unchanged"}


def _outcome(upload: Upload, outcome: dict[str, str], n_passages: dict[str, int]) -> Upload:
    word = outcome.get(upload.name, "was not read")
    if word not in _DONE:
        return replace(upload, state="refused", line=word)
    n = n_passages.get(upload.name, 0)
    return replace(upload, state="done", line=f"{_DONE[word]}, {n} passage{'' if n == 1 else 's'}")


def _running(work: Work) -> Iterator[tuple[int, int, str]]:
    """Run an ingest in a thread, yielding its progress; waits a limited time for another writer."""
    signs: queue.SimpleQueue[tuple[int, int, str] | Exception | None] = queue.SimpleQueue()

    def run() -> None:
        until = time.monotonic() + _WAIT_S
        try:
            while True:
                try:
                    return work(lambda *sign: signs.put(sign))
                except IndexLocked:
                    if time.monotonic() > until:
                        raise
                    signs.put((0, 0, "waiting for another writer to be done"))
                    time.sleep(_STEP_S)
        except Exception as error:  # noqa: BLE001 - re-raised in the consuming thread
            signs.put(error)
        finally:
            signs.put(None)

    threading.Thread(target=run, daemon=True).start()
    while (sign := signs.get()) is not None:
        if isinstance(sign, Exception):
            raise sign
        yield sign
