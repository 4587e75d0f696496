"""Both drivers, on both interpreters, against CoAP servers that are not ours."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import aiocoap
import pytest
from aiocoap import resource
from aiocoap.numbers import Code, ContentFormat, OptionNumber

from firmware.coap import numbers
from host_tests.interop_scenarios import text
from host_tests.micropython_lane import ROOT
from host_tests.processes import started
from host_tests.readme import read_block
from tools.fake_thingsboard.certificates import issue, new_ca
from tools.fake_thingsboard.dtls import DTLSRelay
from tools.virtual_board.interpreter import find_micropython

MICROPYTHON = find_micropython()
ON_CPYTHON = """
import sys
from tools import shims
shims.install()
from host_tests.interop_scenarios import main
main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
"""


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_the_numbers_are_those_of_iana_as_aiocoap_has_them():
    other = {
        "IPATCH": Code.iPATCH,
        "LINK_FORMAT": ContentFormat.LINKFORMAT,
        "OCTET_STREAM": ContentFormat.OCTETSTREAM,
        "SENML_JSON": 110,
        "SENML_CBOR": 112,
        "XML": 41,
    }
    names = [name for name in vars(numbers) if name.isupper()]
    assert len(names) > 60
    for name in names:
        known = [getattr(kind, name, None) for kind in (Code, OptionNumber, ContentFormat)]
        assert getattr(numbers, name) in (*known, other.get(name)), name


class Hello(resource.Resource):
    def __init__(self, delay: float = 0.0):
        super().__init__()
        self.delay = delay

    async def render_get(self, request):
        await asyncio.sleep(self.delay)
        return aiocoap.Message(payload=b"hello")


class Methods(resource.Resource):
    """Answers any method with what it saw of the request."""

    async def render(self, request):
        said = (
            f"{int(request.code)} {int(request.opt.accept)} {'&'.join(request.opt.uri_query)} "
            f"{request.payload.decode()}"
        )
        return aiocoap.Message(code=aiocoap.CONTENT, payload=said.encode())


class Query(resource.Resource):
    async def render_get(self, request):
        return aiocoap.Message(payload="|".join(request.opt.uri_query).encode())


class Large(resource.Resource):
    async def render_get(self, request):
        response = aiocoap.Message(payload=text(3000))
        resource.hashing_etag(request, response)
        return response


class Store(resource.Resource):
    content = b""

    async def render_put(self, request):
        self.content = request.payload
        return aiocoap.Message(code=aiocoap.CHANGED)

    async def render_get(self, request):
        return aiocoap.Message(payload=self.content, etag=b"store")


class Counter(resource.ObservableResource):
    def __init__(self):
        super().__init__()
        self.number = 0
        self.others = []

    async def render_get(self, request):
        return aiocoap.Message(payload=b"%d" % self.number, max_age=5)

    async def render_post(self, request):
        self.number += 1
        for each in (self, *self.others):
            each.updated_state()
        return aiocoap.Message(code=aiocoap.CHANGED)

    async def render_delete(self, request):
        self.updated_state(aiocoap.Message(code=aiocoap.NOT_FOUND))
        return aiocoap.Message(code=aiocoap.DELETED)


class Big(resource.ObservableResource):
    """The counter's number, 2500 times: in blocks, which aiocoap leaves to an observed resource."""

    def __init__(self, counter):
        super().__init__()
        self.counter = counter
        counter.others.append(self)

    async def needs_blockwise_assembly(self, request):
        return False

    async def render_get(self, request):
        number = b"%d" % self.counter.number
        body = number * 2500
        start = request.opt.block2.start if request.opt.block2 else 0
        more = start + 1024 < len(body)
        return aiocoap.Message(
            payload=body[start : start + 1024], etag=number, block2=(start // 1024, more, 6)
        )


def site() -> resource.Site:
    made = resource.Site()
    made.add_resource(
        [".well-known", "core"], resource.WKCResource(made.get_resources_as_linkheader)
    )
    counter = Counter()
    for path, each in (
        (["hello"], Hello()),
        (["slow"], Hello(0.2)),
        (["methods"], Methods()),
        (["a/b c"], Query()),
        (["large"], Large()),
        (["store"], Store()),
        (["counter"], counter),
        (["big"], Big(counter)),
    ):
        made.add_resource(path, each)
    return made


@contextmanager
def aiocoap_server():
    """aiocoap's server on a free port of loopback, in a thread of its own; gives the port."""
    port = free_port()
    ready = threading.Event()
    ended = asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve():
        context = await aiocoap.Context.create_server_context(site(), bind=("127.0.0.1", port))
        ready.set()
        await ended.wait()
        await context.shutdown()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()


@contextmanager
def libcoap_server():
    """libcoap's example server; gives the port. Skips where it is not installed."""
    names = ("coap-server-notls", "coap-server-openssl", "coap-server")
    program = next((found for name in names if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"{names[0]} is not on this computer (Debian: libcoap3-bin)")
    port = free_port()
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with started([program, "-A", "127.0.0.1", "-p", port, "-v", "0"], **silent):
        yield port


SERVERS = {"aiocoap": aiocoap_server, "libcoap": libcoap_server}


def run(interpreter: str, *arguments: object, says: str = "done\n") -> None:
    if interpreter == "CPython":
        command = [sys.executable, "-c", ON_CPYTHON]
    elif MICROPYTHON.command is None:
        pytest.skip(f"no lane: {MICROPYTHON.why}")
    else:
        command = [str(MICROPYTHON.command), "-m", "host_tests.interop_scenarios"]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "MICROPYPATH": ".frozen"},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.stdout + done.stderr).endswith(says), done.stdout + done.stderr


