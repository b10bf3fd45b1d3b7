"""Language models over both protocols: what comes through, and what becomes of everything that can go wrong."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
from llm_server import (
    Behaviour,
    LlmServer,
    breaks_off,
    drips,
    fails,
    first,
    hangs,
    hangs_up,
    prompt_of,
    reports_an_error,
    says,
    sends,
)

from rag import Settings
from rag.errors import ModelFailed, SettingsError
from rag.writing import LanguageModel, configured
from rag.writing.language_model import MAX_RETRIES, OPENAI_LIKE, ChatModel

KEY = "sk-very-secret"
PATIENCE_S = 30.0  # where nothing hangs; machines are busy
SILENCE_S = 0.3  # where something does
NAMES = {"openai": "small-model", "anthropic": "claude-sonnet-4-5"}  # LlamaIndex knows Anthropic's models by name


@pytest.fixture(params=NAMES)
def model(request: pytest.FixtureRequest, llm_server: LlmServer) -> ChatModel:
    """The server of this test through each of the two clients."""
    is_anthropic = request.param == "anthropic"
    made = configured(
        Settings(
            llm_base_url="anthropic" if is_anthropic else llm_server.url,
            llm_model=NAMES[request.param],
            llm_api_key=KEY,
            llm_timeout_s=PATIENCE_S,
        )
    )
    assert isinstance(made, ChatModel)
    return dataclasses.replace(made, base_url=llm_server.url.removesuffix("/v1")) if is_anthropic else made


def answer(model: LanguageModel, prompt: str = "Who won?") -> str:
    return "".join(model.stream(prompt, max_tokens=50))


def failure(model: LanguageModel) -> str:
    """Return the line of the failure, which must name the model, be one line and never hold the key."""
    with pytest.raises(ModelFailed) as caught:
        answer(model)
    line = str(caught.value)
    assert line.startswith(f"{model.name}: ")
    assert "\n" not in line
    assert KEY not in "".join(traceback.format_exception(caught.value))
    return line


# -- what comes through ------------------------------------------------------------------------------------------------


def test_an_answer_comes_in_pieces_as_it_is_written(model: ChatModel, llm_server: LlmServer):
    llm_server.behave = says("Tokayev won the election. [1]", pause_s=0.05)
    pieces = list(model.stream("Who won?", max_tokens=50))
    assert pieces == ["Tokayev", " won", " the", " election.", " [1]"]


def test_the_server_gets_the_prompt_the_limit_and_no_chance_to_vary(model: ChatModel, llm_server: LlmServer):
    llm_server.behave = says(lambda request: prompt_of(request).upper())
    assert answer(model, "who won? «ß» 習") == "WHO WON? «SS» 習"
    (request,) = llm_server.requests
    assert (request["model"], request["max_tokens"], request["temperature"]) == (model.model, 50, 0.0)
    assert request.get("seed", 0) == 0


def test_the_server_learns_nothing_about_the_machine(
    model: ChatModel, llm_server: LlmServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-somebody")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-of-somebody")
    llm_server.behave = says("Yes.")
    answer(model)
    (headers,) = llm_server.headers
    assert "of-somebody" not in json.dumps(headers)
    assert KEY in json.dumps(headers)
    credentials = {"authorization"} if model.api is OPENAI_LIKE else {"x-api-key", "anthropic-version"}
    assert set(headers) == {"host", "accept", "content-type", "content-length", "user-agent"} | credentials


@pytest.mark.parametrize("variable", ["OPENAI_CUSTOM_HEADERS", "ANTHROPIC_CUSTOM_HEADERS"])
@pytest.mark.parametrize("name", ["X-Secret", "Authorization", "X-Api-Key", "User-Agent", "Host", "Cookie"])
def test_headers_for_another_service_are_not_sent_along(
    variable: str, name: str, model: ChatModel, llm_server: LlmServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(variable, f"{name}: of-another-service")
    llm_server.behave = says("Yes.")
    answer(model)
    assert "of-another-service" not in json.dumps(llm_server.headers)
    assert KEY in json.dumps(llm_server.headers)


def test_a_user_and_password_of_the_address_are_sent(llm_server: LlmServer):
    llm_server.behave = says("Yes.")
    answer(openai_like(llm_server.url.replace("//", "//me:password@"), llm_api_key=KEY))
    assert llm_server.headers[0]["authorization"] == "Basic bWU6cGFzc3dvcmQ="


@pytest.mark.parametrize("variable", ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
def test_no_other_services_key_is_sent_along(
    variable: str, model: ChatModel, llm_server: LlmServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(variable, "sk-of-another-service")
    llm_server.behave = says("Yes.")
    answer(dataclasses.replace(model, key=Settings().llm_api_key))
    assert "sk-of-another-service" not in json.dumps(llm_server.headers)


def test_no_other_address_is_taken_from_the_environment(
    model: ChatModel, llm_server: LlmServer, monkeypatch: pytest.MonkeyPatch
):
    for variable in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_BASE_URL"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    llm_server.behave = says("Yes.")
    assert answer(model) == "Yes."


def test_closing_the_iterator_cancels_the_request(model: ChatModel, llm_server: LlmServer):
    llm_server.behave = says("word " * 200, pause_s=0.05)
    pieces = model.stream("Who won?", max_tokens=50)
    assert next(pieces) == "word"
    pieces.close()
    assert llm_server.left.wait(5), "the server sees it"


def test_threads_share_a_model(model: ChatModel, llm_server: LlmServer):
    from concurrent.futures import ThreadPoolExecutor

    llm_server.behave = says(prompt_of, pause_s=0.02)
    prompts = [f"question {n}" for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda prompt: answer(model, prompt), prompts)) == prompts


# -- what goes wrong ---------------------------------------------------------------------------------------------------

PAST_ANY_WAIT = formatdate(time.time() + 10**8, usegmt=True)  # far from now, whenever the test comes to run
FAILURES: dict[str, tuple[Behaviour, str, int]] = {
    "401": (fails(401, f"wrong key {KEY}"), "HTTP 401, the key is not accepted; correct RAG_LLM_API_KEY", 1),
    "403": (fails(403, f"wrong key {KEY}"), "HTTP 403, the key is not accepted; correct RAG_LLM_API_KEY", 1),
    "404": (fails(404, "no model of that name"), "not found (no model of that name); correct RAG_LLM_MODEL", 1),
    "400": (fails(400, f"prompt too long, {KEY}"), "the request is refused (prompt too long, …)", 1),
    "429 for long": (fails(429, Retry_After="100"), "HTTP 429, too many requests; ask again in 100 s", 1),
    "429 until a date": (fails(429, Retry_After=PAST_ANY_WAIT), "too many requests; ask again in 9", 1),
    "429 for ever": (fails(429, Retry_After="0"), "too many requests; ask again in 0 s", MAX_RETRIES + 1),
    "500 for ever": (fails(500, Retry_After="0"), "HTTP 500, the server failed (no); see its log", MAX_RETRIES + 1),
    "a cut line": (breaks_off("Tokayev won", cleanly=False), "broke off in mid-answer", 1),
    "an answer without end": (breaks_off("Tokayev won", cleanly=True), "broke off in mid-answer", 1),
    "an error in mid-answer": (reports_an_error("Tokayev"), "broke off in mid-answer (out of memory)", 1),
    "an error for an answer": (reports_an_error(""), "(out of memory)", 1),
    "an empty answer": (says(""), "gave an empty answer", 1),
    "a web page": (sends(b"<html>Hello!</html>", "text/html"), "correct RAG_LLM_BASE_URL", 1),
    "no JSON": (sends(b"event: content_block_delta\ndata: <html>\n\n"), "no chat completion came", 1),
    "no text at all": (sends(bytes(range(256))), "no chat completion came", 1),
}


@pytest.mark.parametrize(("behaviour", "said", "n_requests"), FAILURES.values(), ids=FAILURES.keys())
def test_a_failure_is_one_line_that_says_what_to_do(
    behaviour: Behaviour, said: str, n_requests: int, model: ChatModel, llm_server: LlmServer
):
    llm_server.behave = behaviour
    assert said in failure(model)
    assert len(llm_server.requests) == n_requests


@pytest.mark.parametrize("status", [400, 404, 500])
def test_what_a_server_says_of_a_failure_is_shown_as_plain_characters_and_without_secrets(
    status: int, llm_server: LlmServer
):
    llm_server.behave = fails(status, f"\x1b[2J\x9b1m\u202eno {KEY}, p@ss\r\n!", Retry_After="0")
    line = failure(openai_like(llm_server.url.replace("//", "//me:p%40ss@"), llm_api_key=KEY))
    assert "(\ufffd[2J\ufffd1m\ufffdno …, … !)" in line


SLOW: dict[str, tuple[Behaviour, str]] = {
    "a hang": (hangs(), "silent for 0.3 s"),
    "a hang with signs of life": (hangs(every_s=0.05), "silent for 0.3 s"),
    "a hang in mid-answer": (hangs("Tokayev won"), "silent for 0.3 s"),
    "a header without end": (drips(b"HTTP/1.1 200 OK\r\nX-Slow: ", every_s=0.1), "not done in 1.5 s"),
    "a status without end": (drips(b"HTTP/1.1 200 ", every_s=0.1), "not done in 1.5 s"),
    "a chunk size without end": (
        drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0", every_s=0.1),
        "not done in 1.5 s",
    ),
    "a body without length or end": (drips(b"HTTP/1.0 200 OK\r\n\r\n", every_s=0.1), "not done in 1.5 s"),
    "words for ever": (says("word " * 1000, pause_s=0.1), "not done in 1.5 s; ask again, or raise RAG_LLM_TIMEOUT_S"),
}


@pytest.mark.parametrize(("behaviour", "said"), SLOW.values(), ids=SLOW.keys())
def test_a_model_that_takes_too_long_is_left(behaviour: Behaviour, said: str, model: ChatModel, llm_server: LlmServer):
    llm_server.behave = behaviour
    assert said in failure(dataclasses.replace(model, timeout_s=SILENCE_S))
    assert len(llm_server.requests) == 1, "it is not asked again, which would take as long"
    assert llm_server.left.wait(5), "it is told to stop"


def test_words_that_come_with_a_sign_of_life_are_words(model: ChatModel, llm_server: LlmServer):
    patience_s = 0.6  # between two words a busy machine may pause, too
    llm_server.behave = says("Tokayev won in June", pause_s=patience_s / 2, comment=": ping\n\n")
    assert answer(dataclasses.replace(model, timeout_s=patience_s)) == "Tokayev won in June"


@pytest.mark.parametrize("body", [b"data: [1]\n\n", b'data: {"choices": null}\n\n', b'data: "hello"\n\n'])
def test_json_that_is_no_chat_completion_is_told_alike(body: bytes, llm_server: LlmServer):
    llm_server.behave = sends(body)
    line = failure(openai_like(llm_server.url))
    assert "RAG_LLM_BASE_URL" in line


def openai_like(url: str, **settings: object) -> ChatModel:
    given = {"llm_base_url": url, "llm_model": "m", "llm_timeout_s": PATIENCE_S, **settings}
    model = configured(Settings(**given))
    assert isinstance(model, ChatModel)
    return model


PASSING: dict[str, tuple[Behaviour, ...]] = {
    "500": (fails(500),),
    "503 twice": (fails(503, Retry_After="0"), fails(503, Retry_After="0")),
    "429": (fails(429, Retry_After="0"),),
    "a reset": (hangs_up,),
}


@pytest.mark.parametrize("behaviours", PASSING.values(), ids=PASSING.keys())
def test_what_may_pass_is_tried_again(behaviours: tuple[Behaviour, ...], model: ChatModel, llm_server: LlmServer):
    llm_server.behave = first(*behaviours, says("Tokayev won. [1]"))
    assert answer(model) == "Tokayev won. [1]"
    assert len(llm_server.requests) == len(behaviours) + 1


def test_a_pause_that_the_server_asks_for_is_kept(model: ChatModel, llm_server: LlmServer):
    llm_server.behave = first(fails(429, Retry_After="1"), says("Tokayev won. [1]"))
    started = time.monotonic()
    assert answer(model) == "Tokayev won. [1]"
    assert time.monotonic() - started >= 1


def test_nothing_is_tried_again_after_the_first_word(model: ChatModel, llm_server: LlmServer):
    llm_server.behave = first(breaks_off("Tokayev", cleanly=False), says("Nazarbayev won."))
    heard: list[str] = []
    with pytest.raises(ModelFailed, match="broke off"):
        heard.extend(model.stream("Who won?", max_tokens=50))
    assert len(llm_server.requests) == 1


@pytest.mark.parametrize(
    ("url", "said"),
    {
        "nobody listens": ("http://127.0.0.1:9/v1", "cannot be reached"),
        "no such name": ("http://no-such-host.invalid/v1", "cannot be reached"),
        "TLS where there is none": (None, "cannot be reached"),
    }.values(),
)
def test_a_server_that_cannot_be_reached_is_told_at_once(url: str | None, said: str, llm_server: LlmServer):
    line = failure(openai_like(url or llm_server.url.replace("http:", "https:")))
    assert said in line
    assert line.endswith("start it, or correct RAG_LLM_BASE_URL")


def test_a_client_that_is_not_installed_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "llama_index.llms.anthropic", None)
    model = configured(Settings(llm_base_url="anthropic", llm_model="claude-sonnet-4-5"))
    assert model
    assert failure(model).endswith("pip install 'footnote-rag[anthropic]'")


# -- what is configured ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [{}, {"llm_model": "m"}, {"llm_base_url": "http://127.0.0.1:9/v1"}])
def test_without_address_and_name_there_is_no_model(given: dict[str, str]):
    assert configured(Settings(**given)) is None


def test_a_name_is_model_and_host_without_any_secret():
    model = openai_like("http://me:password@example.test:8080/v1", llm_api_key=KEY)
    assert model.name == "m@example.test:8080"
    assert KEY not in repr(model)
    anthropic = configured(Settings(llm_base_url="anthropic", llm_model="claude-sonnet-4-5"))
    assert anthropic
    assert anthropic.name == "claude-sonnet-4-5@api.anthropic.com"


@pytest.mark.parametrize("url", ["http://[::1/v1", "http:///v1", "http://:80/v1"])
def test_an_address_that_is_none_is_refused_before_any_request(url: str):
    with pytest.raises(SettingsError, match="llm_base_url"):
        openai_like(url)


@pytest.mark.parametrize(
    "url", ["ftp://me:password@example.test", "me:password@example.test", "http://me:pass/word@example.test/v1"]
)
def test_a_password_in_an_address_that_is_none_is_not_shown(url: str):
    with pytest.raises(SettingsError, match="llm_base_url") as caught:
        openai_like(url)
    assert "pass" not in "".join(traceback.format_exception_only(caught.value))
    assert "pass" not in str(caught.value.__cause__)


@pytest.mark.parametrize("key", ["sk-“quoted”", "sk-a\nb", "sk-\x00"])
def test_a_key_that_is_none_is_refused_and_not_shown(key: str):
    with pytest.raises(SettingsError, match="llm_api_key") as caught:
        openai_like("http://127.0.0.1:9/v1", llm_api_key=key)
    assert "sk-" not in str(caught.value)


def test_the_command_shows_neither_secrets_nor_what_acts_on_a_terminal(llm_server: LlmServer):
    llm_server.behave = fails(400, f"\x1b[2J no {KEY}")
    url = llm_server.url.replace("//", "//me:password@")
    given = {"RAG_LLM_BASE_URL": url, "RAG_LLM_MODEL": "m\x1b[2J", "RAG_LLM_API_KEY": KEY}
    command = [str(Path(sys.executable).with_name("rag")), "models"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | given, check=False)
    assert done.returncode == 1
    assert "the request is refused" in done.stderr
    for secret in (KEY, "password", "\x1b"):
        assert secret not in done.stdout + done.stderr


def test_a_configured_model_is_not_contacted_and_not_imported_before_it_is_asked(llm_server: LlmServer):
    code = (
        "import sys; from rag import Settings; from rag.writing.language_model import configured\n"
        f"print(configured(Settings(llm_base_url={llm_server.url!r}, llm_model='m')).name)\n"
        "print([m for m in ('llama_index', 'openai', 'httpx', 'anthropic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1:] == ["[]"]
    assert llm_server.requests == []


# -- a real model ------------------------------------------------------------------------------------------------------


@pytest.fixture
def local_server(small_model: Path) -> Iterator[Callable[[], tuple["subprocess.Popen[str]", str]]]:
    """Start ``rag models serve`` and return its process and what it says on its standard output."""
    started: list[subprocess.Popen[str]] = []

    def start() -> tuple["subprocess.Popen[str]", str]:
        with socket.create_server(("127.0.0.1", 0)) as held:
            port = held.getsockname()[1]
        command = [str(Path(sys.executable).with_name("rag")), "models", "serve", "smollm2-135m", "--port", str(port)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        assert process.stdout
        return process, process.stdout.readline() + process.stdout.readline()

    yield start
    for process in started:
        process.kill()
        process.communicate()


def served_model(said: str, monkeypatch: pytest.MonkeyPatch) -> LanguageModel:
    for assignment in said.split()[-3:]:  # export RAG_LLM_BASE_URL=… RAG_LLM_MODEL=… RAG_LLM_TIMEOUT_S=…
        monkeypatch.setenv(*assignment.split("=", 1))
    model = configured(Settings())
    assert model
    return model


def test_a_real_model_writes_until_it_is_killed_in_mid_answer(
    local_server: Callable[[], tuple["subprocess.Popen[str]", str]], monkeypatch: pytest.MonkeyPatch
):
    process, said = local_server()
    model = served_model(said, monkeypatch)
    assert len(answer(model, "Where is Astana?").split()) > 3

    pieces = model.stream("Write a very long story about a bridge.", max_tokens=2000)
    next(pieces)
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(ModelFailed, match="broke off in mid-answer"):
        list(pieces)
    assert "cannot be reached" in failure(model)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_served_model_ends_cleanly(
    ending: signal.Signals, local_server: Callable[[], tuple["subprocess.Popen[str]", str]]
):
    process, said = local_server()
    assert "export RAG_LLM_BASE_URL=http://127.0.0.1:" in said
    process.send_signal(ending)
    assert process.wait(timeout=30) == 0
    assert process.communicate() == ("", "")


def test_a_served_model_ends_cleanly_in_mid_answer(
    local_server: Callable[[], tuple["subprocess.Popen[str]", str]], monkeypatch: pytest.MonkeyPatch
):
    process, said = local_server()
    next(served_model(said, monkeypatch).stream("Write a very long story about a bridge.", max_tokens=2000))
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    assert process.communicate() == ("", "")
