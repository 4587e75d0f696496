"""A phone on a virtual board's access point: asks the page as browsers do, without JavaScript."""

from __future__ import annotations

import html
import http.client
import random
import re
import socket
import threading
import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlencode

from host_tests.power_up_bench import PowerUps
from tools.virtual_board.board import Outcome, VirtualBoard

_MAC = b"\x02\0\0\0\0\x50"
_ACK = 5


class Answer:
    """What came: `status`, `headers`, `text`."""

    def __init__(self, response: http.client.HTTPResponse):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.text = response.read().decode()

    @property
    def state(self) -> str:
        return re.search(r'<main data-state="([^"]+)"', self.text)[1]

    @property
    def heading(self) -> str:
        return html.unescape(re.sub("<[^>]+>", "", re.search("<h1>(.*?)</h1>", self.text)[1]))

    @property
    def networks(self) -> dict[str, str]:
        """The names that are shown, each with the value that its button sends."""
        rows = re.findall(r'name="network" value="([^"]+)"[^>]*>\s*<bdi>(.*?)</bdi>', self.text)
        return {html.unescape(name): value for value, name in rows}

    @property
    def token(self) -> str:
        return re.search(r'name="token" value="([^"]+)"', self.text)[1]


class Lease(NamedTuple):
    """What a phone is told when it joins: its address, whom it asks for names, its way out."""

    address: str
    names: str
    router: str


class Phone:
    """Asks a board's page. `board` gives it, or None; `language`: as the browser says it."""

    def __init__(self, board: Callable[[], VirtualBoard | None], language="en-GB,en;q=0.9"):
        self._board = board
        self._language = language

    def ask(self, method="GET", path="/", host="192.168.4.1", body=None, wait_s=8.0) -> Answer:
        """One request; until the page is there, and through moments without it."""
        end = time.monotonic() + wait_s
        while True:
            try:
                port = self._port("tcp", 80, end)
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
                headers = {"Host": host, "Accept-Language": self._language}
                if body is not None:
                    headers["Content-Type"] = "application/x-www-form-urlencoded"
                connection.request(method, path, body, headers)
                return Answer(connection.getresponse())
            except (OSError, http.client.HTTPException):
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def join(self, had: str = "192.168.1.77") -> Lease:
        """Get an address by DHCP, as phones do: first they ask for the one that they `had`."""
        at = ("127.0.0.1", self._port("udp", 67, time.monotonic() + 8))
        with socket.socket(type=socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.3)
            answer = _dhcp(asking, at, "request", requested_addr=had)
            while not answer or answer["message-type"] != _ACK:
                offer = _dhcp(asking, at, "discover")
                given = {"requested_addr": offer["address"], "server_id": offer["server_id"]}
                answer = _dhcp(asking, at, "request", **given)
        return Lease(answer["address"], answer["name_server"], answer["router"])

    def _port(self, protocol: str, port: int, end: float) -> int:
        while not (board := self._board()):
            if time.monotonic() > end:
                raise TimeoutError("the power is off")
            time.sleep(0.02)
        return board.ports.wait_for(protocol, port, max(0.1, end - time.monotonic()))

    def page(self, **options) -> Answer:
        return self.ask(**options)

    def send(self, page: Answer, network: str = "", **fields: str) -> Answer:
        """Send the form of a page: the network by the name that is shown; give what follows."""
        value = page.networks.get(network, "other")
        sent = {"token": page.token, "network": value, "ssid": "", "password": "", **fields}
        answer = self.ask("POST", body=urlencode(sent))
        assert (answer.status, answer.headers["location"]) == (303, "/")
        return self.page()

    def wait_for(self, *states: str, wait_s: float = 30.0) -> Answer:
        """Look again and again, until the page says one of these."""
        end = time.monotonic() + wait_s
        while (page := self.page()).state not in states:
            assert time.monotonic() < end, f"still {page.state}"
            time.sleep(0.1)
        return page


def _dhcp(asking: socket.socket, at: tuple, kind: str, **options: str) -> dict:
    """Send a message, an option each; gives what is in the answer, {} when there is none."""
    from scapy.layers.dhcp import BOOTP, DHCP

    asked = [("message-type", kind), *options.items(), ("param_req_list", [1, 3, 6, 15]), "end"]
    message = BOOTP(chaddr=_MAC, xid=random.getrandbits(32)) / DHCP(options=asked)
    asking.sendto(bytes(message), at)
    try:
        answer = BOOTP(asking.recv(2048))
    except TimeoutError:
        return {}
    assert (answer.op, answer.xid, answer.chaddr[:6]) == (2, message.xid, _MAC)
    found = {each[0]: each[1] for each in answer[DHCP].options if isinstance(each, tuple)}
    return {**found, "address": answer.yiaddr}


class PoweredUp:
    """A power-up of PowerUps that goes on while the test does something else: a context."""

    def __init__(self, ups: PowerUps, **options):
        self.outcome: Outcome | None = None
        self._ups = ups
        self._ups.board = None
        self._options = options
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.outcome = self._ups.power_up(**self._options)

    def __enter__(self) -> PoweredUp:
        self._thread.start()
        return self

    def __exit__(self, failed, *_) -> None:
        if failed and self._ups.board:
            self._ups.board.cut_power()
        self._thread.join()
        if failed and self.outcome:
            print(*self.outcome.lines, sep="\n")