@pytest.mark.parametrize("interpreter", ["CPython", "MicroPython"])
@pytest.mark.parametrize("driver", ["blocking", "asyncio"])
@pytest.mark.parametrize("server", SERVERS)
def test_a_server_that_is_not_ours(server, driver, interpreter):
    with SERVERS[server]() as port:
        run(interpreter, server, driver, port)


@pytest.mark.parametrize("driver", ["blocking", "asyncio"])
def test_the_same_inside_of_dtls(driver, tmp_path):
    """On MicroPython, whose tls has DTLS."""
    ca, stranger = new_ca(), new_ca()
    issued = issue(["127.0.0.1"], ca)
    (tmp_path / "ca.der").write_bytes(ca.der)
    (tmp_path / "stranger.der").write_bytes(stranger.der)
    with (
        aiocoap_server() as inside,
        DTLSRelay(("127.0.0.1", inside), issued.chain_pem, issued.key_pem) as relay,
    ):
        run("MicroPython", "aiocoap", driver, relay.port, tmp_path / "ca.der")
        says = "the server's certificate was not issued by the CA in `ca`\n"
        run("MicroPython", "aiocoap", driver, relay.port, tmp_path / "stranger.der", says=says)


@pytest.mark.parametrize("interpreter", ["CPython", "MicroPython"])
def test_many_requests_at_once_to_a_server_that_is_not_ours(interpreter):
    with aiocoap_server() as port:
        run(interpreter, "aiocoap", "many", port)


def example(name: str, folder: Path, port: int) -> Path:
    """README's example, of a server that is here; gives its file."""
    text = read_block(name).replace("coap://example.com", f"coap://127.0.0.1:{port}")
    file = folder / name
    file.write_text(text.replace("/path/to/firstboot", str(ROOT)), encoding="utf-8")
    return file


@pytest.mark.parametrize("interpreter", ["CPython", "MicroPython"])
def test_the_examples_in_readme(interpreter, tmp_path):
    """As README says: MICROPYPATH for MicroPython, what is in conftest.py for CPython."""
    with aiocoap_server() as port:
        for name, said in (
            ("client.py", "2.05 b'hello'\n"),
            ("client_aio.py", "5\n3000\n"),
        ):
            file = example(name, tmp_path, port)
            environment = {**os.environ, "MICROPYPATH": f".frozen:{ROOT}"}
            if interpreter == "CPython":
                shims = example("conftest.py", tmp_path, port).read_text(encoding="utf-8")
                file.write_text(f"{shims}\n{file.read_text(encoding='utf-8')}", encoding="utf-8")
                command = [sys.executable, file]
            elif MICROPYTHON.command is None:
                pytest.skip(f"no lane: {MICROPYTHON.why}")
            else:
                command = [MICROPYTHON.command, file]
            done = subprocess.run(
                command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=20
            )
            assert (done.stdout, done.stderr) == (said, "")
        assert (tmp_path / "body.bin").read_bytes() == b"[1, 2]"


def test_the_test_in_readme(tmp_path):
    example("conftest.py", tmp_path, 0)
    example("test_client.py", tmp_path, 0)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr
