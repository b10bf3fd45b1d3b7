"""Nothing leaves the machine: ingest, ask and the page with every way out refused, and every attempt on record.

Two ways of refusing. An audit hook inside the process sees each attempt that Python code makes, also one whose failure
a library swallows. A network namespace without any interface refuses compiled code as well, where the system allows to
make one. Caches in the home folder and variables that switch telemetry off are taken away first: the default counts.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import SEEDS

PAGE = Path(__file__).parents[1] / "rag" / "web" / "page.py"
ELECTION = "Who won the early presidential election with over 81% of the vote?"
WAIT_S = 400
KEPT = ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV", "SYSTEMROOT")

GUARD = textwrap.dedent("""
    import ipaddress, json, os, socket, sys

    attempts = []
    RESOLVING = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
    SENDING = {"socket.connect", "socket.sendto", "socket.sendmsg"}

    def is_here(address):
        if address is None or isinstance(address, (str, bytes)) and address in {"localhost", b"localhost", "", b""}:
            return True
        try:
            return ipaddress.ip_address(os.fsdecode(address)).is_loopback
        except ValueError:
            return False

    def guard(event, arguments):
        if event in RESOLVING:
            target, here = arguments[0], is_here(arguments[0])
        elif event in SENDING:
            target = arguments[1]
            here = arguments[0].family == getattr(socket, "AF_UNIX", None) or target is None or is_here(target[0])
        else:
            return
        if not here:
            attempts.append([event, str(target)])
            raise PermissionError(f"{event} to {target} is refused by the test")

    sys.addaudithook(guard)
""")

INGEST_AND_ASK = textwrap.dedent("""
    from rag import Rag, Settings
    from rag.records import ask_record, search_record

    seeds, index, question, port = sys.argv[1:]
    rag = Rag(Settings(index_dir=index, port=int(port)))
    report = rag.ingest([seeds])
    said = {
        "added": report.added,
        "failed": report.failed,
        "answer": ask_record(rag.ask(question)),
        "found": search_record(question, rag.search(question)),
    }
