"""The button that opens the access point: held for 3 s, or while the board starts."""

from time import ticks_diff

from micropython import const

_HELD = const(3_000)  # ms


class Button:
    """Calls `on_held` when it has been held, in each wait, until `close`.

    `was_pressed`: whether it was from the start; that counts no further, until it is let go. At a
    pin that the board has not it never is, and the console says so.
    """

    def __init__(self, board, pin, on_held):
        self._board = board
        try:
            self._is_pressed = board.button(pin)
        except (ValueError, TypeError):
            board.indicator.say("`onboarding_pin` is no pin for a button on this board")
            self._is_pressed = lambda: False
        self._on_held = on_held
        self._since = None
        self.was_pressed = self._is_pressed()
        self._counts = not self.was_pressed
        # One object, to find it again.
        self._background = self._work
        board.background.append(self._background)

    def close(self):
        """Look at it no more."""
        self._board.background.remove(self._background)

    def _work(self):
        if not self._is_pressed():
            self._since = None
            self._counts = True
        elif self._counts:
            now = self._board.ticks()
            if self._since is None:
                self._since = now
            elif ticks_diff(now, self._since) >= _HELD:
                self._counts = False
                self._on_held()
