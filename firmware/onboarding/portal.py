"""The page on the board's own access point: shows networks, takes what a person gives.

Phones look for a page of their maker's to find out whether there is a way to the internet. Here
every name leads to the board, and every other name than its own to the page, so that iOS, Android,
Windows, macOS and Linux show it by themselves. Nothing can be read here but what is in the air,
what is asked for, and what becomes of what was given.
"""

import socket
from errno import EAGAIN
from time import ticks_diff

from micropython import const

from firmware.errors import FirstbootError
from firmware.onboarding import dns, page
from firmware.onboarding.access_point import AccessPoint
from firmware.onboarding.http import BadRequest, form, head
from firmware.onboarding.look import POLICY
from firmware.onboarding.server import Server
from firmware.retry import unexpected

_HTTP = const(80)
_DNS = const(53)
_QUERIES = const(8)  # that are answered in one turn
_WAITING = const(2)
_HERE = const(60_000)  # ms after the last request that somebody is still here
_SCANS_APART = const(10_000)  # ms
_TELLS = const(60_000)  # ms
_READS = const(5_000)  # ms
_POLL = const(50)  # ms
_UNUSED = const(900_000)  # ms
_LONGEST = const(3_600_000)  # ms

# After which the board may go.
_LAST_WORDS = ("provisioned", "apart")

_HTML = "Content-Type: text/html; charset=utf-8\r\nContent-Security-Policy: %s\r\n" % POLICY


