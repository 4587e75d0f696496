"""What a person sees: a line a step on the console, a pattern a state on the LED."""

from time import ticks_add, ticks_diff, ticks_ms

# The states, and the LED in each: on and off by turns, in ms.
PATTERNS = {
    "config.json": (100, 100),
    "Wi-Fi": (500, 500),
    "provisioning": (900, 100),
    "provisioned": (1000, 0),
    "refused": (100, 100, 100, 100, 100, 1500),
    "failed": (100, 1900),
    "application": (0, 1000),
}


class Indicator:
    """Shows one state at a time. `led`: called with 1 or 0, None for none; `write`: print."""

    def __init__(self, led=None, write=print, ticks=ticks_ms):
        self.led = led
        self._write = write
        self._ticks = ticks
        self._seconds = 0
        self._since = ticks()
        self._pattern = PATTERNS["application"]
        self._phase = 0
        self._due = self._since

    def show(self, state, text, *more):
        """Change to a state and print `text`, and each of `more` indented under it."""
        self.say("%s: %s" % (state, text), *more)
        self._pattern = PATTERNS[state]
        self._phase = 0
        self._due = self._ticks()
        self.blink()

    def say(self, text, *more):
        """Print a line, and each of `more` indented under it."""
        self.blink()
        stamp = "[%4d.%03d] " % (self._seconds, ticks_diff(self._ticks(), self._since))
        self._write(stamp + text)
        for line in more:
            self._write(stamp + "  " + line)

    def blink(self):
        """Move the LED and the console's clock; called in every wait."""
        now = self._ticks()
        seconds = ticks_diff(now, self._since) // 1000
        if seconds < 0:
            # Nobody looked for six days.
            self._since = now
        elif seconds:
            self._since = ticks_add(self._since, 1000 * seconds)
            self._seconds += seconds
        if self.led is None or ticks_diff(now, self._due) < 0:
            return
        pattern = self._pattern
        while not pattern[self._phase]:
            self._phase = (self._phase + 1) % len(pattern)
        self.led(1 - self._phase % 2)
        self._due = ticks_add(now, pattern[self._phase])
        self._phase = (self._phase + 1) % len(pattern)
