"""The one way in for files: ``POST /upload`` stores what a request brings and takes it into the library.

What is taken is what this request has brought, from a folder that was made for it: nobody names a file of this machine.
The answer has a line of JSON for each step, the list of {"name", "state", "line"} that ``rag.web.library`` yields.
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
_FORGOTTEN_S = 24 * 60 * 60  # a folder as old as this was left by a server that was killed
_SHOWN_CHARS = 200  # of a name

_Steps = queue.SimpleQueue[Uploads | None]


def uploads(rag: Rag) -> APIRouter:
    """Return the route. Requests are read one after the other, and only so many wait."""
    router = APIRouter()
    turn, places = threading.Lock(), threading.BoundedSemaphore(1 + MAX_UPLOADS_WAITING)

    @router.post("/upload")
    async def upload(request: Request) -> StreamingResponse:
        form = await request.form(max_files=MAX_UPLOAD_FILES + 1, max_fields=0)  # more are refused as they come in
        given = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not given:
            raise HTTPException(400, "no file came; send files as multipart/form-data")
        if not places.acquire(blocking=False):
            line = f"{MAX_UPLOADS_WAITING} uploads are waiting already; send the files again later"
            raise HTTPException(503, line, {"Retry-After": str(RETRY_AFTER_S)})
        steps: _Steps = queue.SimpleQueue()

        def work() -> None:  # in a thread, so that it is done also when the browser has left
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


def _take_in(rag: Rag, given: Sequence[UploadFile], show: Callable[[Uploads], None]) -> None:
    """Store the files where nobody else puts any, and show how far the library is with them."""
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
    except Exception as error:  # noqa: BLE001 - a user's request ends here
        report(error)
        show(_refused(last, UNEXPECTED))


def _stored(file: UploadFile, folder: Path) -> Received:
    """Write an uploaded file into a folder of its own; its name is kept beside it and is no path."""
    folder.mkdir()
    with file.file as source, (folder / "file").open("xb") as target:
        shutil.copyfileobj(source, target)
    return Received(file.filename or "", folder / "file")


def _clear(parent: Path) -> None:
    for left in parent.glob(f"{_PREFIX}*"):
        if time.time() - left.stat().st_mtime > _FORGOTTEN_S:
            shutil.rmtree(left, ignore_errors=True)


def _refused(last: Uploads, line: str) -> Uploads:
    """Return the uploads with this line for each that is not done."""
    return tuple(
        upload if upload.state == "done" else dataclasses.replace(upload, state="refused", line=line) for upload in last
    )


def _line(step: Uploads) -> bytes:
    shown = [
        {**dataclasses.asdict(u), "name": printable(u.name)[:_SHOWN_CHARS], "line": printable(u.line)} for u in step
    ]
    return json.dumps(shown).encode() + b"\n"
