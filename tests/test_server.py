"""What is served besides answers: headers, limits, a login, and what of the page is open to programs."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from conftest import HashingEncoder
from gradio_client import Client
from gradio_client.exceptions import AuthenticationError
from playwright.sync_api import Browser, expect
from serving import ELECTION, Held, chat, served, until

from rag import Rag, Settings
from rag.web.server import completions, guard, limits, sessions
from rag.web.server import serve as server

WAIT_MS = 60_000
ANN = ("ann", "one:two")
SKY = "Which colour has the sky?"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Rag]]:
    """Open an index of two sentences, with the hashing encoder."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "a.txt").write_text("The sky is blue today. The grass is green.\n", encoding="utf-8")
    opened: list[Rag] = []

    def open_(evidence: Held | None = None, **settings: object) -> Rag:
        opened.append(
            Rag(Settings(index_dir=folder / "index", **settings), encoder=HashingEncoder(), evidence=evidence)
        )
        return opened[-1]

    assert not open_().ingest([folder / "a.txt"]).failed
    yield open_
    for rag in opened:
        rag.close()


@pytest.fixture(scope="module")
def url(small: Callable[..., Rag]) -> Iterator[str]:
    with served(small()) as address:
        yield address


@pytest.fixture(scope="module")
def locked_url(small: Callable[..., Rag]) -> Iterator[str]:
    with served(small(auth=f"eve:other,{':'.join(ANN)}")) as address:
        yield address


def directives(response: httpx.Response) -> dict[str, str]:
    policy = response.headers["content-security-policy"]
    return {name: values for name, _, values in (part.strip().partition(" ") for part in policy.split(";"))}


# -- headers -----------------------------------------------------------------------------------------------------------


def test_the_page_forbids_the_browser_what_it_does_not_need(url: str):
    page = httpx.get(url, headers={"Accept": "text/html"})
    policy = directives(page)
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert "unsafe-inline" not in policy["script-src"]
    assert "http" not in page.headers["content-security-policy"], "no other machine is named"
    assert page.headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/", "/config", "/theme.css", "/v1/models", "/v1/nothing", "/nothing"])
def test_every_response_says_that_it_is_what_it_is_and_frames_nothing(url: str, path: str):
    response = httpx.get(url + path)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert directives(response)["frame-ancestors"] == "'none'"
    assert "access-control-allow-origin" not in response.headers
    assert "server" not in response.headers


def test_markup_that_got_into_the_page_would_run_nothing(url: str, browser: Browser):
    context = browser.new_context()
    page = context.new_page()
    page.goto(url)
    expect(page.locator(".opening")).to_be_visible(timeout=WAIT_MS)
    page.evaluate("""() => {
        window.ran = [];
        const put = document.createElement("div");
        put.innerHTML = "<img src=x onerror='ran.push(1)'><a href='javascript:ran.push(2)'>x</a>";
        document.body.append(put);
        put.querySelector("a").click();
        const script = document.createElement("script");
        script.textContent = "ran.push(3)";
        document.body.append(script);
    }""")
    page.wait_for_timeout(500)
    assert page.evaluate("window.ran") == []
    context.close()


# -- who asks, and from where ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1.evil.example"]
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/upload", "/login", "/gradio_api/queue/join"])
def test_a_page_of_another_origin_is_refused(url: str, path: str, origin: str):
    refused = httpx.post(url + path, headers={"Origin": origin}, content=b"{}")
    assert refused.status_code == 403
    assert "another origin" in refused.json()["error"]["message"]
    assert "access-control-allow-origin" not in refused.headers


def test_a_page_of_this_origin_is_answered(url: str):
    assert httpx.get(f"{url}/v1/models", headers={"Origin": url}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "[", "", "127.0.0.1.evil.example"])
def test_a_name_that_was_made_to_lead_here_is_refused(url: str, host: str):
    refused = httpx.get(f"{url}/config", headers={"Host": host})
    assert refused.status_code in {400, 421}
    assert "sky" not in refused.text
    assert "\n" not in refused.text


