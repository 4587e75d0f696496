"""The driver of firmware.onboarding.http: TCP without waiting, bounded in number and in time.

No library: microdot (2.7) is built on asyncio, whose loop does not run in the firmware's waits,
limits neither the number of connections nor their time, and takes 19,600 bytes of a 32-bit board's
heap besides asyncio, where this and its parser take 6,000.
"""

from errno import EAGAIN
from time import ticks_diff

from micropython import const

from firmware.onboarding.http import BadRequest, Reader, head
from firmware.retry import unexpected

# A Pico W has five TCP connections.
_MOST = const(4)
_LONGEST = const(10_000)  # ms that a connection has in all
_SLOW = const(2_000)  # ms after which one that still reads makes room for another
_CHUNK = const(512)
# Of each connection and turn, so that none holds up the others.
_CHUNKS = const(16)


class Server:
    """Serves one request a connection. `listener`: a listening socket that does not block.

    `answer(request)` gives what to send, an iterable of bytes. `ticks`: time.ticks_ms. `near`: how
    the addresses begin that are answered. lwIP lets in whoever names the access point's address,
    through the Wi-Fi that the board has joined, too.
    """

    def __init__(self, listener, answer, ticks, near):
        self._listener = listener
        self._answer = answer
        self._ticks = ticks
        self._near = near
        self._connections = []

    def work(self):
        """Do what can be done at once."""
        self._accept()
        for connection in self._connections[:]:
            is_over = ticks_diff(self._ticks(), connection.began) > _LONGEST
            if is_over or connection.work(self._answer):
                self._drop(connection)

    def close(self):
        """End all of it."""
        for connection in self._connections[:]:
            self._drop(connection)
        self._listener.close()

    def _accept(self):
        for _ in range(_MOST):
            try:
                accepted, address = self._listener.accept()
            except OSError:
                # Nobody waits, or who did is gone again.
                return
            if not address[0].startswith(self._near):
                accepted.close()
                continue
            accepted.setblocking(False)
            if len(self._connections) >= _MOST:
                oldest = self._connections[0]
                is_slow = ticks_diff(self._ticks(), oldest.began) > _SLOW
                if not (is_slow and oldest.is_reading):
                    accepted.close()
                    return
                self._drop(oldest)
            self._connections.append(_Connection(accepted, self._ticks()))

    def _drop(self, connection):
        self._connections.remove(connection)
        connection.socket.close()


class _Connection:
    is_reading = True
    _unsent = b""

    def __init__(self, socket, began):
        self.socket = socket
        self.began = began
        self._reader = Reader()

    def work(self, answer):
        """Read and write what can be; return whether it is done with."""
        try:
            for _ in range(_CHUNKS):
                if not self.is_reading:
                    if self._write():
                        return True
                elif self._read(answer):
                    return True
        except OSError as error:
            return error.errno != EAGAIN
        except Exception as error:
            # Of whatever class: whoever waits for an answer would wait to the end.
            unexpected(error)
            return True
        return False

    def _read(self, answer):
        received = self.socket.recv(_CHUNK)
        if not received:
            return True
        try:
            request = self._reader.feed(received)
            chunks = request and answer(request)
        except BadRequest as error:
            chunks = (head(error.status),)
        if chunks:
            self.is_reading = False
            self._reader = None
            self._chunks = iter(chunks)
        return False

    def _write(self):
        if not self._unsent:
            try:
                self._unsent = memoryview(next(self._chunks))
            except StopIteration:
                return True
        sent = self.socket.send(self._unsent)
        self._unsent = self._unsent[sent:]
        return False
