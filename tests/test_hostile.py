"""What anybody who reaches the server may send: calls of every handler, routes of the frameworks, files, passwords.

Nothing of this machine may be opened, moved or removed by it, and nothing of another visitor be heard or changed.
"""

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import HashingEncoder
from serving import Blind, served

from rag import Rag, Settings
from rag.web.server.handlers import HANDLERS

ANN = ("ann", "a long password")
WORD = "quetzalcoatlus"  # stands in the private file and nowhere else
SECRET = f"The secret of Zorblatt is a {WORD}."


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index of one document, and beside it a file that is nobody's business."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "reports").mkdir()
    (folder / "reports" / "sky.txt").write_text("The sky over Zorblatt is blue.\n", encoding="utf-8")
    (folder / "private").mkdir()
    (folder / "private" / "secret.txt").write_text(SECRET, encoding="utf-8")
    rag = Rag(Settings(index_dir=folder / "index"), encoder=HashingEncoder())
    assert not rag.ingest([folder / "reports"]).failed
    rag.close()
    return folder


@pytest.fixture(scope="module", params=["", ":".join(ANN)], ids=["open", "with a login"])
def visitor(request: pytest.FixtureRequest, place: Path) -> Iterator[httpx.Client]:
    """Somebody who has come in as far as the server lets everybody who may."""
    rag = Rag(Settings(index_dir=place / "index", auth=request.param), encoder=HashingEncoder(), evidence=Blind())
    with served(rag) as url, httpx.Client(base_url=url, timeout=60) as client:
        if request.param:
            assert client.post("/login", data={"username": ANN[0], "password": ANN[1]}).status_code == 200
        client.get("/", headers={"Accept": "text/html"})
        yield client
    rag.close()


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def numbers(client: httpx.Client) -> dict[str, int]:
    """Gradio's number of each handler."""
    return {each["api_name"]: each["id"] for each in client.get("/config").json()["dependencies"]}


def call(client: httpx.Client, fn_index: Any, data: Any, *, session: Any = None, **more: Any) -> httpx.Response:
    """Call a handler as the page does, and wait for what comes of it."""
    session = uuid.uuid4().hex if session is None else session
    body = json.dumps({"data": data, "fn_index": fn_index, "session_hash": session, **more})
    joined = client.post("/gradio_api/queue/join", content=body, headers={"Content-Type": "application/json"})
    if joined.status_code == 200:
        return client.get("/gradio_api/queue/data", params={"session_hash": session})
    return joined


def call_all(client: httpx.Client, fn_index: int, calls: Sequence[list[Any]]) -> Iterator[tuple[int, str]]:
    """Call a handler many times; yield each refusal's status and text, and what is heard of those that were taken."""
    for at in range(0, len(calls), 40):  # fewer than may wait
        session = uuid.uuid4().hex
        joined = []
        for data in calls[at : at + 40]:
            body = json.dumps({"data": data, "fn_index": fn_index, "session_hash": session})
            joined.append(
                client.post("/gradio_api/queue/join", content=body, headers={"Content-Type": "application/json"})
            )
        yield from ((answered.status_code, answered.text) for answered in joined)
        if any(answered.status_code == 200 for answered in joined):
            heard = client.get("/gradio_api/queue/data", params={"session_hash": session})
            yield heard.status_code, heard.text


def values_of(name: str, first: Any) -> list[Any]:
    """A call's values with a hostile one in the first place that takes any."""
    blank = {"ask": ["x", None, None, None, None, "quotes"], "search": ["x", 1]}
    values = blank.get(name, [None if kind is None else "{}" for kind in HANDLERS[name].accepts])
    return [first, *values[1:]]


# -- the attack that was found -----------------------------------------------------------------------------------------


def file_data(path: object) -> dict[str, Any]:
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}, "orig_name": "a.txt", "size": 10}


def test_no_handler_takes_a_file_of_this_machine(visitor: httpx.Client, place: Path) -> None:
    before = snapshot(place / "private")
    secret = place / "private" / "secret.txt"
    names = numbers(visitor)
    for number in [*names.values(), *range(40)]:
        for data in [
            [[file_data(secret)]],
            [file_data(secret)],
            [str(secret)],
            [[str(secret)]],
            [[file_data(secret)], None],
        ]:
            answered = call(visitor, number, data)
            assert "Traceback" not in answered.text
            assert WORD not in answered.text
    assert snapshot(place / "private") == before
    assert "secret.txt" not in visitor.get("/gradio_api/info").text
    assert not list((place / "index").rglob("*secret*"))
    listed = call(visitor, names["opened"], [None]).text
    assert "sky.txt" in listed
    assert "secret" not in listed


# -- every handler -----------------------------------------------------------------------------------------------------