def test_the_names_of_this_machine_for_itself_are_known(url: str):
    port = urlsplit(url).port
    assert httpx.get(f"{url}/v1/models", headers={"Host": f"LOCALHOST:{port}"}).status_code == 200


# -- a login -----------------------------------------------------------------------------------------------------------


def test_without_the_password_nothing_of_documents_or_answers_is_given(locked_url: str):
    for path in ["/config", "/gradio_api/info", "/v1/models"]:
        assert httpx.get(locked_url + path).status_code == 401, path
    for path in ["/gradio_api/call/ask", "/gradio_api/queue/join", "/upload", "/v1/chat/completions"]:
        assert httpx.post(locked_url + path, json={"data": [ELECTION]}).status_code == 401, path
    assert "Question" not in httpx.get(locked_url).text
    with pytest.raises(AuthenticationError):
        Client(locked_url, verbose=False)


def test_the_page_asks_for_the_password_and_opens_with_it(locked_url: str, browser: Browser):
    context = browser.new_context()
    page = context.new_page()
    page.goto(locked_url)
    for password in ["wrong", ANN[1]]:
        page.get_by_label("Name").fill(ANN[0])
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Log in").click()
        if password == "wrong":
            expect(page.get_by_text("The name or the password is wrong.")).to_be_visible(timeout=WAIT_MS)
    expect(page.locator(".opening")).to_be_visible(timeout=WAIT_MS)
    context.close()


def test_a_program_logs_in_to_the_pages_api(locked_url: str):
    client = Client(locked_url, auth=ANN, verbose=False)
    assert client.predict(SKY, api_name="/search")["hits"]
    client.close()


def logged_in(url: str, password: str = ANN[1]) -> httpx.Response:
    return httpx.post(f"{url}/login", data={"username": ANN[0], "password": password})


def test_a_login_ends_with_time_and_on_log_out(
    small: Callable[..., Rag], monkeypatch: pytest.MonkeyPatch, browser: Browser
):
    with served(small(auth=":".join(ANN))) as url:
        cookies = logged_in(url).cookies
        assert httpx.get(f"{url}/config", cookies=cookies).status_code == 200
        ended = httpx.post(f"{url}/logout", cookies=cookies)
        assert ended.headers["Clear-Site-Data"] == '"storage"'  # what this browser kept is not for the next user
        assert httpx.get(f"{url}/config", cookies=cookies).status_code == 401
        monkeypatch.setattr(sessions, "LOGIN_S", 0.0)
        cookies = logged_in(url).cookies
        assert httpx.get(f"{url}/config", cookies=cookies).status_code == 401
        monkeypatch.undo()

        page = browser.new_page()
        page.goto(url)
        page.get_by_label("Name").fill(ANN[0])
        page.get_by_label("Password").fill(ANN[1])
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("button", name="Log in")).to_be_visible(timeout=WAIT_MS)
        page.close()


def test_the_cookie_of_a_login_is_new_and_out_of_reach_of_scripts(locked_url: str):
    planted = httpx.get(locked_url, headers={"Accept": "text/html"})
    assert "set-cookie" not in planted.headers, "before the login there is nothing to steal"
    first, second = (logged_in(locked_url).headers["set-cookie"] for _ in range(2))
    assert first != second
    assert "HttpOnly" in first
    assert "SameSite=lax" in first


def test_who_guesses_passwords_has_to_wait(small: Callable[..., Rag]):
    with served(small(auth=":".join(ANN))) as url:
        statuses = [logged_in(url, "wrong").status_code for _ in range(10)]
        refused = logged_in(url)
        by_key = httpx.get(f"{url}/v1/models", headers={"Authorization": f"Bearer {':'.join(ANN)}"})
    assert set(statuses) == {401}
    for response in (refused, by_key):
        assert response.status_code == 429
        assert 0 < int(response.headers["retry-after"]) <= 10


