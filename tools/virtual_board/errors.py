"""What can be wrong with a flash."""


class FlashError(Exception):
    """A flash that cannot be made, read or powered up."""


class NotOnFlash(FlashError):
    """The flash has no such file."""