def hostile_values(place: Path) -> list[Any]:
    """Some hundred values that no page sends: paths, links, addresses, wrong types, sizes, depths, ids of others."""
    secret = place / "private" / "secret.txt"
    (place / "link.txt").unlink(missing_ok=True)
    (place / "link.txt").symlink_to(secret)
    paths = [
        secret,
        place / "link.txt",
        "/etc/passwd",
        "../private/secret.txt",
        "..\\..\\secret.txt",
        "/dev/zero",
        "~/.ssh/id_rsa",
    ]
    paths += [
        "file:///etc/passwd",
        "http://127.0.0.1:1/x",
        "\\\\host\\share",
        "",
        ".",
        "/",
        "a\0b",
        "/proc/self/environ",
        "CON",
    ]
    texts = [str(path) for path in paths]
    texts += [
        "'; DROP TABLE documents; --",
        "<script>alert(1)</script>",
        "{{7*7}}",
        "${jndi:ldap://x}",
        "%00",
        "\u202e",
        "\ud800",
    ]
    wires = [{"document": text} for text in texts[:12]]
    wires += [{"turn": turn} for turn in (0, -1, 10**30, "1", 1.5, None, [], {}, True, "NaN")]
    wires += [
        {"turn": 1, "marker": 10**30},
        {"turn": 10**9, "nearest": 1},
        {"turn": 1, "found": -1},
        {"document": None},
    ]
    wires += [{"turns": turns} for turns in ([], [{}], None, "x", [{"record": {}}], [[]], [None] * 5, {"a": 1})]
    wires += [{"turn": 1, "verdict": verdict, "comment": "x" * 3000} for verdict in ("up", "down", "", None, 1)]
    wires += [
        {"n": 1},
        [],
        1,
        "x",
        None,
        {"__class__": "os.system"},
        {"path": str(secret), "meta": {"_type": "gradio.FileData"}},
    ]
    plain: list[Any] = [
        None,
        0,
        -1,
        10**30,
        1.5,
        True,
        [],
        {},
        [[]],
        [None],
        {"a": {"b": {}}},
        ["x"] * 1000,
        "x" * 100_000,
    ]
    plain += [file_data(text) for text in texts[:10]] + [[file_data(text)] for text in texts[:10]]
    plain += [{"__type__": "update", "value": str(secret)}, {"url": "http://127.0.0.1:1/"}, {"path": None}]
    deep: Any = "x"
    for _ in range(200):
        deep = [deep]
    return [*plain, deep, *texts, *map(json.dumps, wires), "[" * 5000, "{" * 5000, '{"turn": 1' + "0" * 5000 + "}"]


def test_every_handler_withstands_what_no_page_sends(
    visitor: httpx.Client, place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    values = hostile_values(place)
    assert len(values) >= 100
    before = {name: snapshot(place / name) for name in ("private", "reports")}
    names = numbers(visitor)
    step = 10 if visitor.get("/v1/models").status_code == 401 else 1  # what stands behind a login is the same
    assert set(names) | {"health"} == set(HANDLERS)
    for name, number in names.items():
        for status, text in call_all(visitor, number, [values_of(name, value) for value in values[::step]]):
            assert status in {200, 400}, (name, text[:500])
            assert "Traceback" not in text, name
            assert WORD not in text, name
    assert {name: snapshot(place / name) for name in before} == before
    assert {path.name for path in place.iterdir()} == {"reports", "private", "index", "link.txt"}
    printed = capfd.readouterr()
    assert "Traceback" not in printed.out + printed.err


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"data": 1}',
        b'{"data": [], "fn_index": "0"}',
        b'{"data": [], "fn_index": 99999}',
    ]
    + [
        b'{"data": [null], "fn_index": 1, "session_hash": %s}' % other
        for other in (b"1", b'""', b'"../../x"', b'"a b"', b"null")
    ]
    + [b'{"data": [' * 2000, b'{"data": [NaN], "fn_index": 1, "session_hash": "abcdefgh"}'],
)
@pytest.mark.parametrize("route", ["queue/join", "run/predict", "call/ask", "call/search"])
def test_a_call_that_is_none_is_refused_by_a_line(visitor: httpx.Client, route: str, body: bytes) -> None:
    refused = visitor.post(f"/gradio_api/{route}", content=body, headers={"Content-Type": "application/json"})
    assert refused.status_code == 400
    assert refused.json() == {"detail": "the server does not understand this call; load the page again"}


def test_a_page_of_another_visitor_is_neither_heard_nor_called(visitor: httpx.Client) -> None:
    names = numbers(visitor)
    session = uuid.uuid4().hex
    assert call(visitor, names["opened"], [None], session=session).status_code == 200
    with httpx.Client(base_url=visitor.base_url, timeout=60) as other:
        if visitor.get("/v1/models").status_code == 401:
            assert other.post("/login", data={"username": ANN[0], "password": ANN[1]}).status_code == 200
        else:
            other.get("/", headers={"Accept": "text/html"})
        for name in ("stop", "opened"):
            assert call(other, names[name], [None], session=session).status_code == 403
        assert other.get("/gradio_api/queue/data", params={"session_hash": session}).status_code == 403
        for query in (f"session_hash=abcdefgh&session_hash={session}", f"session%5fhash={session}", ""):
            assert other.get(f"/gradio_api/queue/data?{query}").status_code == 403, query
        assert other.get(f"/gradio_api/heartbeat/{session}").status_code == 403
        for name in ("ask", "search"):  # Gradio takes a page's id for an event's
            assert other.get(f"/gradio_api/call/{name}/{session}").status_code == 403
            assert other.get(f"/gradio_api/call/{name}/victimpage1").status_code == 404
    assert call(visitor, names["opened"], [None], session=session).status_code == 200


