"""firmware.errors: what is printed of an error says what happened, on every interpreter."""

import io
import sys

from firmware.errors import FirstbootError, NoResponse
from firmware.thingsboard.refusals import Refused


def printed(error):
    """Return the last line that a person sees of an error that nothing caught."""
    try:
        raise error
    except FirstbootError as raised:
        text = io.StringIO()
        sys.print_exception(raised, text)
    return text.getvalue()


def test_an_error_that_nothing_caught_says_what_happened():
    for error in (FirstbootError("it broke"), Refused("it broke", "Mend it.")):
        assert type(error).__name__ + ": it broke" in printed(error), printed(error)


def test_what_and_fix_are_lines():
    assert str(FirstbootError("it broke", "Mend it.")) == "it broke\nMend it."
    assert str(FirstbootError("it broke")) == "it broke"


def test_arguments_by_name():
    error = Refused("it refused", fix="Ask.")
    assert (error.what, error.fix) == ("it refused", "Ask.")
    assert FirstbootError(what="a\nb").what == "a\nb"


def test_silence_is_unacknowledged_unless_said():
    assert NoResponse("silence").acknowledged is False
