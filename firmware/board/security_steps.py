"""DTLS sessions that are opened step by step, so that an application's other tasks go on."""

from micropython import const

from firmware.board.clock import clock_steps, doubt
from firmware.coap.dtls_steps import DTLSInSteps
from firmware.errors import DateError

_POLL = const(10)  # ms


class SessionInSteps(DTLSInSteps):
    """A session that can be used once the steps of `handshake` are over.

    `config`: what firmware.board.config.load returns. `say_ends`: called after the handshake.
    `patience`: see firmware.coap.dtls.DTLS.
    """

    def __init__(self, transport, context, host, board, config, say_ends, patience=None):
        super().__init__(transport, context, host, board.ticks, patience)
        self._board = board
        self._config = config
        self._say_ends = say_ends

    def handshake(self):
        """The steps that set the clock and make the handshake; without it the session is closed.

        They yield how long to wait, in ms. Raises CoapError.
        """
        is_open = False
        try:
            if self._config["verify"]:
                yield from clock_steps(self._board, self._config["ntp"])
            while not is_open:
                yield _POLL
                is_open = self.advance()
        except DateError:
            doubt(self._board)
            raise
        finally:
            self._say_ends()
            if not is_open:
                self.close()
