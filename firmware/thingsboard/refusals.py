"""ThingsBoard's refusals, and what else it answers in place of credentials: the classes. Pure.

What each means is in firmware.thingsboard.answers.
"""

from firmware.errors import FirstbootError


class ProvisioningError(FirstbootError):
    """ThingsBoard answered, but not with credentials."""


class Refused(ProvisioningError):
    """ThingsBoard refused; an operator can lift it."""

    state = "refused"
    retry_after = 3_600_000


class Failure(Refused):
    """Refused, or provisioned already by a request whose reply was lost."""

    status = "FAILURE"
