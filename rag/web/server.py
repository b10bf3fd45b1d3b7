"""How the page is served: address, limits, headers."""

import errno
import ipaddress
import os
import socket
import sys
import threading
from contextlib import suppress
from importlib.resources import files

import gradio as gr

from rag.engine import Rag
from rag.errors import PortInUse, RagError
from rag.web.page import build

_AT_ONCE = 4  # questions in work; the encoder takes them one after the other, so that more only makes all of them wait
_WAITING = 64  # in the queue; who comes later is told so at once


def serve(rag: Rag) -> None:
    """Open the page at the address of the settings and stay until interrupted; raises PortInUse."""
    host, port = rag.settings.host, rag.settings.port
    if not _reserve(host, port).is_loopback:
        sys.stderr.write(f"rag: {host} can be reached from other machines, and the page has no login\n")
    _ask_own_page_directly(host)
    page = build(rag)
    page.queue(default_concurrency_limit=_AT_ONCE, max_size=_WAITING, api_open=False)
    threading.Thread(target=_warm_up, args=(rag,), daemon=True).start()  # while the first question is typed
    try:
        page.launch(
            server_name=f"[{host}]" if ":" in host else host,  # an IPv6 address as in a URL
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            ssr_mode=False,
            mcp_server=False,
            pwa=False,
            run_history=False,  # else the browser would keep every question
            enable_monitoring=False,
            footer_links=[],
            app_kwargs={"openapi_url": None},
            max_file_size=f"{rag.settings.max_file_mb}mb",
            theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
            head=f"<style>{_asset('style.css')}</style><script>{_asset('page.js')}</script>",
        )
    except OSError as error:  # taken since it was looked at
        raise _cannot_listen(host, port, error) from error
    try:
        sys.stdout.write(f"Footnote: {str(page.local_url).rstrip('/')}\n")
        sys.stdout.flush()
        threading.Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        page.close(verbose=False)


def _reserve(host: str, port: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the address a host name stands for, having seen that the port is free; Gradio would take another one."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as error:
        raise _cannot_listen(host, port, error) from error
    return ipaddress.ip_address(str(address[0]).partition("%")[0])


def _warm_up(rag: Rag) -> None:
    with suppress(RagError):  # the first question meets the same error, and says it to a reader
        rag.warm_up()


def _ask_own_page_directly(host: str) -> None:
    """Except the page from the environment's proxy: Gradio requests its own address at launch."""
    exempt = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(filter(None, [exempt, host, "localhost"]))


def _cannot_listen(host: str, port: int, error: OSError) -> PortInUse:
    if error.errno in {errno.EADDRINUSE, None}:  # Gradio raises its own without a number
        return PortInUse(f"{host}:{port}: another program listens there; choose another port with --port or RAG_PORT")
    return PortInUse(
        f"{host}:{port}: cannot listen there ({error.strerror}); choose another address with --host and --port"
    )


def _asset(name: str) -> str:
    return files("rag.web").joinpath(name).read_text(encoding="utf-8")
