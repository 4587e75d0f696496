"""Improv Wi-Fi over serial on the board's console: Wi-Fi from a browser at its USB port.

Each packet of a client has the byte 3 in it, its type, which MicroPython takes for Ctrl-C. So while
this listens MicroPython does not look for Ctrl-C; this does, outside of packets. What else a person
types is let go, as by every program that reads nothing.
"""

import sys
from time import ticks_diff

import micropython
from micropython import const

from firmware.board.kept import VERSION
from firmware.errors import FirstbootError
from firmware.onboarding import improv_packets as packets
from firmware.onboarding.console import CTRL_C, NO_CTRL_C, Console

# What is not whole after so long, in ms, is no packet: a person's Ctrl-C is heard again.
_PATIENCE = const(5000)
_BYTES_AT_ONCE = const(1024)
# In place of what MicroPython raises, which has nothing with it.
HEARD_HERE = "Ctrl-C"
# States of a candidate in which the board is in the Wi-Fi.
_JOINED = ("joined", "apart", "provisioning", "no answer", "refused", "provisioned")


class Improv:
    """Answers clients from now on; `work` has to be called for that.

    `candidate`: see firmware.onboarding.candidate. `networks()` returns those in range, the
    strongest first: (name in bytes, dBm, security, 0 for none). `name`: of the device, for people.
    `url`: where they go once the board is in the Wi-Fi, or "". `on_interrupt` is called when a
    person presses Ctrl-C: an access point would outlive a soft reset, too.
    """

    def __init__(self, board, candidate, networks, name, url="", on_interrupt=None, console=None):
        self._board = board
        self._candidate = candidate
        self._networks = networks
        self._name = name
        self._url = url
        self._on_interrupt = on_interrupt
        self._console = console or Console()
        self._parser = packets.Parser()
        self._began = board.ticks()
        self._state = packets.READY
        # The state of the candidate that was told last, None while there is nobody to tell.
        self._told = None
        # A scan waits, and each wait leads here again.
        self._is_busy = False
        micropython.kbd_intr(NO_CTRL_C)

    def close(self):
        """Let go of the console: from now on MicroPython looks for Ctrl-C."""
        self._console = None
        micropython.kbd_intr(CTRL_C)

    def work(self):
        """Answer what has come, and tell what has become of the candidate. It does not wait, but
        for a scan. Raises KeyboardInterrupt.
        """
        if self._is_busy or not self._console:
            return
        self._is_busy = True
        try:
            self._listen()
            self._tell()
        finally:
            # A scan can raise anything.
            self._is_busy = False

    def _listen(self):
        parser = self._parser
        # No more than there can be between two calls: whoever floods the console stops nothing.
        for _ in range(_BYTES_AT_ONCE):
            byte = self._console.read()
            if byte is None:
                break
            found = parser.feed(byte)
            if found == packets.OUTSIDE:
                if byte == CTRL_C:
                    self.close()
                    if self._on_interrupt:
                        self._on_interrupt()
                    raise KeyboardInterrupt(HEARD_HERE)
            elif found == packets.INSIDE:
                self._began = self._board.ticks()
            else:
                self._answer(found == packets.WHOLE)
        if ticks_diff(self._board.ticks(), self._began) > _PATIENCE:
            parser.forget()

    def _answer(self, is_whole):
        candidate = self._candidate
        try:
            if not is_whole:
                raise ValueError
            command, data = self._parser.command()
            if command == packets.SETTINGS:
                ssid, password = packets.settings(data)
        except ValueError:
            self._send(packets.ERROR, packets.INVALID)
            return
        self._send(packets.ERROR, packets.NO_ERROR)
        if command == packets.SETTINGS:
            self._offer(ssid, password)
        elif command == packets.CURRENT_STATE:
            self._told = candidate.state
            self._send_state(self._state_of(candidate.state))
            if self._state == packets.PROVISIONED:
                self._send_result(command, [self._url])
        elif command == packets.DEVICE:
            self._send_result(command, self._device())
        elif command == packets.NETWORKS:
            self._send_networks()
        else:
            self._send(packets.ERROR, packets.UNKNOWN_COMMAND)

    def _offer(self, ssid, password):
        try:
            wrong = self._candidate.offer({"ssid": ssid, "password": password})
        except FirstbootError as error:
            self._board.indicator.say(*str(error).split("\n"))
            self._send(packets.ERROR, packets.UNKNOWN_ERROR)
            return
        if wrong:
            # The standard has no word for a password that can be nobody's, nor for what the page
            # asks for besides.
            self._board.indicator.say("Improv: wrong or missing: " + ", ".join(wrong))
            is_wifi = "ssid" in wrong or "password" in wrong
            self._send(
                packets.ERROR, packets.UNABLE_TO_CONNECT if is_wifi else packets.UNKNOWN_ERROR
            )
            return
        self._told = "trying"
        self._send_state(packets.PROVISIONING)

    def _tell(self):
        state = self._candidate.state
        if self._told is None or state == self._told:
            return
        was_joined = self._told in _JOINED
        self._told = state
        if state in _JOINED:
            if not was_joined:
                self._send_state(packets.PROVISIONED)
                self._send_result(packets.SETTINGS, [self._url])
            return
        if state not in ("idle", "trying"):
            self._send(packets.ERROR, packets.UNABLE_TO_CONNECT)
        self._send_state(self._state_of(state))

    def _state_of(self, state):
        if state in _JOINED:
            return packets.PROVISIONED
        return packets.PROVISIONING if state == "trying" else packets.READY

    def _device(self):
        version = sys.implementation.version
        return (
            "firstboot",
            VERSION,
            self._board.chip or sys.platform,
            self._name,
            "MicroPython",
            "%d.%d.%d" % tuple(version[:3]),
        )

    def _send_networks(self):
        told = []
        for name, dbm, security in self._networks():
            try:
                text = name.decode()
            except UnicodeError:
                # The standard's texts are in UTF-8: a client could not give it back.
                continue
            if text.strip("\0") and text not in told:
                told.append(text)
                texts = (text, str(dbm), "YES" if security else "NO")
                self._send_result(packets.NETWORKS, texts)
        self._send_result(packets.NETWORKS, ())

    def _send_state(self, state):
        self._state = state
        self._send(packets.STATE, state)

    def _send(self, kind, value):
        self._console.write(packets.packet(kind, bytes((value,))))

    def _send_result(self, command, texts):
        self._console.write(packets.result(command, texts))


def page_of(server):
    """Return where a server's people find its page, as far as its CoAP URI tells.

    ThingsBoard Cloud has a host of its own for CoAP; who installs ThingsBoard has the page at port
    8080, unless told otherwise.
    """
    host = server.split("://")[-1]
    bracket = host.find("]") + 1
    host = host[:bracket] if bracket else host.split(":")[0].split("/")[0]
    if host.startswith("coap."):
        return "https://" + host[5:]
    return "http://%s:8080" % host if host else ""
