"""Datagrams that a ThingsBoard CE 4.3.1.3 and its clients sent, from host_tests/wire.

A file has sections, which begin with `## title`. A datagram is a line `seconds > datagram` from
the client, with `<` from the server: hex digits, text in quotes, and `00..ff` for the bytes from
00 to ff; with `*n` any of these comes n times. A line with seconds alone says until when nothing
more came. `! what` is what an operator did; from `@n` on the client is the n-th one. Lines from `#`
on are comments.
"""

from binascii import unhexlify

_FOLDER = (__file__.rpartition("/")[0] or ".") + "/../wire/"


class Section:
    """`lines`: (ms, way, what): ">" or "<" and a datagram, "" when nothing more came, "!" and what
    an operator did, "@" and the number of the client."""

    def __init__(self, title):
        self.title = title
        self.lines = []

    def of(self, direction):
        """Return the datagrams of a direction."""
        return [what for _, way, what in self.lines if way == direction]


def load(name):
    """Return the sections of a file."""
    sections = []
    with open(_FOLDER + name + ".txt", encoding="utf-8") as file:
        for line in file:
            line = line.strip()
            if line.startswith("## "):
                sections.append(Section(line[3:]))
            elif line and line[0] in "!@":
                sections[-1].lines.append((0, line[0], line[1:].strip()))
            elif line and line[0] != "#":
                seconds, _, rest = line.partition(" ")
                ms = int(float(seconds) * 1000 + 0.5)
                sections[-1].lines.append((ms, rest[:1], _datagram(rest[2:])))
    return sections


def _datagram(text):
    octets = bytearray()
    while text:
        if text[0] == "'":
            quoted, _, text = text[1:].partition("'")
            part = quoted.encode()
            count, _, text = text.partition(" ")
            count = count[1:]
        else:
            digits, _, text = text.partition(" ")
            digits, _, count = digits.partition("*")
            first, _, last = digits.partition("..")
            part = bytes(range(int(first, 16), int(last, 16) + 1)) if last else unhexlify(digits)
        octets.extend(part * int(count or 1))
    return bytes(octets)
