"""A language model behind a small seam: a prompt in, its words out as they come, every failure one error.

    model = configured(settings)                     # None where no model is configured
    for words in model.stream(prompt, max_tokens=300): ...

LlamaIndex and the clients under it are imported at the first prompt, never earlier, and nothing is contacted before.
"""

import random
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from rag.config import Settings
from rag.errors import ModelFailed, SettingsError
from rag.text.characters import printable
from rag.writing.connection import connection

if TYPE_CHECKING:
    import httpx
    from llama_index.core.llms import LLM

CONTEXT_TOKENS = 4096  # prompt and answer; what local servers give a model unless told otherwise
MAX_RETRIES = 2  # a reader waits meanwhile, and without the model there are quotes
MAX_PAUSE_S = 10.0  # a server that asks for a longer pause is not waited for
SILENCES_IN_ALL = 5  # an answer may take so many times the silence allowed, retries included
ANTHROPIC_URL = "https://api.anthropic.com"
_NO_KEY = "none"  # without any, the clients would take another service's key from the environment and send it along
_PROBE_TOKENS = 64  # of which only the first is waited for; a model that thinks first needs some
_SAID_CHARS = 160  # shown of what a server says about a failure


class LanguageModel(Protocol):
    """What writing an answer needs of a language model."""

    @property
    def name(self) -> str:
        """The model as it stands in traces: ``model@host``."""

    @property
    def context_tokens(self) -> int:
        """Room for prompt and answer together."""

    def stream(self, prompt: str, *, max_tokens: int) -> Generator[str, None, None]:
        """Yield the answer in pieces, none of them empty; closing the generator cancels the request.

        Raises ModelFailed, also in the middle of an answer.
        """


def first_word_s(model: LanguageModel) -> float:
    """Ask a model for a word and return the seconds until it came. Raises ModelFailed."""
    started = time.perf_counter()
    with closing(model.stream("Say yes.", max_tokens=_PROBE_TOKENS)) as words:
        next(words)
        return time.perf_counter() - started


@dataclass(frozen=True, slots=True)
class _Request:
    """What a client is made for. deadline: on the clock of time.monotonic."""

    model: str
    base_url: str
    key: str = field(repr=False)
    timeout_s: float
    deadline: float
    max_tokens: int


@dataclass(frozen=True, slots=True)
class _Api:
    """A protocol: how LlamaIndex speaks it, and the SDK below that; both SDKs name their errors alike.

    headers: what the protocol wants beside the plain ones, made of the key.
    """

    llm: Callable[[_Request, "httpx.Client"], "LLM"]
    package: str
    sdk: str
    headers: Callable[[str], dict[str, str]]


class _Passing(ModelFailed):
    """A failure that may be over after a pause: the one that the server asks for, if it does."""

    def __init__(self, line: str, *, pause_s: float | None = None) -> None:
        self.pause_s = pause_s
        super().__init__(line)


def configured(settings: Settings) -> LanguageModel | None:
    """Return the language model that the settings name, not yet contacted; None if they name none.

    Raises SettingsError for an address or a key that cannot be one.
    """
    if not settings.writes:
        return None
    key = settings.llm_api_key.get_secret_value().strip()
    if not (key.isascii() and key.isprintable()):
        raise SettingsError("setting llm_api_key: holds characters that no key has; copy it again")
    is_anthropic = settings.llm_base_url == "anthropic"
    return ChatModel(
        model=settings.llm_model,
        base_url=ANTHROPIC_URL if is_anthropic else settings.llm_base_url,
        key=SecretStr(key),
        timeout_s=settings.llm_timeout_s,
        api=ANTHROPIC if is_anthropic else OPENAI_LIKE,
    )


