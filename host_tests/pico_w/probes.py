"""What the virtual board and the real image are both asked, and who answers them over UDP."""

from __future__ import annotations

import socket
import threading

# What a board does while it looks for the name HOST, which nobody answers for; and again when it
# has left its network, which Ctrl-C ends.
NAME_SCRIPT = """
import network, socket, time

wlan = network.WLAN(network.STA_IF)
before = time.ticks_ms()
try:
    print(socket.getaddrinfo(HOST, 1))
except OSError as error:
    print(error.args, "after", (time.ticks_diff(time.ticks_ms(), before) + 500) // 1000, "s")
wlan.disconnect()
while wlan.isconnected():
    time.sleep_ms(10)
print(socket.getaddrinfo("10.0.0.1", 1)[0][-1])
print("without a network")
socket.getaddrinfo(HOST, 1)
print("it ended")
"""

# A line for each probe: its name and what came of it. HOST and PORT are the peer's.
SCRIPT = """
import machine, network, os, select, socket, sys, time
import errno as numbers

DGRAM = socket.SOCK_DGRAM
wlan = network.WLAN(network.STA_IF)


def probe(name, action):
    try:
        result = action()
    except Exception as error:
        result = (type(error).__name__, error.args)
    print(name + ":", result)


def opened(port=0, timeout=1):
    peer = socket.getaddrinfo(HOST, PORT, 0, DGRAM)[0][-1]
    each = socket.socket(socket.AF_INET, DGRAM)
    try:
        if port:
            each.bind(("0.0.0.0", port))
        each.connect(peer)
    except OSError:
        each.close()
        raise
    each.settimeout(timeout)
    return each


def ask(text, *sizes):
    each = opened()
    each.send(text)
    got = []
    for size in sizes:
        try:
            got.append(each.recv(size))
        except OSError as error:
            got.append(error.args)
    each.close()
    return got


def same_port_twice():
    first = opened(21000)
    try:
        second = opened(21000)
        second.close()
        return "bound twice"
    finally:
        first.close()


def port_again():
    opened(21001).close()
    opened(21001).close()
    return "bound again"


def nonblocking():
    each = opened()
    each.setblocking(False)
    try:
        return each.recv(10)
    finally:
        each.close()


def burst():
    each = opened()
    each.send(b"burst")
    time.sleep_ms(500)
    got = []
    try:
        while True:
            got.append(each.recv(10))
    except OSError as error:
        got.append(error.args)
    each.close()
    return got


def polled():
    each = opened()
    poll = select.poll()
    poll.register(each, select.POLLIN)
    before = [event for _, event in poll.poll(20)]
    each.send(b"echo:here")
    after = [event for _, event in poll.poll(1000)]
    got = each.recv(20)
    again = [event for _, event in poll.poll(20)]
    each.close()
    return before, after, got, again


def writable():
    each = opened()
    poll = select.poll()
    poll.register(each, select.POLLIN | select.POLLOUT)
    events = [event for _, event in poll.poll(20)]
    each.close()
    return events


def read_into():
    each = opened()
    each.setblocking(False)
    each.send(b"two")
    time.sleep_ms(500)
    buffer = bytearray(12)
    got = each.readinto(buffer)
    each.close()
    return got, buffer


def blocking_read_into():
    each = opened(timeout=0.3)
    each.send(b"two")
    buffer = bytearray(12)
    try:
        return each.readinto(buffer)
    finally:
        each.close()


def too_many(type=DGRAM):
    each = []
    try:
        while len(each) < 20:
            each.append(socket.socket(socket.AF_INET, type))
    except OSError as error:
        return len(each), error.args
    finally:
        for one in each:
            one.close()


def too_many_streams():
    return too_many(socket.SOCK_STREAM)


def received_from():
    each = opened()
    each.send(b"echo:x")
    data, address = each.recvfrom(10)
    each.close()
    return data, address == (socket.getaddrinfo(HOST, PORT, 0, DGRAM)[0][-1])


def unconnected():
    each = socket.socket(socket.AF_INET, DGRAM)
    each.settimeout(1)
    address = socket.getaddrinfo(HOST, PORT, 0, DGRAM)[0][-1]
    sent = each.sendto(b"echo:y", address)
    got = each.recvfrom(10)[0]
    each.close()
    return sent, got


def send_unconnected():
    each = socket.socket(socket.AF_INET, DGRAM)
    try:
        return each.send(b"x")
    finally:
        each.close()


def closed():
    each = opened()
    each.close()
    return each.send(b"x")


def closed_recv():
    each = opened()
    each.close()
    return each.recv(1)


def closed_twice():
    each = opened()
    each.close()
    return each.close()


def large(size):
    def send():
        each = opened()
        try:
            return each.send(bytes(size))
        finally:
            each.close()
    return send


def outcomes(*actions):
    got = []
    for action in actions:
        try:
            got.append(action())
        except OSError as error:
            got.append(error.args)
    return got


def ipv6(port=0, family=socket.AF_INET):
    address = socket.getaddrinfo("fd00::1", 9, 0, DGRAM)[0][-1]
    each = socket.socket(family, DGRAM)
    each.setblocking(False)
    try:
        return outcomes(
            lambda: each.sendto(b"x", address),
            lambda: port and each.bind(("::", port)),
            lambda: each.connect(address),
            lambda: each.send(b"x"),
            lambda: each.sendto(b"x", address),
            lambda: each.recv(1),
        )
    finally:
        each.close()


def ipv6_stream():
    each = socket.socket()
    each.settimeout(1)
    try:
        each.connect(socket.getaddrinfo("fd00::1", 9)[0][-1])
    finally:
        each.close()


def files():
    with open("/probe.new", "w") as file:
        written = file.write("new")
    with open("/probe", "w") as file:
        file.write("old")
    os.rename("/probe.new", "/probe")
    with open("/probe") as file:
        text = file.read()
    os.remove("/probe")
    return written, text


probe("address", lambda: [each[:4] for each in socket.getaddrinfo(HOST, PORT, 0, DGRAM)])
probe("address of a stream", lambda: [each[:4] for each in socket.getaddrinfo(HOST, PORT)])
probe("unknown name", lambda: socket.getaddrinfo("nobody.invalid", 1))
probe("IPv6 address", lambda: socket.getaddrinfo("fd00::1", 1, 0, DGRAM))
probe("IPv6 address of a stream", lambda: socket.getaddrinfo("::1", 1))
probe("IPv6 peer", ipv6)
probe("IPv6 peer of a bound socket", lambda: ipv6(21002))
probe("IPv6 stream", ipv6_stream)
probe("IPv6 socket", lambda: ipv6(0, socket.AF_INET6))
probe("IPv6 socket that is bound", lambda: ipv6(21003, socket.AF_INET6))
probe("echo", lambda: ask(b"echo:hello", 10))
probe("cut short", lambda: ask(b"echo:hello", 2, 10))
probe("no answer", lambda: ask(b"silent", 10))
probe("empty", lambda: ask(b"empty", 10, 10, 10))
probe("from another port", lambda: ask(b"other", 10))
probe("same port twice", same_port_twice)
probe("port again", port_again)
probe("nonblocking", nonblocking)
probe("burst", burst)
probe("polled", polled)
probe("writable", writable)
probe("read into", read_into)
probe("received from", received_from)
probe("unconnected", unconnected)
probe("send unconnected", send_unconnected)
probe("closed", closed)
probe("closed recv", closed_recv)
probe("closed twice", closed_twice)
probe("blocking read into", blocking_read_into)
probe("too many sockets", too_many)
probe("too many streams", too_many_streams)
for size in (1472, 1473, 7504, 7505):
    probe("send %d" % size, large(size))
probe("connected", wlan.isconnected)
probe("status", wlan.status)
probe("status of an access point", network.WLAN(network.AP_IF).status)
probe("status of what is not known", lambda: wlan.status("nothing"))
probe("mac", lambda: len(wlan.config("mac")))
probe("unknown key", lambda: wlan.config("nothing"))
probe("set unknown key", lambda: wlan.config(nothing=1))
probe("long hostname", lambda: network.hostname("x" * 33))
probe("country", lambda: network.country("D"))
statuses = [name for name in dir(network) if name[:5] == "STAT_"]
probe("statuses", lambda: sorted([(name, getattr(network, name)) for name in statuses]))
probe("station", lambda: network.WLAN(7).isconnected())
probe("LED", lambda: machine.Pin("LED", machine.Pin.OUT).value())
probe("pin 99", lambda: machine.Pin(99, machine.Pin.OUT))
probe("pin of no name", lambda: machine.Pin("NOTHING", machine.Pin.OUT))
probe("pin None", lambda: machine.Pin(None, machine.Pin.OUT))
probe("long watchdog", lambda: machine.WDT(timeout=9000))
probe("short watchdog", lambda: machine.WDT(timeout=-1))
probe("another watchdog", lambda: machine.WDT(1))
probe("id", lambda: len(machine.unique_id()))
probe("frequency", machine.freq)
probe("reset cause", machine.reset_cause)
probe("epoch", lambda: time.gmtime(0))
probe("platform", lambda: (sys.platform, sys.byteorder))
probe("implementation", lambda: (sys.implementation[0], sys.implementation[2]))
probe("mpy", lambda: sys.implementation._mpy & 0xFF)
probe("build", lambda: sys.implementation._build)
probe("path", lambda: sys.path)
probe("uname", lambda: [os.uname()[i] for i in (0, 1, 4)])
probe("files", files)
probe("missing file", lambda: open("/missing"))
probe("missing folder", lambda: open("/missing/file", "w"))
probe("remove missing", lambda: os.remove("/missing"))
probe("rename missing", lambda: os.rename("/missing", "/other"))
probe("make folder", lambda: os.mkdir("/folder"))
probe("make folder again", lambda: os.mkdir("/folder"))
probe("remove folder", lambda: os.rmdir("/folder"))
probe("file system", lambda: os.statvfs("/")[:3])
probe("working folder", os.getcwd)
probe("sync", lambda: os.sync())
probe("random", lambda: len(os.urandom(16)))
known = [name for name in dir(numbers) if name[0] == "E"]
probe("error numbers", lambda: sorted([(name, getattr(numbers, name)) for name in known]))
probe("error name", lambda: str(OSError(numbers.ETIMEDOUT)))
print("done")
"""


def answers(datagram: bytes) -> list[tuple[int, bytes]]:
    """What a probe is answered: (0 or 1 for another port, datagram)."""
    word, _, rest = datagram.partition(b":")
    if word == b"echo":
        return [(0, rest)]
    if word == b"burst":
        return [(0, b"%d" % number) for number in range(9)]
    if word == b"two":
        return [(0, b"first"), (0, b"second")]
    if word == b"empty":
        return [(0, b""), (0, b"after")]
    if word == b"other":
        return [(1, b"stranger")]
    return []


def script(host: str, port: int) -> str:
    """The probes of a board that reaches its peer as `host` and `port`."""
    return f"HOST, PORT = {host!r}, {port}\n{SCRIPT}"


class Peer(threading.Thread):
    """The peer of a board that is on this computer, at `port`."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for each in self._sockets:
            each.bind(("127.0.0.1", 0))
        self.port = self._sockets[0].getsockname()[1]

    def run(self) -> None:
        while True:
            datagram, peer = self._sockets[0].recvfrom(65536)
            for other, answer in answers(datagram):
                self._sockets[other].sendto(answer, peer)
