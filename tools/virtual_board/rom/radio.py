"""Wi-Fi as one station sees it. Pure: the time, in ms since power-up, is handed in."""

IDLE = "idle"
JOINING = "joining"
NO_ADDRESS = "joined, no address"
UP = "up"
NO_NETWORK = "no such network"
BAD_PASSWORD = "bad password"
LOST = "connection lost"
REFUSED = {
    "security": "no security in common",
    "weak": "too weak a signal",
    "full": "not let in",
}
LEFT = "left"

FOREVER = -1
_CURES = ("join", "cycle", "reset")


class Radio:
    """One station interface among the `networks` in range (scenario.py says what they are).

    `attempts` is how often a join, or a lost network, is tried before giving up; FOREVER on
    ESP32, 1 on Pico W. `failure` is the last one and outlives the next join, as on ESP32.
    `address_count` grows with every address received; `channel`, `rssi` and `address` are
    those of the network joined last. Names are bytes. `silent_until`, `wedged`, `wedged_until`:
    the scenario's; None once cured.
    """

    silent_until = None
    wedged = None
    wedged_until = None

    def __init__(self, networks, scan_ms, attempts, first_join_refused=False):
        self.networks = networks
        self.scan_ms = scan_ms
        self.attempts = attempts
        self.first_join_refused = first_join_refused
        self.state = IDLE
        self.failure = None
        self.ssid = None
        self.channel = None
        self.rssi = None
        self.address = None
        self.address_count = 0
        self.key = ""
        self._since = 0
        self._lost_at = None
        self._attempts_left = 0

    def cure(self, by):
        """The board has done what cures some troubles: "join", "cycle" or "reset"."""
        if self.silent_until and _CURES.index(by) >= _CURES.index(self.silent_until):
            self.silent_until = None
        if self.wedged and _CURES.index(by) >= _CURES.index(self.wedged_until):
            self.wedged = None

    def join(self, ssid, key, now):
        """Begin to join. The first join since power-up cures nothing."""
        if self.ssid:
            self.cure("join")
        self.ssid = ssid
        self.key = key
        self._attempts_left = self.attempts
        self._begin(now)

    def leave(self):
        """Leave, or stop trying."""
        if self.state in (NO_ADDRESS, UP):
            self.failure = LEFT
        self.state = IDLE

    def survive(self, ssid, now):
        """Be joined already: an association outlives a soft reset."""
        self.ssid = ssid
        self._attempts_left = self.attempts
        network = self._find(now)
        if network:
            self.key = network["password"]
            self._joined(network, now)

    def at(self, now):
        """The state at `now`, having lived through everything since the last call."""
        while True:
            if self.state == JOINING:
                if self.wedged:
                    return JOINING
                network = self._find(self._since)
                done = self._since + (network["delay_ms"] if network else self.scan_ms)
                if now < done:
                    return self._on_the_way(network, now)
                self._try(network, done)
            elif self.state in (NO_ADDRESS, UP):
                if self._lost_at is None or now < self._lost_at:
                    return self.state
                self._attempts_left = self.attempts
                self._fail(LOST, self._lost_at)
            else:
                return self.state

    def in_range(self, now):
        """The networks that a scan would find."""
        return [network for network in self.networks if not _is_away(network, now)]

    def _begin(self, now):
        self.state = JOINING
        self._since = now

    def _try(self, network, now):
        # Given a password, an ESP32 looks for no open network.
        looked_for = network and (network["password"] or not self.key or self.attempts == 1)
        if not looked_for:
            self._fail(NO_NETWORK, now)
        elif network.get("refuses"):
            self._fail(REFUSED[network["refuses"]], now)
        elif network["password"] != self.key or self.first_join_refused:
            self.first_join_refused = False
            self._fail(BAD_PASSWORD, now)
        else:
            self._joined(network, now)

    def _joined(self, network, now):
        drops = [start for start, _ in network["drops"] if start > now]
        self._lost_at = min(drops) if drops else None
        self.channel = network["channel"]
        self.rssi = network["rssi"]
        self.address = network.get("address")
        self.state = UP if network["dhcp"] else NO_ADDRESS
        if self.state == UP:
            self.failure = None
            self.address_count += 1

    def _fail(self, failure, now):
        self.failure = failure
        if self._attempts_left > 0:
            self._attempts_left -= 1
        if self._attempts_left == 0:
            self.state = failure
        else:
            # A network that takes no time must not be tried for ever within one moment.
            self._begin(max(now, self._since + 1))

    def _on_the_way(self, network, now):
        half_way = self._since + (network["delay_ms"] // 2 if network else self.scan_ms)
        if now < half_way or network["password"] != self.key:
            return JOINING
        return JOINING if self.first_join_refused or network.get("refuses") else NO_ADDRESS

    def _find(self, now):
        for network in self.in_range(now):
            if network["name"] == self.ssid:
                return network
        return None


def _is_away(network, now):
    return any(start <= now < end for start, end in _absences(network))


def _absences(network):
    return [[0, network["appears_after_ms"]]] + network["drops"]