@dataclass(frozen=True)
class ChatModel:
    """A model at an endpoint, through LlamaIndex. Each prompt has a connection of its own, so threads may share it."""

    model: str
    base_url: str
    key: SecretStr
    timeout_s: float
    api: _Api
    context_tokens: int = CONTEXT_TOKENS

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.base_url)
            host, _ = parts.hostname, parts.port  # a port that is no number may be a part of a password
        except ValueError:
            host = None
        if not host:
            raise SettingsError("setting llm_base_url: names no host; write one such as http://127.0.0.1:8080/v1")

    @property
    def name(self) -> str:
        """The model and where it is; a password inside the address is left out."""
        return f"{self.model}@{urlsplit(self.base_url).netloc.rpartition('@')[2]}"

    def stream(self, prompt: str, *, max_tokens: int) -> Generator[str, None, None]:
        """Yield the answer in pieces; what fails in passing before the first of them is tried again."""
        self._load()  # takes seconds the first time, which are not the model's
        deadline = time.monotonic() + SILENCES_IN_ALL * self.timeout_s
        key = self.key.get_secret_value() or _NO_KEY
        request = _Request(self.model, self.base_url, key, self.timeout_s, deadline, max_tokens)
        for n_before in range(MAX_RETRIES + 1):
            try:
                yield from self._attempt(prompt, request)
            except _Passing as failed:
                pause_s = _pause_s(failed, n_before)
                if n_before == MAX_RETRIES or pause_s > MAX_PAUSE_S or time.monotonic() + pause_s > deadline:
                    raise
                time.sleep(pause_s)
            else:
                return

    def _load(self) -> None:
        try:
            import_module(self.api.package)
        except ImportError as error:
            extra = self.api.package.rpartition(".")[2]
            raise ModelFailed(
                f"{self.name}: {self.api.package} is not installed; pip install 'footnote-rag[{extra}]'"
            ) from error

    def _attempt(self, prompt: str, request: _Request) -> Iterator[str]:
        begun = ended = False
        try:
            headers = self.api.headers(request.key)
            with connection(
                self.base_url, headers=headers, silence_s=self.timeout_s, deadline=request.deadline
            ) as client:
                for words, is_last in _pieces(self.api.llm(request, client), prompt):
                    ended |= is_last
                    if words:
                        begun = True
                        yield words
        except Exception as error:  # noqa: BLE001 - whatever a stranger's bytes do to three libraries
            raise self._failure(error, request, begun=begun) from None  # it may repeat the key
        if not ended and time.monotonic() >= request.deadline:
            raise self._too_slow()
        if not begun:
            raise ModelFailed(
                f"{self.name}: gave an empty answer; ask again, or correct RAG_LLM_BASE_URL and RAG_LLM_MODEL"
            )
        if not ended:
            raise ModelFailed(self._broke_off())

    def _failure(self, error: Exception, request: _Request, *, begun: bool) -> ModelFailed:
        import httpx  # noqa: PLC0415 - imported already where this runs

        sdk: Any = import_module(self.api.sdk)
        said = self._said(error)
        is_late = time.monotonic() >= request.deadline
        if is_late or isinstance(error, sdk.APITimeoutError | httpx.TimeoutException):
            return self._too_slow()
        if begun:
            return ModelFailed(self._broke_off(said))
        if isinstance(error, sdk.APIStatusError) and error.status_code >= 400:
            return self._refusal(error.status_code, said, error.response.headers.get("retry-after", ""))
        if isinstance(error.__cause__, httpx.ConnectError | httpx.UnsupportedProtocol):
            return ModelFailed(
                f"{self.name}: cannot be reached{self._said(error.__cause__)}; start it, or correct RAG_LLM_BASE_URL"
            )
        if isinstance(error, sdk.APIConnectionError | httpx.TransportError):
            return _Passing(f"{self.name}: closed the connection without an answer; see its log")
        return ModelFailed(
            f"{self.name}: no chat completion came{said}; correct RAG_LLM_MODEL, or RAG_LLM_BASE_URL (most end in /v1)"
        )

    def _refusal(self, status: int, said: str, retry_after: str) -> ModelFailed:
        what = f"{self.name}: HTTP {status}"
        if status in {401, 403}:  # what is said to a wrong key may repeat it
            return ModelFailed(f"{what}, the key is not accepted; correct RAG_LLM_API_KEY")
        if status == 404:
            return ModelFailed(f"{what}, not found{said}; correct RAG_LLM_MODEL, or RAG_LLM_BASE_URL (most end in /v1)")
        if status == 429:
            pause_s = _seconds(retry_after)
            wait = "later" if pause_s is None else f"in {pause_s:.0f} s"
            return _Passing(f"{what}, too many requests; ask again {wait}", pause_s=pause_s)
        if status >= 500:
            return _Passing(f"{what}, the server failed{said}; see its log", pause_s=_seconds(retry_after))
        return ModelFailed(f"{what}, the request is refused{said}; correct RAG_LLM_MODEL, or use another server")

    def _too_slow(self) -> ModelFailed:
        slow = f"silent for {self.timeout_s:g} s, or not done in {SILENCES_IN_ALL * self.timeout_s:g} s"
        return ModelFailed(f"{self.name}: {slow}; ask again, or raise RAG_LLM_TIMEOUT_S")

    def _broke_off(self, said: str = "") -> str:
        return f"{self.name}: broke off in mid-answer{said}; ask again, and see the server's log"

    def _said(self, error: BaseException) -> str:
        """Return the beginning of an error's own words in brackets, fit to be shown, key and password taken out."""
        body = getattr(error, "body", None)
        inner = body.get("error", body) if isinstance(body, dict) else None
        told = inner.get("message") if isinstance(inner, dict) else None
        words = printable(" ".join(str(told or error).split()))
        for secret in (self.key.get_secret_value(), unquote(urlsplit(self.base_url).password or "")):
            words = words.replace(secret, "…") if secret else words
        return f" ({words[:_SAID_CHARS]})" if words else ""


