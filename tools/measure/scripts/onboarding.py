"""What onboarding takes of a board's heap: `onboarding.py IMAGE`. As JSON.

All of it is loaded and open, with twenty networks in range, while a phone takes its page.
"""

import gc
import json
import sys
from errno import EAGAIN

import thin_board

_NETWORKS = [(40 + number, b"A name of 32 bytes, network %4d" % number, 3) for number in range(20)]
_REQUEST = b"GET / HTTP/1.1\r\nHost: 192.168.4.1\r\nAccept-Language: de\r\n\r\n"
_TAKES = 64


class AccessPoint:
    def active(self, *is_active):
        return True

    def config(self, **settings):
        pass

    def isconnected(self):
        return True

    def ifconfig(self):
        return ("192.168.4.1", "255.255.255.0", "192.168.4.1", "0.0.0.0")


class Phone:
    """Both ends of what the board listens at: a connection with one request, no datagrams."""

    most = sent = 0
    request = _REQUEST

    def listen(self, backlog):
        pass

    def setblocking(self, is_blocking):
        pass

    def close(self):
        pass

    def accept(self):
        if not self.request:
            raise OSError(EAGAIN)
        return self, ("192.168.4.2", 50000)

    def recvfrom(self, size):
        raise OSError(EAGAIN)

    def recv(self, size):
        request, self.request = self.request, None
        return request

    def send(self, data):
        taken = min(_TAKES, len(data))
        self.sent += taken
        gc.collect()
        self.most = max(self.most, gc.mem_alloc())
        return taken


class Console:
    def read(self):
        return None


def main(image):
    thin_board.power_on(image)
    thin_board.network.AP_IF = 1
    thin_board.socket.SOCK_STREAM = 1
    access_point = AccessPoint()
    station = thin_board.station
    thin_board.network.WLAN = lambda interface: access_point if interface else station
    from firmware.board import config
    from firmware.board.hardware import Board
    from firmware.memory import give_back

    board = Board()
    missing = []
    settings = config.load(board, False, missing)
    del config
    give_back()
    gc.collect()
    before = gc.mem_alloc()
    from firmware.onboarding import portal
    from firmware.onboarding.improv import Improv
    from firmware.onboarding.story import Story

    phone = Phone()
    portal._bound = lambda kind, address, port: phone
    story = Story(board, settings)
    story.candidate.ask(missing)
    story.improv = Improv(board, story.candidate, lambda: (), "sensor-1", "", Console())
    story.opening.portal = portal.Portal(board, story.candidate, "firstboot-334455", "label-1234")
    story.portal.scanned(_NETWORKS)
    gc.collect()
    opened = gc.mem_alloc()
    for _ in range(1000):
        board.idle()
    return {"open": opened - before, "most": phone.most - before, "sent": phone.sent}


print(json.dumps(main(sys.argv[1])))
