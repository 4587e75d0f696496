"""The access point with its page: opened, looked after, closed, and back where it had to go.

A Wi-Fi whose addresses are the access point's own, as some routers give them, cannot be joined
beside it: replies to the phone, names, and what is for the router would go astray. No board's
MicroPython can have other addresses there: a Pico W's DHCP server keeps those it began with. So the
page says that the board goes away; it asks its server with the access point off, and comes back to
tell what has come of it.
"""

from micropython import const

from firmware.onboarding.access_point import in_range, is_in_wifi, switch_off
from firmware.retry import unexpected

# How long the page says that the board goes away, and how long the board is back for it, in ms.
_GOES = const(20_000)
RETURNS = const(120_000)


class Opening:
    """`portal`: see firmware.onboarding.portal, None while it is closed. `was_closed`: whether its
    time is over. `is_wanted`: whether somebody wants it, by the button. `is_apart`: whether the
    board is in a Wi-Fi that it cannot be in beside it. `is_joining`: whether the radio is at that.

    `config`: what firmware.board.config.load returned.
    """

    portal = None
    was_closed = is_wanted = is_joining = False
    _apart = None
    _heard = ()

    def __init__(self, board, candidate, config):
        self._board = board
        self._candidate = candidate
        self.config = config

    @property
    def is_apart(self):
        """See above."""
        return self._apart is not None

    def open(self):
        """Open it."""
        from firmware.onboarding.portal import Portal

        heard = self.look_around()
        ssid = "firstboot-" + self._board.id[-6:]
        password = self.config["onboarding_password"]
        self.portal = Portal(self._board, self._candidate, ssid, password)
        self.portal.scanned(heard)

    def close(self):
        """Close it until the next power-up, or the button."""
        self._apart = None
        if self.portal:
            self.portal.close()
            self.portal = None
            self.was_closed = True
            self.is_wanted = False

    def look_after(self):
        """Do what the page asks for; close it when its time is over."""
        if self.portal.wants_scan:
            self.portal.scanned(self.look_around())
        self.end_in_time()

    def end_in_time(self):
        """Close it when its time is over."""
        if self.portal and self.portal.is_over():
            self._board.indicator.say("onboarding: the access point is closed again")
            self.close()

    def look_around(self):
        """Return the networks in range, see firmware.board.wifi_scan.heard_with_strength.

        Those heard last where there are none now: an ESP32 that joins hears nothing.
        """
        self._heard = in_range(self._board, self.config["networks"][0]) or self._heard
        return self._heard

    def networks(self):
        """Return the networks in range as Improv wants them. To look for them ends a join."""
        is_tried = self.is_joining and (self._heard or self._candidate.state == "trying")
        heard = self._heard if self.portal or is_tried else self.look_around()
        return [(name, -weaker, security) for weaker, name, security in heard]

    def note_joined(self):
        """Keep the access point beside the Wi-Fi that a person gave, where they can be."""
        self._apart = None
        if not self.portal or not is_in_wifi(self._board, self.portal.address):
            return
        if self._candidate.provisioned:
            # There is nothing more to ask for.
            switch_off(self._board)
        else:
            self.part()

    def part(self):
        """Say on the page that the board goes away, and go, unless somebody gives more."""
        self._candidate.tell("apart")
        switch_off(self._board)
        self.portal.linger(_GOES)
        if self._candidate.state == "apart":
            self.portal.close()
            self._apart = self.portal
            self.portal = None
            self.is_wanted = False

    def come_back(self):
        """Open it again after `part`, within the hour that it has in all; return whether it is."""
        if not self._apart.is_spent():
            try:
                switch_off(self._board)
                self._apart.open()
                self.portal = self._apart
                return True
            except Exception as error:
                # Of whatever class: what it would tell is no reason to stop.
                unexpected(error)
        self._apart = None
        self.was_closed = True
        return False

    def tell_end(self):
        """Wait until somebody has read how it ended."""
        if self.portal:
            self.portal.linger()
        elif self.is_apart and self.come_back():
            self.portal.linger(2 * RETURNS, RETURNS)
