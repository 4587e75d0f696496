"""A DTLS session whose handshake is made step by step, so that nothing waits for it.

Each step takes as long as mbedTLS computes: up to some 2 s for the key exchange on a board.
"""

import gc
from errno import ETIMEDOUT
from time import ticks_diff, ticks_ms

from micropython import const

from .dtls import DTLS, Records

_HANDSHAKE = const(22)
_HEADER = const(13)


class DTLSInSteps(DTLS):
    """A DTLS session that can be used once `advance` has returned True.

    Its arguments are DTLS's; to make one sends nothing and takes no time.
    """

    def __init__(self, transport, context, host, ticks=ticks_ms, patience=None):
        self._records = Records(transport, None, ticks, patience)
        # So they wait for nothing.
        self._records.connected = True
        self._host = host
        self._ticks = ticks
        gc.collect()
        self._tls = context.wrap_socket(
            self._records, server_hostname=host, do_handshake_on_connect=False
        )
        self._is_open = False

    def advance(self):
        """Go on with the handshake as far as can be; return whether it is over.

        To be called every 50 ms or sooner: mbedTLS counts its retransmissions in it. Raises what
        DTLS raises, and then is of no more use.
        """
        records = self._records
        try:
            if records.wait(0):
                records.look_at(records.datagram)
                self._is_open = _ends_handshake(records.datagram)
            elif ticks_diff(records.end, self._ticks()) <= 0:
                records.timed_out = True
                raise OSError(ETIMEDOUT)
            self._tls.recv(1)
        except (OSError, ValueError, MemoryError) as error:
            from .dtls_failure import explain

            raise explain(error, self._host, records)
        return self._is_open


def _ends_handshake(datagram):
    """Return whether a datagram has the server's Finished: a handshake record that is encrypted.

    One that mbedTLS does not believe leaves it waiting for the true one. What is sent meanwhile is
    as good as lost, and sent again.
    """
    position = 0
    while position + _HEADER <= len(datagram):
        if datagram[position] == _HANDSHAKE and datagram[position + 4]:
            return True
        position += _HEADER + (datagram[position + 11] << 8 | datagram[position + 12])
    return False
