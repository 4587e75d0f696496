"""The board's console as a program reads it, and whose Ctrl-C one was."""

import select
import sys
from time import sleep_ms

import micropython
from micropython import const

from firmware.onboarding import improv_packets as packets

CTRL_C = const(3)
NO_CTRL_C = const(-1)
_LINE_FEED = const(10)
# Of a command without data.
_QUESTION_LENGTH = const(2)
# How often to look for the rest of a packet, and how long to wait in between, in ms.
_LOOKS = const(10)
_PAUSE = const(10)


class Console:
    """What a client is connected to; it is read without waiting."""

    def __init__(self):
        self._in = sys.stdin.buffer
        self._out = sys.stdout.buffer
        self._byte = bytearray(1)
        self._poll = select.poll()
        self._poll.register(self._in, select.POLLIN)

    def read(self):
        """Return the next byte, None for none now."""
        for _ in self._poll.ipoll(0):
            # Where nobody is connected any more, as can be on a computer, there is nothing.
            return self._byte[0] if self._in.readinto(self._byte) else None

    def write(self, data):
        """Write bytes as they are."""
        self._out.write(data)


def was_in_packet(console=None):
    """Return whether the Ctrl-C that MicroPython just took was that of a client's first question.

    MicroPython has left out that byte, on a Pico W also what came before it. What cannot be the
    rest of a question is left to the prompt.
    """
    # A client may ask twice.
    micropython.kbd_intr(NO_CTRL_C)
    found = _rest_of_packet(console or Console())
    micropython.kbd_intr(CTRL_C)
    return found == packets.WHOLE


def _rest_of_packet(console):
    parser = packets.Parser()
    for byte in packets.HEADER + bytes((CTRL_C,)):
        found = parser.feed(byte)
    before = looks = 0
    is_rest = False
    while found == packets.INSIDE and looks < _LOOKS:
        byte = console.read()
        if byte is None:
            looks += 1
            sleep_ms(_PAUSE)
        elif is_rest or byte == _QUESTION_LENGTH:
            is_rest = True
            found = parser.feed(byte)
        elif before < len(packets.HEADER) and byte == packets.HEADER[before]:
            before += 1
        elif byte != _LINE_FEED or before:
            break
    return found