# -- routes ------------------------------------------------------------------------------------------------------------

CLOSED = """
    /gradio_api/file=/etc/passwd /file=/etc/passwd /gradio_api/file/etc/passwd
    /gradio_api/proxy=http://127.0.0.1:1/ /gradio_api/upload /gradio_api/upload_progress?upload_id=x
    /gradio_api/stream/abcdef/1/2/playlist.m3u8 /gradio_api/stream/abcdef /gradio_api/component_server
    /gradio_api/component_server/ /gradio_api/deep_link?session_hash=x /gradio_api/vibe-edit /gradio_api/vibe-code
    /gradio_api/vibe-starter-queries /gradio_api/undo-vibe-edit /gradio_api/process_recording /gradio_api/reset
    /gradio_api/cancel /gradio_api/dev/reload /gradio_api/openapi.json /gradio_api/user /gradio_api/token
    /gradio_api/app_id /gradio_api/runs /gradio_api/run-history/connect /gradio_api/profiling/traces
    /gradio_api/api/predict /gradio_api/run/ask /gradio_api/call/v2/ask /gradio_api/call/converse
    /gradio_api/custom_component/1/client/component/../../../x /svelte/../../etc/passwd
    /assets/../../../etc/passwd /assets/..%2f..%2fetc/passwd /static/%2e%2e/%2e%2e/etc/passwd /static//etc/passwd
    /monitoring /monitoring/x /docs /redoc /openapi.json /pwa_icon /manifest.json /robots.txt /login_check
    /gradio_api/login_check /gradio_api/mcp/sse /v1/../config /v1/models/../../config /V1/models //config /config/
    /gradio_api/queue/data/
""".split()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_what_the_page_does_not_need_is_not_there(visitor: httpx.Client, method: str) -> None:
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    for path in CLOSED:
        with closing(HTTPConnection(visitor.base_url.host, visitor.base_url.port, timeout=30)) as connection:
            connection.request(method, path, headers={"Cookie": cookies})  # as it stands; httpx would resolve ".."
            answered = connection.getresponse()
            assert answered.status == 404, path
            assert b"root:" not in answered.read(), path


def test_a_link_in_the_address_is_not_followed(visitor: httpx.Client, place: Path) -> None:
    asked = visitor.get("/", params={"deep_link": str(place / "private"), "q": "x"}, headers={"Accept": "text/html"})
    assert asked.status_code == 200
    assert '"deep_link_state":"none"' in asked.text


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../../private/plan.txt",
        "/etc/cron.d/x.txt",
        "..\\x.txt",
        "sources.toml",
        ".hidden",
        "x" * 5000 + ".txt",
        "a\u202etxt.exe",
        "",
        "<img src=x onerror=alert(1)>.txt",
        "CON.txt",
        "a.txt/../../b.txt",
    ],
)
def test_a_file_lands_in_the_library_or_nowhere_whatever_its_name(
    visitor: httpx.Client, place: Path, name: str
) -> None:
    before = {folder: snapshot(place / folder) for folder in ("private", "reports")}
    kept = set(snapshot(place / "index" / "library"))
    answered = visitor.post("/upload", files={"files": (name, b"Odo Brandt lives in Zorblatt.")})
    assert answered.status_code in {200, 400}
    new = {Path(path) for path in set(snapshot(place / "index" / "library")) - kept}
    assert {path.parent for path in new} <= {place / "index" / "library"}
    assert {path.suffix for path in new} <= {".txt"}
    assert {folder: snapshot(place / folder) for folder in before} == before
    assert not list((place / "index" / "library").glob(".incoming-*"))


def test_an_upload_without_files_is_refused_by_a_line(visitor: httpx.Client) -> None:
    for request in [{"data": {"files": "/etc/passwd"}}, {"json": {"path": "/etc/passwd"}}, {"content": b"x"}]:
        refused = visitor.post("/upload", **request)  # type: ignore[arg-type]
        assert refused.status_code in {400, 422}
        assert "Traceback" not in refused.text


# -- ten thousand at random --------------------------------------------------------------------------------------------


def test_ten_thousand_random_calls_open_nothing_outside(place: Path) -> None:
    """In a process of its own, where an audit hook sees whatever Python opens, moves or removes."""
    script = Path(__file__).with_name("audited_server.py")
    command = [sys.executable, str(script), str(place), "10000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["calls"] == 10_000
    assert seen["statuses"].get("200", 0) > 500, "some calls reach their handler"
    assert not set(seen["statuses"]) & {"500"}
    assert seen["outside"] == []
    assert seen["tracebacks"] == 0
    assert "Traceback" not in done.stderr
