"""What a person sees: a line a step on the console, a pattern a state on the LED."""

from time import ticks_diff, ticks_ms

# The states, and the LED in each, again every 2 s: 20 bits of 100 ms, from the left.
PATTERNS = {
    "config.json": 0b10101010101010101010,
    "Wi-Fi": 0b11111000001111100000,
    "provisioning": 0b11111111101111111110,
    "provisioned": 0b11111111111111111111,
    "refused": 0b10101000000000000000,
    "failed": 0b10000000000000000000,
    "application": 0b00000000000000000000,
}


class Indicator:
    """Shows one state at a time. `led`: called with 1 or 0, None for none; `write`: print."""

    def __init__(self, led=None, write=print, ticks=ticks_ms):
        self.led = led
        self.write = write
        self.ticks = ticks
        self.last = ticks()
        self.now = self.since = self.pattern = 0
        # What the LED was told last.
        self.level = None

    def show(self, state, text, *more):
        """Change to a state and print `text`, and each of `more` indented under it."""
        self.say("%s: %s" % (state, text), *more)
        self.pattern = PATTERNS[state]
        self.since = self.now
        self.blink()

    def say(self, text, *more):
        """Print a line, and each of `more` indented under it."""
        self.blink()
        stamp = "[%4d.%03d] " % divmod(self.now, 1000)
        self.write(stamp + text)
        for line in more:
            self.write(stamp + "  " + line)

    def blink(self):
        """Move the LED and the console's clock; called in every wait."""
        ticks = self.ticks()
        # Less than 0: nobody looked for six days.
        self.now += max(0, ticks_diff(ticks, self.last))
        self.last = ticks
        level = self.pattern >> 19 - (self.now - self.since) // 100 % 20 & 1
        if self.led and level != self.level:
            self.level = level
            self.led(level)
