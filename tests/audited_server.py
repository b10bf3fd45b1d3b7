"""A server under random calls, in a process whose audit hook notes every file that is opened, moved or removed.

    python audited_server.py FOLDER CALLS

FOLDER has an ``index``. Prints {"calls", "statuses", "outside", "tracebacks"} as JSON, for ``test_hostile.py``.
"""

import json
import os
import random
import sys
import sysconfig
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

WATCHED = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}
WATCHED |= {
    "os.listdir",
    "os.scandir",
    "shutil.move",
    "shutil.copyfile",
    "shutil.rmtree",
    "sqlite3.connect",
    "subprocess.Popen",
}
_watching = threading.Event()
_seen: set[tuple[str, str]] = set()


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event in WATCHED and _watching.is_set():
        for argument in arguments[: 1 if event == "open" else 2]:  # a mode is no path
            if isinstance(argument, str | bytes | os.PathLike):
                _seen.add((event, str(Path.cwd() / os.fsdecode(argument))))


sys.addaudithook(_note)

import httpx  # noqa: E402 - after the hook
from conftest import HashingEncoder  # noqa: E402
from serving import Blind, served  # noqa: E402
from test_hostile import hostile_values, numbers, values_of  # noqa: E402

from rag import Rag, Settings  # noqa: E402


def _calls(place: Path, names: dict[str, int], n_calls: int) -> list[dict[str, Any]]:
    """Calls drawn at random: any values, in right and wrong number, for handlers that exist and that do not."""
    draw = random.Random(7)
    values = hostile_values(place)
    short = [value for value in values if len(json.dumps(value)) < 2000]
    sessions = [uuid.UUID(int=draw.getrandbits(128)).hex for _ in range(40)]
    calls = []
    for _ in range(n_calls):
        name = draw.choice(list(names))
        data = values_of(name, draw.choice(short))
        if draw.random() < 0.3:
            data = [draw.choice(short) for _ in range(draw.randrange(8))]
        number = names[name] if draw.random() < 0.9 else draw.randrange(-3, 60)
        calls.append({"data": data, "fn_index": number, "session_hash": draw.choice(sessions)})
    return calls


def main(place: Path, n_calls: int) -> None:
    """Serve, call, and say what was seen."""
    rag = Rag(Settings(index_dir=place / "index"), encoder=HashingEncoder(), evidence=Blind())
    allowed = [
        place / "index",
        place / "reports",
        *map(Path, {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()}),
    ]
    allowed += [Path(__file__).parents[1] / "rag", Path("/dev/null"), Path("/dev/urandom")]
    statuses: Counter[str] = Counter()
    tracebacks = 0
    with served(rag) as url, httpx.Client(base_url=url, timeout=120) as client, ThreadPoolExecutor(4) as pool:
        client.get("/", headers={"Accept": "text/html"})
        names = numbers(client)
        calls = _calls(place, names, n_calls)

        def send(body: dict[str, Any]) -> httpx.Response:
            route = "run/predict" if body["fn_index"] not in {names["converse"], names["ask"]} else "queue/join"
            return client.post(f"/gradio_api/{route}", content=json.dumps(body))

        list(pool.map(send, calls[:50]))  # what is imported late is imported now
        _watching.set()
        for answered in pool.map(send, calls):
            statuses[str(answered.status_code)] += 1
            tracebacks += "Traceback" in answered.text
        _watching.clear()
    outside = sorted(
        f"{event} {path}" for event, path in _seen if not any(Path(path).is_relative_to(folder) for folder in allowed)
    )
    found = {"calls": n_calls, "statuses": statuses, "outside": outside, "tracebacks": tracebacks}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