class Portal:
    """Open from the start, until `close`. `work` has to be called for it to answer anything.

    `candidate`: see firmware.onboarding.candidate. `networks`: those in range, the strongest
    first: (dB below 0 dBm, name in bytes, security, 0 for none). `wants_scan`: whether somebody
    asked to look for them again. `has_told`: whether the page has said that the board is
    provisioned, or that it goes away.
    """

    networks = ()
    wants_scan = False

    def __init__(self, board, candidate, ssid, password):
        self.board = board
        self.candidate = candidate
        self.ssid = ssid
        # So that no page of others', in a phone's other window, sends this one's form.
        self.token = board.random(8).hex()
        # Of what was sent last: what did not fit, and the name of the network, in bytes.
        self.wrong = ()
        self.chosen = None
        self._password = password
        self._asked_at = self._scanned_at = None
        self._opened = board.ticks()
        self.open()

    def open(self):
        """Open it again after `close`, with what the page knew."""
        board, ssid, password = self.board, self.ssid, self._password
        self._asked_at = None
        self._used = board.ticks()
        self.has_told = False
        self.access_point = AccessPoint(board, ssid, password)
        self.address = self.access_point.address
        self._bytes = bytes([int(part) for part in self.address.split(".")])
        try:
            self._listen()
        except Exception:
            # Of whatever class: phones would find nothing on it.
            self.access_point.close()
            raise
        board.indicator.show(
            "onboarding",
            'join the network "%s", %s, and its page opens, or http://%s'
            % (ssid, "with the password on the label" if password else "open", self.address),
        )

    def work(self):
        """Answer what has come; wait for nothing."""
        self._answer_names()
        self._server.work()

    def close(self):
        """End it: the sockets first, then the access point."""
        self._server.close()
        self._dns.close()
        self.access_point.close()

    def is_used(self):
        """Return whether a phone is on the access point, or was on the page just now."""
        asked = self._asked_at
        if asked is not None and ticks_diff(self.board.ticks(), asked) < _HERE:
            return True
        return self.access_point.is_used()

    def is_over(self):
        """Return whether nobody was on it for a quarter of an hour, or it is open for an hour."""
        now = self.board.ticks()
        if self.is_used():
            self._used = now
        return self.is_spent() or ticks_diff(now, self._used) > _UNUSED

    def is_spent(self):
        """Return whether it is an hour since it was opened first."""
        return ticks_diff(self.board.ticks(), self._opened) > _LONGEST

    def scanned(self, networks):
        """Take what a scan has found."""
        self.wants_scan = False
        self._scanned_at = self.board.ticks()
        self.networks = networks

    def linger(self, most=_TELLS, comes=0):
        """Wait until somebody has read what the page says, for `most` ms.

        `comes`: for how long somebody who is not here may still come, in ms.
        """
        board = self.board
        began = told = board.ticks()
        while self.is_used() or ticks_diff(board.ticks(), began) < comes:
            now = board.ticks()
            if not self.has_told:
                told = now
            if ticks_diff(now, began) > most or ticks_diff(now, told) > _READS:
                break
            board.sleep(_POLL)

    def _listen(self):
        self._dns = _bound(socket.SOCK_DGRAM, self.address, _DNS)
        listener = _bound(socket.SOCK_STREAM, self.address, _HTTP)
        listener.listen(_WAITING)
        near = self.address[: self.address.rindex(".") + 1]
        self._server = Server(listener, self._answer, self.board.ticks, near)

    def _answer_names(self):
        for _ in range(_QUERIES):
            try:
                query, address = self._dns.recvfrom(512)
                response = dns.answer(query, self._bytes)
                if response:
                    self._dns.sendto(response, address)
            except OSError as error:
                if error.errno == EAGAIN:
                    return

    def _answer(self, request):
        """Return what to send for a request. Raises BadRequest."""
        if not _is_address(request.host):
            # A name of others', or a phone that looks for the internet.
            return (head(302, "Location: http://%s/\r\n" % self.address),)
        if request.path != "/":
            raise BadRequest(404)
        self._asked_at = self.board.ticks()
        language = page.language(request.language)
        if request.method == "GET":
            return self._page(language)
        if request.method != "POST":
            raise BadRequest(405)
        if self.candidate.state not in ("trying", "provisioned"):
            if request.body is None:
                return self._page(language, 413, "too long")
            fields = form(request.body)
            if _text(fields.get("token")) != self.token:
                # Such as that of a page from before the board started anew.
                return self._page(language, 403, "outdated")
            try:
                self._take(fields)
            except FirstbootError as error:
                self.board.indicator.say(*str(error).split("\n"))
                return self._page(language, 500, "broken")
            except Exception as error:
                # Of whatever class: whoever waits has to hear of it.
                unexpected(error)
                return self._page(language, 500, "broken")
        # So that nothing is sent again when the page is loaded again.
        return (head(303, "Location: /\r\n"),)

    def _page(self, language, status=200, state=None):
        yield head(status, _HTML)
        yield from page.render(self, language, state)
        if not state and self.candidate.state in _LAST_WORDS:
            self.has_told = True

    def _take(self, fields):
        if "scan" in fields:
            scanned = self._scanned_at
            if scanned is None or ticks_diff(self.board.ticks(), scanned) > _SCANS_APART:
                self.wants_scan = True
            return
        candidate = self.candidate
        chosen = fields.get("network", b"")
        ssid = fields.get("ssid") if chosen in (b"", b"other") else page.name_of(chosen)
        self.chosen = ssid or None
        settings = {"ssid": self.chosen, "password": _text(fields.get("password"))}
        securities = [security for _, name, security in self.networks if name == ssid]
        if not ssid or (securities and not any(securities)):
            # What a phone has filled in is for another network.
            settings["password"] = ""
        for key in candidate.asked:
            settings[key] = _text(fields.get(key))
        if securities and all(securities) and not settings["password"]:
            self.wrong = ["password"]
            candidate.tell("does not fit")
            return
        self.wrong = candidate.offer(settings)


def _bound(kind, address, port):
    bound = socket.socket(socket.AF_INET, kind)
    # Else the port of the last time is taken for some minutes.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(socket.getaddrinfo(address, port)[0][-1])
    bound.setblocking(False)
    return bound


def _is_address(host):
    """Return whether a host is an IPv4 address: behind a name could be a page of others'."""
    return host != "" and not host.strip("0123456789.")


def _text(value):
    """Return the text of a field, "" for none, and for what is no text."""
    try:
        return (value or b"").decode()
    except ValueError:
        return ""
