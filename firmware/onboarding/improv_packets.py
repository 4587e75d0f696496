"""The packets of Improv Wi-Fi over serial, version 1 (improv-wifi.com/serial). Pure.

byte  0       6        7     8       9       9 + length
      IMPROV  version  type  length  data …  checksum: the sum of all before it, modulo 256
"""

from micropython import const

STATE = const(1)
ERROR = const(2)
RESULT = const(4)
_RPC = const(3)

# What a state packet says.
READY = const(2)
PROVISIONING = const(3)
PROVISIONED = const(4)

# What an error packet says.
NO_ERROR = const(0)
INVALID = const(1)
UNKNOWN_COMMAND = const(2)
UNABLE_TO_CONNECT = const(3)
UNKNOWN_ERROR = const(255)

# The commands.
SETTINGS = const(1)
CURRENT_STATE = const(2)
DEVICE = const(3)
NETWORKS = const(4)

# What Parser.feed returns.
OUTSIDE = const(0)
INSIDE = const(1)
WHOLE = const(2)
BROKEN = const(3)

# What each packet begins with: the name and the version.
HEADER = b"IMPROV\x01"
_TYPE = const(7)
_LENGTH = const(8)
_DATA = const(9)
# Of the longest command: itself, its length, an SSID and a password, each with its length.
_KEPT = const(100)
_SSID_MAX = const(32)
_PASSWORD_MAX = const(64)
_DATA_MAX = const(255)


class Parser:
    """Finds packets in what comes in, byte by byte, and keeps the data of the last one."""

    def __init__(self):
        self._data = bytearray(_KEPT)
        self.forget()

    def forget(self):
        """Begin anew, outside of a packet."""
        self._at = self._sum = self._type = self._length = 0

    def feed(self, byte):
        """Take a byte; return OUTSIDE when it is of no packet, INSIDE, WHOLE or BROKEN."""
        at = self._at
        if at < len(HEADER) and byte != HEADER[at]:
            at = self._sum = 0
            if byte != HEADER[0]:
                self._at = 0
                return OUTSIDE
        self._at = at + 1
        if at == _TYPE:
            self._type = byte
        elif at == _LENGTH:
            self._length = byte
        elif at >= _DATA:
            at -= _DATA
            if at == self._length:
                is_good = byte == self._sum & 0xFF and at <= _KEPT
                self._at = self._sum = 0
                if self._type != _RPC:
                    # It may be an echo of what was sent, which no answer may keep going.
                    return INSIDE
                return WHOLE if is_good else BROKEN
            if at < _KEPT:
                self._data[at] = byte
        self._sum += byte
        return INSIDE

    def command(self):
        """Return the command of the packet that is whole, and its data. Raises ValueError."""
        if self._length < 2 or self._data[1] != self._length - 2:
            raise ValueError
        return self._data[0], bytes(self._data[2 : self._length])


def settings(data):
    """Return the SSID and the password in the data of SETTINGS. Raises ValueError."""
    ssid_end = 1 + data[0] if data else 0
    if not 1 < ssid_end < len(data) or ssid_end > 1 + _SSID_MAX:
        raise ValueError
    password = data[ssid_end + 1 :]
    if len(password) != data[ssid_end] or len(password) > _PASSWORD_MAX:
        raise ValueError
    # What is no UTF-8 raises UnicodeError, which is a ValueError.
    return data[1:ssid_end].decode(), password.decode()


def packet(kind, data):
    """Return a packet. Both lines' ends are for clients that look for it at a line's beginning."""
    whole = HEADER + bytes((kind, len(data))) + data
    return b"\n" + whole + bytes((sum(whole) & 0xFF, 10))


def result(command, texts):
    """Return the packet that answers a command with texts; too many bytes of them are left out."""
    data = bytearray((command, 0))
    for text in texts:
        text = text.encode()
        if len(data) + 1 + len(text) > _DATA_MAX:
            break
        data.append(len(text))
        data.extend(text)
    data[1] = len(data) - 2
    return packet(RESULT, bytes(data))