def _pieces(llm: "LLM", prompt: str) -> Iterator[tuple[str, bool]]:
    """Yield the words of an answer, and with the last of them, which may be none, that it is complete."""
    from llama_index.core.llms import ChatMessage  # noqa: PLC0415 - seconds to import

    for piece in llm.stream_chat([ChatMessage(role="user", content=prompt)]):
        choices = getattr(piece.raw, "choices", None)
        reason = choices[0].finish_reason if choices else piece.message.additional_kwargs.get("stop_reason")
        yield piece.delta or "", reason is not None


def _pause_s(failed: _Passing, n_before: int) -> float:
    """Return the pause that the server asks for, else about 0.5 and 1 s; jittered, so that clients part ways."""
    pause_s = 0.5 * 2**n_before if failed.pause_s is None else failed.pause_s
    return pause_s + random.uniform(0, 0.25)  # noqa: S311 - nothing secret about it


def _seconds(retry_after: str) -> float | None:
    """Return a Retry-After header in seconds from now; it may be a number or a date. None for neither."""
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


# -- the two protocols -------------------------------------------------------------------------------------------------


def _openai_like(request: _Request, client: "httpx.Client") -> Any:
    from llama_index.llms.openai_like import OpenAILike  # noqa: PLC0415 - seconds to import

    return OpenAILike(
        model=request.model,
        api_base=request.base_url,
        api_key=request.key,
        is_chat_model=True,
        context_window=CONTEXT_TOKENS,
        max_tokens=request.max_tokens,
        temperature=0.0,
        additional_kwargs={"seed": 0},  # the same passages, the same answer, where a server heeds it
        timeout=request.timeout_s,
        max_retries=0,
        http_client=client,
    )


def _anthropic(request: _Request, client: "httpx.Client") -> Any:
    from llama_index.llms.anthropic import Anthropic  # noqa: PLC0415 - an extra, and seconds to import

    llm = Anthropic(
        model=request.model,
        base_url=request.base_url,
        api_key=request.key,
        max_tokens=request.max_tokens,
        temperature=0.0,
        timeout=request.timeout_s,
        max_retries=0,
    )
    llm._client = llm._client.with_options(http_client=client)  # noqa: SLF001 - it has no argument for one
    return llm


OPENAI_LIKE = _Api(
    _openai_like, "llama_index.llms.openai_like", "openai", lambda key: {"authorization": f"Bearer {key}"}
)
ANTHROPIC = _Api(
    _anthropic,
    "llama_index.llms.anthropic",
    "anthropic",
    lambda key: {"x-api-key": key, "anthropic-version": "2023-06-01"},
)
