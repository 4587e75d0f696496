"""Datagrams that a ThingsBoard CE 4.3.1.3 and its clients sent, from host_tests/wire.

A file has sections, which begin with `## title`. A datagram is a line `seconds > datagram` from
the client, with `<` from the server: hex digits, and text in quotes, which with `*n` comes n
times. A line with seconds alone says until when nothing more came. Lines from `# ` are comments.
"""

from binascii import unhexlify

_FOLDER = (__file__.rpartition("/")[0] or ".") + "/../wire/"


class Section:
    """`lines`: (ms, ">" or "<" or "" when nothing more came, datagram)."""

    def __init__(self, title):
        self.title = title
        self.lines = []

    def of(self, direction):
        """Return the datagrams of a direction."""
        return [datagram for _, way, datagram in self.lines if way == direction]


def load(name):
    """Return the sections of a file."""
    sections = []
    with open(_FOLDER + name + ".txt", encoding="utf-8") as file:
        for line in file:
            line = line.strip()
            if line.startswith("## "):
                sections.append(Section(line[3:]))
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
            count = 1
            if text[:1] == "*":
                digits, _, text = text[1:].partition(" ")
                count = int(digits)
            octets.extend(quoted.encode() * count)
        else:
            digits, _, text = text.partition(" ")
            octets.extend(unhexlify(digits))
        text = text.lstrip()
    return bytes(octets)
