"""What Footnote uses of other packages beyond their documented interface, so that an upgrade fails here first.

Each test names the module that rests on it and why nothing public does.
"""

import hashlib
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import bm25s
import chromadb
import httpx
import numpy as np
import pytest
import torch
import typer
from chromadb.config import Settings as ChromaSettings
from llm_server import LlmServer, says
from uvicorn.protocols.http.h11_impl import H11Protocol

from rag.text import tokens

TEXTS = [["alpha", "beta", "alpha"], ["beta", "gamma"], ["delta"]]


def test_bm25s_scores_a_matrix_that_others_have_made(tmp_path: Path):
    """``rag.index.bm25`` fills ``scores`` and ``vocab_dict`` itself: counting anew would take seconds."""
    whole = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    whole.index(TEXTS, show_progress=False)
    made = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    made.scores = {name: whole.scores[name] for name in ("data", "indices", "indptr", "num_docs")}
    made.vocab_dict = dict(whole.vocab_dict)
    made.unique_token_ids_set = set(made.vocab_dict.values())
    made.nonoccurrence_array = None
    asked = made.get_tokens_ids(["alpha", "beta", "unheard-of"])
    assert asked == [made.vocab_dict["alpha"], made.vocab_dict["beta"]]
    np.testing.assert_allclose(made.get_scores_from_ids(asked), whole.get_scores(["alpha", "beta"]))
    made.save(tmp_path, show_progress=False)
    kept = bm25s.BM25.load(tmp_path, mmap=True, show_progress=False)
    assert isinstance(kept.scores["indices"], np.memmap)
    np.testing.assert_allclose(kept.get_scores_from_ids(asked), made.get_scores_from_ids(asked))


def test_torch_says_whether_the_processor_multiplies_bf16():
    """``rag.models.reader`` asks it for its precision; torch has no public question for that."""
    assert isinstance(torch.cpu._is_avx512_bf16_supported(), bool)
    assert isinstance(torch.cpu._is_amx_tile_supported(), bool)


def test_chroma_closes_a_folder_and_leaves_it_whole(tmp_path: Path):
    """``rag.index.vectors`` closes clients, counts to fold the log, and knows a folder by its database's name."""
    settings = ChromaSettings(anonymized_telemetry=False)
    client = chromadb.PersistentClient(str(tmp_path), settings=settings)
    client.create_collection("texts", embedding_function=None).add(["a"], embeddings=[[1.0, 0.0]])
    assert client.get_collection("texts", embedding_function=None).count() == 1
    client.close()
    assert (tmp_path / "chroma.sqlite3").is_file()
    again = chromadb.PersistentClient(str(tmp_path), settings=settings)
    assert again.get_collection("texts", embedding_function=None).query([[1.0, 0.0]], n_results=1)["ids"] == [["a"]]
    again.close()


def test_typer_has_an_error_of_usage_with_a_message():
    """``rag.cli.commands`` catches the parent of ``typer.BadParameter``, the only one that typer exports."""
    parent = typer.BadParameter.__bases__[0]
    assert parent.__name__ == "UsageError"
    assert parent("what").format_message() == "what"


def test_gradio_numbers_its_handlers_and_names_them():
    """``rag.web.page.handlers_of`` compares them with the list; ``gr.api`` is there, though not declared for mypy."""
    code = (
        "import gradio as gr\nfrom gradio.events import api\ndef echo(text: str) -> str: return text\n"
        "with gr.Blocks(analytics_enabled=False) as page: api(echo, api_name='echo')\n"
        "print({number: function.api_name for number, function in page.fns.items()})"
    )  # in a process of its own: Gradio leaves an event loop open
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "{0: 'echo'}\n"


def test_uvicorns_protocol_tells_whether_a_request_has_begun():
    """``rag.web.server.serve`` ends connections that send no headers, which uvicorn has no setting for."""
    assert {"connection_made", "handle_events"} <= set(dir(H11Protocol))
    made = H11Protocol.__init__.__code__.co_names
    assert {"cycle", "transport", "loop"} <= set(made)


def test_httpcore_hands_over_the_socket_when_it_has_connected(llm_server: LlmServer):
    """``rag.writing.connection`` cuts it at the deadline; a timeout of httpx begins anew with each byte."""
    llm_server.behave = says("Hello.")
    seen: list[object] = []

    def on_event(event: str, about: dict[str, object]) -> None:
        if event.endswith("connect_tcp.complete"):
            seen.append(about["return_value"].get_extra_info("socket"))  # type: ignore[attr-defined]

    with httpx.Client() as client:
        client.post(f"{llm_server.url}/chat/completions", json={"messages": []}, extensions={"trace": on_event})
    (connected,) = seen
    assert isinstance(connected, socket.socket)


def test_anthropics_class_takes_another_client():
    """``rag.writing.language_model`` gives it its own connection, for which there is no argument."""
    from llama_index.llms.anthropic import Anthropic

    with httpx.Client() as client:
        llm = Anthropic(model="claude-sonnet-4-5", api_key="k")
        llm._client = llm._client.with_options(http_client=client)
        assert llm._client._client is client


def test_llama_index_carries_the_vocabulary_under_the_name_that_tiktoken_looks_for():
    """``rag.text.tokens`` points tiktoken there, so that it fetches nothing."""
    url = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
    assert hashlib.sha1(url.encode()).hexdigest() == tokens.O200K_FILE
    assert (tokens._vocabulary_folder() / tokens.O200K_FILE).is_file()


@pytest.mark.parametrize("package", ["bm25s", "chromadb", "gradio", "typer", "uvicorn", "httpcore", "tiktoken"])
def test_what_is_installed_is_what_the_constraints_name(package: str):
    """Else the tests above would speak of other versions than users get."""
    pinned = Path(__file__).parents[1].joinpath("constraints.txt").read_text(encoding="utf-8").lower().split()
    assert f"{package}=={version(package)}" in pinned
