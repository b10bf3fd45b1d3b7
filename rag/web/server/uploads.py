"""The only way to upload files: ``POST /upload`` stores the files of a request and adds them to the library.

Only the files of the request itself are taken, from a folder created for it, so that no client can name a file on this
machine. The response has one line of JSON per step: the list of {"name", "state", "line"} that ``rag.web.library``
yields.
"""

import dataclasses
import json
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.exceptions import HTTPException
from fastapi.responses import StreamingResponse
from starlette.datastructures import UploadFile

from rag.engine import Rag
from rag.errors import RagError
from rag.text.characters import printable
from rag.web import library
from rag.web.library import Received, Upload, Uploads
from rag.web.server.api import UNEXPECTED, report
from rag.web.server.limits import MAX_UPLOAD_FILES, MAX_UPLOADS_WAITING, RETRY_AFTER_S

_PREFIX = ".incoming-"
_FORGOTTEN_S = 24 * 60 * 60  # a folder this old was left by a killed server
_SHOWN_CHARS = 200  # of a name

_Steps = queue.SimpleQueue[Uploads | None]


def uploads(rag: Rag) -> APIRouter:
    """Return the route. Uploads are processed one at a time, and a limited number may wait."""
    router = APIRouter()
    turn, places = threading.Lock(), threading.BoundedSemaphore(1 + MAX_UPLOADS_WAITING)

    @router.post("/upload")
    async def upload(request: Request) -> StreamingResponse:
        if not places.acquire(blocking=False):  # before anything is stored
            line = f"{MAX_UPLOADS_WAITING} uploads are waiting already; send the files again later"
            raise HTTPException(503, line, {"Retry-After": str(RETRY_AFTER_S)})
        try:
            given = await _files_of(request)
        except BaseException:
            places.release()
            raise
        steps: _Steps = queue.SimpleQueue()

        def work() -> None:  # in a thread, so that it finishes even if the browser leaves
            try:
                with turn:
                    _take_in(rag, given, steps.put)
            finally:
                places.release()
                steps.put(None)

        steps.put(tuple(Upload(file.filename or "") for file in given))
        threading.Thread(target=work, daemon=True).start()
        return StreamingResponse(map(_line, iter(steps.get, None)), media_type="application/x-ndjson")

    return router


async def _files_of(request: Request) -> list[UploadFile]:
    """Receive the files of a form; raises HTTPException if there are none, or too many."""
    form = await request.form(max_files=MAX_UPLOAD_FILES + 1, max_fields=0)  # BodyLimit refuses more on arrival
    given = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    if not given:
        raise HTTPException(400, "no file came; send files as multipart/form-data")
    return given


def _take_in(rag: Rag, given: Sequence[UploadFile], show: Callable[[Uploads], None]) -> None:
    """Store the files in a new folder and add them to the library, showing each step."""
    last: Uploads = tuple(Upload(file.filename or "") for file in given)
    try:
        parent = library.folder_of(rag)
        parent.mkdir(parents=True, exist_ok=True)
        _clear(parent)
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent) as folder:
            stored = [_stored(file, Path(folder, str(number))) for number, file in enumerate(given)]
            for last in library.add(rag, stored):
                show(last)
    except RagError as error:
        show(_refused(last, str(error)))
    except OSError as error:
        show(_refused(last, f"the file could not be stored: {error.strerror}"))
    except Exception as error:  # noqa: BLE001 - boundary of a user's request
        report(error)
        show(_refused(last, UNEXPECTED))


def _stored(file: UploadFile, folder: Path) -> Received:
    """Write an uploaded file into its own folder; the original name is kept separately and never used as a path."""
    folder.mkdir()
    with file.file as source, (folder / "file").open("xb") as target:
        shutil.copyfileobj(source, target)
    return Received(file.filename or "", folder / "file")


def _clear(parent: Path) -> None:
    for left in parent.glob(f"{_PREFIX}*"):
        if time.time() - left.stat().st_mtime > _FORGOTTEN_S:
            shutil.rmtree(left, ignore_errors=True)


def _refused(last: Uploads, line: str) -> Uploads:
    """Return the uploads, with those not done marked as refused with this line."""
    return tuple(
        upload if upload.state == "done" else dataclasses.replace(upload, state="refused", line=line) for upload in last
    )


def _line(step: Uploads) -> bytes:
    shown = [
        {**dataclasses.asdict(u), "name": printable(u.name)[:_SHOWN_CHARS], "line": printable(u.line)} for u in step
    ]
    return json.dumps(shown).encode() + b"\n"
