"""What a board has in ROM, as thin as it gets: the firmware's heap is measured on top of it.

On a board these modules take no heap, and the flash is mounted before its heap is anybody's. Here
they do: `power_up.py` tells how much, so that it can be taken off. The flash is a real littlefs in
an image, as an ESP32 has it.
"""

import gc
import os
import select
import socket as host
import sys

import vfs
from micropython import const

_BLOCK_SIZE = const(4096)
_OTHER_NAMES = const(560)


class Flash:
    """A flash image in a host file, which counts what is programmed and erased."""

    def __init__(self):
        self.file = None
        self.blocks = 0
        self.erased = b"\xff" * _BLOCK_SIZE
        self.programs = self.bytes_programmed = self.erases = 0
        self.saves = []

    def readblocks(self, block, buffer, offset=0):
        self.file.seek(block * _BLOCK_SIZE + offset)
        self.file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        self.programs += 1
        self.bytes_programmed += len(buffer)
        self.file.seek(block * _BLOCK_SIZE + offset)
        self.file.write(buffer)

    def ioctl(self, operation, argument):
        if operation == 4:
            return self.blocks
        if operation == 5:
            return _BLOCK_SIZE
        if operation == 6:
            self.erases += 1
            self.file.seek(argument * _BLOCK_SIZE)
            self.file.write(self.erased)
        return 0


class Pin:
    OUT = 3

    def __init__(self, name, mode):
        pass

    def value(self, level):
        pass


class RTC:
    pass


class machine:
    Pin = Pin
    RTC = RTC

    def unique_id():
        return b"\x00\x11\x22\x33\x44\x55"

    def reset():
        pass


class Station:
    """The station interface: joined as soon as it is told to."""

    is_active = False
    ssid = None

    def active(self, *is_active):
        if is_active:
            self.is_active = is_active[0]
        return self.is_active

    def connect(self, ssid, key=None):
        self.ssid = ssid

    def disconnect(self):
        self.ssid = None

    def isconnected(self):
        return self.ssid is not None

    def status(self):
        return 1010 if self.ssid else 1000

    def config(self, name):
        return self.ssid

    def ifconfig(self):
        return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")


station = Station()


class network:
    STA_IF = 0
    STAT_IDLE = 1000
    STAT_CONNECTING = 1001
    STAT_GOT_IP = 1010

    def WLAN(interface):
        return station

    def hostname(name):
        pass

    def country(code):
        pass


class Socket:
    """A datagram socket whose addresses are tuples, as boards have them."""

    def __init__(self, family, type):
        self.host = host.socket(family, type)
        self.send = self.host.send
        self.recv = self.host.recv
        self.setblocking = self.host.setblocking
        self.close = self.host.close

    def bind(self, address):
        self.host.bind(_packed(address))

    def connect(self, address):
        self.host.connect(_packed(address))


def _packed(address):
    return host.getaddrinfo(address[0], address[1], host.AF_INET, host.SOCK_DGRAM)[0][-1]


class socket:
    AF_INET = host.AF_INET
    SOCK_DGRAM = host.SOCK_DGRAM
    socket = Socket

    def getaddrinfo(name, port, family, type):
        return [(host.AF_INET, type, 0, "", (name, port))]


class Poll:
    def __init__(self):
        self.host = select.poll()
        self.ipoll = self.host.ipoll

    def register(self, stream, events):
        # The console has none.
        self.host.register(getattr(stream, "host", stream), events)


class selector:
    POLLIN = select.POLLIN
    poll = Poll


class operating_system:
    """The `os` module; a renamed file is a saved one, and is noted with its size."""

    stat = os.stat
    remove = os.remove
    listdir = os.listdir
    mkdir = os.mkdir
    rmdir = os.rmdir
    statvfs = os.statvfs
    urandom = os.urandom

    def rename(old, new):
        flash.saves.append((new, os.stat(old)[6]))
        os.rename(old, new)


flash = Flash()


def make_room_for_names():
    """Let MicroPython have a table with more places for names than the firmware takes.

    Its tables double. The stand-ins' names, which a board has in its ROM, would bring forward that
    of 640 places, which no board makes; it would want 4.5 KB in one piece.
    """
    for number in range(_OTHER_NAMES):
        # What is looked for becomes a name, also where it is not there.
        hasattr(sys, "%d" % number)


def put_in_place():
    """Let `import machine` and the like find the stand-ins."""
    for name, module in (
        ("machine", machine),
        ("network", network),
        ("socket", socket),
        ("select", selector),
        ("os", operating_system),
    ):
        sys.modules[name] = module


def power_on(image, program_size=32, is_frozen=False, rom=None):
    """Mount the flash and put the stand-ins in their place; return the flash.

    `program_size`: an ESP32's is 32, a Pico W's 256. `is_frozen`: the firmware's names are in
    MicroPython, too. `rom`: the file of a ROMFS, or None.
    """
    if rom:
        # First, while so large a piece is free.
        content = bytearray(os.stat(rom)[6])
        open(rom, "rb").readinto(content)
    if not is_frozen:
        make_room_for_names()
    put_in_place()
    flash.blocks = os.stat(image)[6] // _BLOCK_SIZE
    flash.file = open(image, "r+b")
    mounted = vfs.VfsLfs2(flash, progsize=program_size)
    vfs.umount("/")
    vfs.mount(mounted, "/")
    sys.path[:] = ["", ".frozen", "/lib"]
    if rom:
        vfs.mount(vfs.VfsRom(content), "/rom")
        sys.path[2:2] = ["/rom", "/rom/lib"]
    gc.collect()
    return flash
