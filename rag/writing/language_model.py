"""A small interface to language models: prompt in, words out as they arrive, and one error for every failure.

    model = configured(settings)                     # None where no model is configured
    for words in model.stream(prompt, max_tokens=300): ...

LlamaIndex and its clients are imported only at the first prompt, and no server is contacted before that.
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

CONTEXT_TOKENS = 4096  # prompt and answer; the default of local servers
MAX_RETRIES = 2  # the reader is waiting, and quotes are the fallback
MAX_PAUSE_S = 10.0  # give up if the server asks for a longer pause
SILENCES_IN_ALL = 5  # total time for an answer, retries included, as a multiple of the allowed silence
ANTHROPIC_URL = "https://api.anthropic.com"
_NO_KEY = "none"  # without a key, the clients would send another service's key from the environment
_PROBE_TOKENS = 64  # only the first is awaited, but a model that thinks first needs some
_SAID_CHARS = 160  # how much of a server's error message to show


class LanguageModel(Protocol):
    """What writing an answer needs from a language model."""

    @property
    def name(self) -> str:
        """The model as it appears in traces: ``model@host``."""

    @property
    def context_tokens(self) -> int:
        """Maximum tokens of prompt and answer together."""

    def stream(self, prompt: str, *, max_tokens: int) -> Generator[str, None, None]:
        """Yield the answer in non-empty pieces; closing the generator cancels the request.

        Raises ModelFailed, possibly in the middle of an answer.
        """


def first_word_s(model: LanguageModel) -> float:
    """Return the seconds until a model's first word arrives. Raises ModelFailed."""
    started = time.perf_counter()
    with closing(model.stream("Say yes.", max_tokens=_PROBE_TOKENS)) as words:
        next(words)
        return time.perf_counter() - started


@dataclass(frozen=True, slots=True)
class _Request:
    """The parameters of one request. deadline: on the time.monotonic clock."""

    model: str
    base_url: str
    key: str = field(repr=False)
    timeout_s: float
    deadline: float
    max_tokens: int


@dataclass(frozen=True, slots=True)
class _Api:
    """An API protocol: its LlamaIndex class and the underlying SDK. Both SDKs use the same error names.

    headers: returns the additional headers that the protocol needs, given the key.
    """

    llm: Callable[[_Request, "httpx.Client"], "LLM"]
    package: str
    sdk: str
    headers: Callable[[str], dict[str, str]]


class _Passing(ModelFailed):
    """A temporary failure, worth a retry after a pause; ``pause_s`` is what the server asks for, if anything."""

    def __init__(self, line: str, *, pause_s: float | None = None) -> None:
        self.pause_s = pause_s
        super().__init__(line)


def configured(settings: Settings) -> LanguageModel | None:
    """Return the configured language model without contacting it; None if none is configured.

    Raises SettingsError for an invalid address or key.
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
    """A model at an endpoint, accessed via LlamaIndex. Each prompt opens its own connection, so it is thread-safe."""

    model: str
    base_url: str
    key: SecretStr
    timeout_s: float
    api: _Api
    context_tokens: int = CONTEXT_TOKENS

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.base_url)
            host, _ = parts.hostname, parts.port  # a non-numeric port may be part of a password
        except ValueError:
            host = None
        if not host:
            raise SettingsError("setting llm_base_url: names no host; write one such as http://127.0.0.1:8080/v1")

    @property
    def name(self) -> str:
        """The model and its host, without any credentials in the address."""
        return f"{self.model}@{urlsplit(self.base_url).netloc.rpartition('@')[2]}"

    def stream(self, prompt: str, *, max_tokens: int) -> Generator[str, None, None]:
        """Yield the answer in pieces, retrying temporary failures that come before the first one."""
        self._load()  # takes seconds the first time, which do not count against the model
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
        except Exception as error:  # noqa: BLE001 - three libraries parse untrusted bytes
            raise self._failure(error, request, begun=begun) from None  # the original error may contain the key
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
        if status in {401, 403}:  # the server's message may contain the key
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
        """Return the start of an error's message in brackets, safe to show, with key and password removed."""
        body = getattr(error, "body", None)
        inner = body.get("error", body) if isinstance(body, dict) else None
        told = inner.get("message") if isinstance(inner, dict) else None
        words = printable(" ".join(str(told or error).split()))
        for secret in (self.key.get_secret_value(), unquote(urlsplit(self.base_url).password or "")):
            words = words.replace(secret, "…") if secret else words
        return f" ({words[:_SAID_CHARS]})" if words else ""


def _pieces(llm: "LLM", prompt: str) -> Iterator[tuple[str, bool]]:
    """Yield (words, is_last) for an answer; the last words may be empty."""
    from llama_index.core.llms import ChatMessage  # noqa: PLC0415 - seconds to import

    for piece in llm.stream_chat([ChatMessage(role="user", content=prompt)]):
        choices = getattr(piece.raw, "choices", None)
        reason = choices[0].finish_reason if choices else piece.message.additional_kwargs.get("stop_reason")
        yield piece.delta or "", reason is not None


def _pause_s(failed: _Passing, n_before: int) -> float:
    """Return the pause that the server asks for, else 0.5 then 1 s; with jitter, so that clients spread out."""
    pause_s = 0.5 * 2**n_before if failed.pause_s is None else failed.pause_s
    return pause_s + random.uniform(0, 0.25)  # noqa: S311 - jitter is not a secret


def _seconds(retry_after: str) -> float | None:
    """Parse a Retry-After header, a number or a date, into seconds from now; None if it is neither."""
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
        additional_kwargs={"seed": 0},  # same passages, same answer, if the server honours it
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
    llm._client = llm._client.with_options(http_client=client)  # noqa: SLF001 - no constructor argument for a client
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