""")

OPEN_PAGE = textwrap.dedent("""
    import threading, time, urllib.request
    from rag.web.server.serve import serve

    def fetch(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            return answer.status, answer.read().decode()

    page = threading.Thread(target=serve, args=[rag], daemon=True)
    page.start()
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", int(port)), timeout=1).close()
            break
        except ConnectionRefusedError:
            if not page.is_alive():
                break
            time.sleep(0.1)
    said["page"], said["config"] = fetch("/"), fetch("/config")
    time.sleep(2)  # what a library begins in the background after a launch
""")

TELL = textwrap.dedent("""
    print("\\nsaid", json.dumps({**said, "attempts": attempts}))
    sys.stdout.flush()
    os._exit(0)
""")


def clean_environment(home: Path) -> dict[str, str]:
    """No caches, no proxies, and nothing that switches off what a library would send by default."""
    home.mkdir()
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return kept | {"HOME": str(home), "TMPDIR": str(home), "XDG_CACHE_HOME": str(home / "cache")}


def run_guarded(code: str, *arguments: object, home: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", GUARD + code + TELL, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=clean_environment(home),
        timeout=WAIT_S,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("said ")]
    assert lines, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(lines[-1].removeprefix("said "))
    return told


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


ATTEMPTS = {
    "a connection": ("socket.socket().connect(('192.0.2.1', 443))", "socket.connect"),
    "a connection by IPv6": (
        "socket.socket(socket.AF_INET6, socket.SOCK_STREAM).connect(('2001:db8::1', 443))",
        "socket.connect",
    ),
    "a name": ("socket.getaddrinfo('huggingface.co', 443)", "socket.getaddrinfo"),
    "a name, the old way": ("socket.gethostbyname('huggingface.co')", "socket.gethostbyname"),
    "a datagram": (
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        "socket.sendto",
    ),
    "a request": (
        "import urllib.request; urllib.request.urlopen('http://192.0.2.1/', timeout=1)",
        "socket.getaddrinfo",
    ),
    "another thread": (
        "import threading; t = threading.Thread(target=lambda: socket.gethostbyname('a.test')); t.start(); t.join()",
        "socket.gethostbyname",
    ),
}


@pytest.mark.parametrize(("attempt", "event"), ATTEMPTS.values(), ids=ATTEMPTS.keys())
def test_the_guard_refuses_and_records_even_what_is_swallowed(attempt: str, event: str, tmp_path: Path):
    code = f"said = {{'came': 'through'}}\ntry: {attempt}\nexcept Exception as error: said['came'] = str(error)\n"
    told = run_guarded(code, home=tmp_path / "home")
    assert [name for name, _ in told["attempts"]] == [event]
    if "Thread" not in attempt:
        assert "refused by the test" in told["came"]


def test_the_guard_lets_the_machine_talk_to_itself(tmp_path: Path):
    code = (
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(server.getsockname()).close()\n"
        "socket.getaddrinfo('localhost', 80)\n"
        "one, other = socket.socketpair()\none.sendall(b'x')\n"
        "said = {'heard': other.recv(1).decode()}\n"
    )
    assert run_guarded(code, home=tmp_path / "home") == {"heard": "x", "attempts": []}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a guarded process said that ingested the seeds, asked and, where there is a page, opened it."""
    tmp = tmp_path_factory.mktemp("guarded")
    code = INGEST_AND_ASK + (OPEN_PAGE if PAGE.exists() else "")
    said = run_guarded(code, SEEDS, tmp / "index", ELECTION, free_port(), home=tmp / "home")
    return {**said, "index": tmp / "index"}


def test_nothing_tries_to_leave_the_machine(told: dict[str, Any]):
    assert told["attempts"] == []


def test_ingest_and_ask_do_their_work_meanwhile(told: dict[str, Any]):
    assert told["failed"] == []
    assert told["added"] == sorted(path.name for path in SEEDS.glob("*.txt"))
    assert told["answer"]["answered"]
    assert "Tokayev" in told["answer"]["text"]
    assert len(told["found"]["hits"]) == 10


def test_the_page_opens_meanwhile(told: dict[str, Any]):
    assert PAGE.exists() == ("page" in told)
    if "page" in told:
        (status, page), (config_status, config) = told["page"], told["config"]
        assert (status, config_status) == (200, 200)
        assert "Footnote" in page
        assert json.loads(config)["components"]


def alone(*arguments: str) -> list[str]:
    """Return a command line that runs in a network namespace of its own, in which there is no interface that is up."""
    return ["unshare", "--map-root-user", "--net", *arguments]


def can_be_alone() -> bool:
    if not shutil.which("unshare"):
        return False
    return subprocess.run(alone("true"), capture_output=True, check=False).returncode == 0


ASK = textwrap.dedent("""
    from rag.cli import main

    sys.argv[0] = "rag"
    try:
        main()
    except SystemExit as end:
        said = {"code": end.code}
""")


def test_ask_answers_without_any_network(
    told: dict[str, Any], tmp_path: Path, record_property: Callable[[str, object], None]
):
    """Where no namespace can be made, the same command runs under the guard alone; the report says which it was."""
    arguments = ["ask", ELECTION, "--index", str(told["index"]), "--json"]
    command = [sys.executable, "-c", GUARD + ASK + TELL, *arguments]
    variant = "network namespace without interface" if can_be_alone() else "audit hook alone"
    record_property("egress_variant", variant)
    sys.stdout.write(f"variant: {variant}\n")
    done = subprocess.run(
        alone(*command) if "namespace" in variant else command,
        capture_output=True,
        text=True,
        env=clean_environment(tmp_path / "home"),
        timeout=WAIT_S,
        check=False,
    )
    assert done.stderr == ""
    record, said = [line for line in done.stdout.splitlines() if line]
    assert json.loads(record)["answered"]
    assert json.loads(said.removeprefix("said ")) == {"code": 0, "attempts": []}


def test_a_namespace_of_its_own_has_no_way_out_where_one_can_be_made():
    """Shows that the variant above means what it says: the kernel itself refuses, whatever the language."""
    code = "import socket; socket.create_connection(('192.0.2.1', 443), timeout=5)"
    command = alone(sys.executable, "-c", code) if can_be_alone() else [sys.executable, "-c", GUARD + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "unreachable" in done.stderr or "refused by the test" in done.stderr
