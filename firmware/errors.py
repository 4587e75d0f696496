"""Every error that firstboot raises: what happened and why, and what to do next."""


class FirstbootError(Exception):
    """The root. `what`: what happened and why; `fix`: what a person does next."""

    def __init__(self, what, fix=""):
        super().__init__(what)
        self.what = what
        self.fix = fix

    def __str__(self):
        return "%s\n%s" % (self.what, self.fix) if self.fix else self.what


class ConfigError(FirstbootError):
    """config.json cannot be used. `problems`: one text a mistake."""

    def __init__(self, problems, fix):
        super().__init__("; ".join(problems), fix)
        self.problems = problems


class StorageError(FirstbootError):
    """The flash did not take or give a file; what was saved before is still there."""


class WiFiError(FirstbootError):
    """The Wi-Fi network was not joined in time."""


class CoapError(FirstbootError):
    """A CoAP request got no usable response."""


class FormatError(CoapError):
    """Bytes that are not what RFC 7252 or RFC 7959 allow."""


class NetworkError(CoapError):
    """The server's name was not found, or this board could not send."""


class NoResponse(CoapError):
    """Silence. `acknowledged`: whether the server had acknowledged the request."""

    def __init__(self, what, fix, acknowledged):
        super().__init__(what, fix)
        self.acknowledged = acknowledged


class ResetReceived(CoapError):
    """The peer answered with a Reset (RFC 7252 section 4.2)."""


class TooLarge(CoapError):
    """A body is over the client's limit."""


class ProvisioningError(FirstbootError):
    """ThingsBoard answered, but not with credentials. `retry_after`: least wait, in ms."""

    def __init__(self, what, fix, retry_after=0):
        super().__init__(what, fix)
        self.retry_after = retry_after


class Refused(ProvisioningError):
    """ThingsBoard refused; an operator can lift it."""


class Failure(Refused):
    """Status FAILURE: refused, or provisioned already by a request whose reply was lost."""


class SecurityError(CoapError):
    """There is no DTLS session with the server, or none that can be trusted."""
