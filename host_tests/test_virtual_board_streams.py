"""The virtual board's stream sockets behave as a board's do."""

from __future__ import annotations

import socket
import threading

import pytest

from host_tests.virtual_bench import UP, Bench, needs_micropython

pytestmark = needs_micropython


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_stream_sockets(bench):
    with socket.create_server(("127.0.0.1", 0)) as server:
        main = (
            UP
            + f"""
up()
sock = socket.socket()
sock.connect(("127.0.0.1", {server.getsockname()[1]}))
sock.write(b"ask\\n")
print(sock.readline())
sock.sendall(b"y" * 70000)
print(sock.read(1))
sock.close()
"""
        )

        def serve():
            peer, _ = server.accept()
            with peer, peer.makefile("rwb") as stream:
                stream.write(b"heard " + stream.readline())
                stream.flush()
                size = len(stream.read(70000))
                stream.write(b"!" if size == 70000 else b"?")

        thread = threading.Thread(target=serve)
        thread.start()
        outcome = bench.play(main)
        thread.join()
    assert outcome.lines == ["b'heard ask\\n'", "b'!'"]