@pytest.mark.parametrize("body", [b"", b"\xff", b"username=ann", b"a&" * 100, b"username=ann&password=" + b"x" * 9000])
def test_a_login_that_is_none_is_refused(locked_url: str, body: bytes):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert httpx.post(f"{locked_url}/login", content=body, headers=kind).status_code in {400, 401, 413}


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {':'.join(ANN)}", 200),
        ("Basic YW5uOm9uZTp0d28=", 200),
        ("Bearer ann:wrong", 401),
        ("Basic YW5uOndyb25n", 401),
        ("Basic ***", 401),
        ("Basic gIGC", 401),  # no UTF-8
        ("Negotiate ann:one:two", 401),
        ("", 401),
    ],
)
def test_chat_clients_send_user_and_password_as_key_or_by_http(locked_url: str, authorization: str, status: int):
    answered = httpx.get(f"{locked_url}/v1/models", headers={"Authorization": authorization})
    assert answered.status_code == status
    if status == 401:
        assert answered.json()["error"]["code"] == "invalid_api_key"
        assert answered.headers["www-authenticate"].startswith("Basic ")
        assert "wrong" not in answered.text


# -- limits ------------------------------------------------------------------------------------------------------------


def exchanged(url: str, sent: bytes) -> bytes:
    """Send bytes, and read until the server closes."""
    with socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=30) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def posted(path: str, headers: str, body: bytes = b"") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{headers}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("path", "megabytes"),
    [
        ("/v1/chat/completions", limits.MAX_CHAT_MB),
        ("/gradio_api/queue/join", limits.MAX_BODY_MB),
        ("/upload", limits.MAX_UPLOAD_FILES * Settings().max_file_mb),
    ],
)
def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(url: str, path: str, megabytes: int):
    answered = exchanged(
        url,
        posted(path, f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {megabytes * 1024**2 + 1}"),
    )
    assert answered.startswith(b"HTTP/1.1 413 ")
    assert f"larger than {megabytes} MB".encode() in answered


def test_a_body_that_does_not_say_so_is_refused_when_it_is(url: str):
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    headers = "Transfer-Encoding: chunked"
    answered = exchanged(url, posted("/v1/chat/completions", headers, chunk * (limits.MAX_CHAT_MB * 16 + 1)))
    assert answered.startswith(b"HTTP/1.1 413 ")


def test_more_files_than_are_taken_at_once_are_refused(url: str):
    files = [("files", (f"{n}.txt", b"text of a file")) for n in range(limits.MAX_UPLOAD_FILES + 1)]
    assert httpx.post(f"{url}/upload", files=files[1:]).status_code == 200
    refused = httpx.post(f"{url}/upload", files=files)
    assert refused.status_code == 413
    assert f"more than {limits.MAX_UPLOAD_FILES} files" in refused.text


def test_a_file_that_is_too_large_is_refused_by_its_line(small: Callable[..., Rag]):
    with served(small(max_file_mb=1)) as url:
        lines = httpx.post(f"{url}/upload", files={"files": ("big.txt", b"a" * (1024**2 + 1))}, timeout=60).text
    (upload,) = json.loads(lines.splitlines()[-1])
    assert upload["state"] == "refused"
    assert "RAG_MAX_FILE_MB" in upload["line"]


def test_a_client_that_owes_its_body_is_given_up(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guard, "_SILENCE_S", 0.2)
    answered = exchanged(url, posted("/v1/chat/completions", "Content-Length: 100", b'{"model":'))
    assert answered.startswith(b"HTTP/1.1 408 ")


def test_a_client_that_owes_its_headers_is_given_up(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "_REQUEST_LINE_S", 0.2)
    assert exchanged(url, b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n") == b""
    assert exchanged(url, b"") == b""


def test_a_later_request_of_a_connection_is_given_up_as_well(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "_REQUEST_LINE_S", 0.5)
    with socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=30) as connection:
        connection.sendall(b"GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 404 ")
        connection.sendall(b"G")
        while connection.recv(65536):
            pass  # until it is closed


def test_a_client_that_sends_a_byte_now_and_then_is_given_up(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guard, "_SILENCE_S", 0.5)
    with socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=30) as connection:
        connection.sendall(posted("/v1/chat/completions", "Content-Length: 1000"))
        connection.settimeout(0.2)
        answered = b""
        while not answered:
            connection.sendall(b" ")
            with suppress(TimeoutError):
                answered = connection.recv(65536)
        assert answered.startswith(b"HTTP/1.1 408 ")


def test_headers_have_an_end(url: str):
    with socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=30) as connection:
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 60_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


@pytest.fixture
def crowded(small: Callable[..., Rag], monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Held]]:
    """A server with one place at work and one in line at each door, and questions that last until they are released."""
    for module in (server, completions):
        monkeypatch.setattr(module, "AT_ONCE", 1)
        monkeypatch.setattr(module, "WAITING", 1)
    held = Held()
    with served(small(held)) as url:
        yield url, held
        held.released.set()


def test_a_chat_client_is_told_at_once_when_the_line_is_full(crowded: tuple[str, Held]):
    url, held = crowded
    with ThreadPoolExecutor(5) as clients:
        first = clients.submit(chat, url, SKY)
        until(lambda: held.n_asked == 1)
        more = [clients.submit(chat, url, SKY) for _ in range(4)]
        until(lambda: sum(each.done() for each in more) == 3)
        refused = [each.result() for each in more if each.done()]
        held.released.set()
        assert [each.result().status_code for each in [first, *more]].count(200) == 2
    for response in refused:
        assert response.status_code == 503
        assert response.json()["error"]["message"] == limits.BUSY
        assert int(response.headers["retry-after"]) > 0


def test_a_program_is_told_at_once_when_the_line_of_the_page_is_full(crowded: tuple[str, Held]):
    url, held = crowded
    join = {"data": [SKY, None, None, None, None, "quotes"]}
    assert httpx.post(f"{url}/gradio_api/call/ask", json=join).status_code == 200
    until(lambda: held.n_asked == 1)
    assert httpx.post(f"{url}/gradio_api/call/ask", json=join).status_code == 200
    refused = httpx.post(f"{url}/gradio_api/call/ask", json=join)
    assert refused.status_code == 503
    assert refused.json() == {"detail": limits.BUSY}
    assert int(refused.headers["retry-after"]) > 0


# -- what programs see of the page -------------------------------------------------------------------------------------


def test_two_endpoints_of_the_page_are_open_to_programs(url: str):
    described = httpx.get(f"{url}/gradio_api/info").json()
    assert set(described["named_endpoints"]) == {"/ask", "/search"}
    assert not described["unnamed_endpoints"]
    asked = [parameter["parameter_name"] for parameter in described["named_endpoints"]["/ask"]["parameters"]]
    assert asked == ["question", "history", "source", "since", "until", "mode"]


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/monitoring", "/monitoring/summary"])
def test_nothing_else_of_the_frameworks_is_served(url: str, path: str):
    assert httpx.get(url + path).status_code in {404, 403}


def test_files_of_this_machine_are_not_served(url: str, tmp_path: Path):
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    for path in [tmp_path / "secret.txt", "/etc/passwd", Path(__file__)]:
        assert httpx.get(f"{url}/gradio_api/file={path}").status_code in {403, 404}


def test_what_a_client_sends_is_not_printed(tmp_path: Path):
    """Not even by Gradio, which shows the inputs of a call that has too few. That a password was wrong is said."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(
        [Path(sys.executable).parent / "rag", "serve", "--index", tmp_path, "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "RAG_AUTH": ":".join(ANN)},
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - before any thread of its own
    ) as running:
        assert running.stdout
        url = running.stdout.readline().split()[-1]
        said = "\x1b[31mZorblatt\nrag: all is well"
        try:
            assert logged_in(url, said).status_code == 401
            with httpx.Client(base_url=f"{url}/gradio_api/call/", cookies=logged_in(url).cookies, timeout=60) as client:
                assert client.post("ask", json={"data": [said]}).status_code == 400
                called = client.post("ask", json={"data": ["x", None, None, None, None, said]})
                assert client.get(f"ask/{called.json()['event_id']}").text.startswith("event: error")
        except BaseException:
            running.kill()
            raise
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    logged = "rag.web.server.auth: login: a wrong name or password from 127.0.0.1\n"
    assert (running.returncode, out, err) == (0, "", logged)
