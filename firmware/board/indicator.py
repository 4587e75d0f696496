"""What a person sees: a line a step on the console, a pattern a state on the LED."""

from time import ticks_diff, ticks_ms

# The states, and the LED in each, again every 2 s: 20 bits of 100 ms, from the left.
PATTERNS = {
    "config.json": 0b10101010101010101010,
    "onboarding": 0b10100000001010000000,
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
        # Small numbers, since from 2**30 on each takes memory: the time, and that of the pattern.
        self.seconds = self.ms = self.beat = self.pattern = 0
        # What the LED was told last.
        self.level = None

    def show(self, state, text, *more):
        """Change to a state and print `text`, and each of `more` indented under it."""
        self.say("%s: %s" % (state, text), *more)
        self.pattern = PATTERNS[state]
        self.beat = 0
        self.blink()

    def say(self, text, *more):
        """Print a line, and each of `more` indented under it."""
        self.blink()
        stamp = "[%4d.%03d] " % (self.seconds, self.ms)
        self.write(stamp + text)
        for line in more:
            self.write(stamp + "  " + line)

    def blink(self):
        """Move the LED and the console's clock; called in every wait."""
        ticks = self.ticks()
        # Less than 0: nobody looked for six days.
        passed = max(0, ticks_diff(ticks, self.last))
        self.last = ticks
        self.beat = (self.beat + passed) % 2000
        self.ms += passed
        self.seconds += self.ms // 1000
        self.ms %= 1000
        level = self.pattern >> 19 - self.beat // 100 & 1
        if self.led and level != self.level:
            self.level = level
            self.led(level)
