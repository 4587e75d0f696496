"""Every error that firstboot raises: what happened and why, and what to do next.

There is a class where code has to tell one trouble from another; people read the texts. Those of
ThingsBoard's refusals are in firmware.thingsboard.refusals, which few boards ever load.
"""


class FirstbootError(Exception):
    """The root. `what`: what happened and why; `fix`: what a person does next.

    `state`: what the indicator shows of it. `retry_after`: how long to wait at least before
    another try, in ms. `status`: ThingsBoard's own word for it, None when it has none.
    `is_doubtful`: whether it may be the word of another than who was asked, until it is said again.
    """

    state = "failed"
    retry_after = 0
    status = None
    is_doubtful = False

    def __init__(self, what, fix=""):
        super().__init__(what)
        self.what = what
        self.fix = fix

    def __str__(self):
        return "%s\n%s" % (self.what, self.fix) if self.fix else self.what


class CoapError(FirstbootError):
    """A CoAP request got no usable response, or bytes are no CoAP message."""


class Silence(CoapError):
    """Nothing came, or nothing could be sent.

    firmware.board.wifi, when it is handed one, joins anew: a network can be joined and carry
    nothing.
    """


class NetworkError(Silence):
    """The server's name was not found, or this board could not send."""


class NoResponse(Silence):
    """No response. `acknowledged`: whether the server had acknowledged the request."""

    acknowledged = False


class DateError(CoapError):
    """A certificate is not valid at the time that this board's clock says."""
