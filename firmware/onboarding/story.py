"""How a board gets its Wi-Fi from a person: when the access point opens, what is tried, what ends.

It opens at power-up without a Wi-Fi in config.json, or with one that was never joined and is not
for two minutes, or where ThingsBoard does not take what a person gave, or by the button; a later
loss never opens it. It closes when the board is provisioned, when nobody was on it for a quarter of
an hour, and after an hour at most; then it opens again only at power-up or by the button. While
nobody is on it, the board goes on trying the Wi-Fi that it has.
"""

from time import ticks_add, ticks_diff

from micropython import const

from firmware.errors import FirstbootError
from firmware.onboarding.access_point import in_range, is_in_wifi
from firmware.onboarding.candidate import Candidate
from firmware.onboarding.remembered import recall, remember
from firmware.retry import unexpected

# All in ms, but the last.
_NEVER_JOINED = const(120_000)
_ROUND = const(60_000)  # between two tries of the Wi-Fi that config.json has
_ANSWERS = const(1_000)  # until the answer to a form is out, and the radio may move
_POLL = const(50)
_SHORT = const(10)  # s for each network of such a round, in which phones lose the board

_JOINED = ("joined", "provisioning", "no answer", "refused")


class Story:
    """What firmware.power_up joins with where config.json has `onboarding`.

    `config`: what firmware.board.config.load returns. `provisioned`: it is about the Wi-Fi alone.
    `is_wanted`: whether somebody has pressed the button.
    """

    portal = improv = _button = None
    is_wanted = _was_closed = _is_working = False

    def __init__(self, board, config, provisioned=False):
        self.board = board
        self._began = board.ticks()
        self._has_joined, given = recall(board)
        self.candidate = Candidate(board, provisioned, given)
        # One object, to find it again.
        self._background = self._work
        board.background.append(self._background)
        if config["onboarding_pin"] is not None:
            from firmware.onboarding.button import Button

            self._button = Button(board, config["onboarding_pin"], self._want)
            self.is_wanted = self._button.was_pressed

    def join(self, config, missing, trouble):
        """Join as config.json says, or as a person does; return whether it is as config.json says.

        If not, config.json is another now. `missing`: what it lacks, see firmware.board.config.
        `trouble`: see firmware.board.wifi.join. Raises FirstbootError.
        """
        self._begin(config, missing)
        candidate = self.candidate
        # What a person gave here was right.
        is_given = self.portal and candidate.state in _JOINED
        if candidate.state == "trying":
            if self._try():
                return False
        elif not missing and (is_given or not self._is_due(missing)):
            from firmware.board import wifi

            try:
                wifi.join(config, self.board, trouble)
                self._note_joined()
                return True
            except FirstbootError as error:
                if not self.portal:
                    raise
                candidate.tell(error.reason, str(error))
        if self.portal or self._is_due(missing):
            is_same = self._serve(missing)
            if is_same is not None:
                return is_same
        raise FirstbootError(
            "nobody gave a Wi-Fi that the board can join, and its access point is closed",
            "Power the board off and on, or hold its button, to open it again.",
        )

    def serve(self, config, missing):
        """Open the access point; return whether a network was joined before its time was over."""
        self._begin(config, missing)
        self._want()
        return self._serve(missing) is not None

    def sleep(self, ms):
        """Wait for so long, or until a person has given something or wants to."""
        board = self.board
        end = ticks_add(board.ticks(), ms)
        while ticks_diff(end, board.ticks()) > 0 and self.candidate.state != "trying":
            if not self.portal and (self.is_wanted or self._is_late()):
                return
            if self.portal:
                self._look_after()
            board.sleep(_POLL)

    def tell(self, trouble=None):
        """Let the page say that the board asks ThingsBoard, or what has come of that."""
        if trouble is None and self.candidate.state != "trying":
            self.candidate.tell("provisioning")
        elif trouble and self.candidate.state in _JOINED:
            state = "refused" if trouble.state == "refused" else "no answer"
            self.candidate.tell(state, str(trouble))
            if not (self.portal or self._was_closed):
                self.is_wanted = bool(self.candidate.asked)

    def finish(self, name):
        """Let the page say that the board is provisioned, and as what."""
        self.candidate.name = name
        self.candidate.tell("provisioned")
        if self.portal:
            self.portal.linger()

    def close(self):
        """End all of it, and give the console back."""
        if self.improv:
            # It has told who is at the cable by then.
            self.board.sleep(_POLL)
            self.improv.close()
            self.improv = None
        self._close()
        if self._button:
            self._button.close()
        self.board.background.remove(self._background)

    def _begin(self, config, missing):
        self._config = config
        self.candidate.ask(missing)
        if not self.improv:
            from firmware.onboarding.improv import Improv, page_of

            name = config["provisioning"]["deviceName"] or "firstboot-" + self.board.id[-6:]
            board, url = self.board, page_of(config["server"] or "")
            self.improv = Improv(board, self.candidate, self._networks, name, url, self._close)

    def _want(self):
        self.is_wanted = True

    def _note_joined(self):
        if not self._has_joined:
            self._has_joined = True
            remember(self.board, self.candidate.given)

    def _is_late(self):
        """Return whether the Wi-Fi of config.json was never joined, for too long now."""
        passed = ticks_diff(self.board.ticks(), self._began)
        return passed >= _NEVER_JOINED and not (self._has_joined or self._was_closed)

    def _is_due(self, missing):
        return self.is_wanted or (missing and not self._was_closed) or self._is_late()

    def _serve(self, missing):
        """Serve until a network is joined, and return as `join`, or None when its time is over."""
        board = self.board
        if not self.portal:
            self._open()
        # Who pressed the button gets time to come, where the Wi-Fi of config.json would do.
        tried = ticks_add(board.ticks(), 2 * _ROUND if self.is_wanted else 0)
        while self.portal:
            if self.candidate.state == "trying":
                if self._try():
                    return False
            else:
                self._look_after()
            if self.portal and not missing and ticks_diff(board.ticks(), tried) >= _ROUND:
                tried = board.ticks()
                if self._try_known():
                    self._close()
                    return True
            board.sleep(_POLL)
        return None

    def _look_after(self):
        """Do what the page asks for; close it when its time is over."""
        if self.portal.wants_scan:
            self.portal.scanned(self._in_range())
        if self.portal.is_over():
            self.board.indicator.say("onboarding: the access point is closed again")
            self._close()

    def _try(self):
        """Try what a person gave; return whether the board has joined with it."""
        self.board.sleep(_ANSWERS)
        has_joined = self.candidate.work()
        self._has_joined = self._has_joined or has_joined
        if not has_joined:
            self.board.indicator.show("onboarding", *self.candidate.text.split("\n"))
        elif self.portal and is_in_wifi(self.board, self.portal.address):
            self._close()
        return has_joined

    def _try_known(self):
        """Try each network of config.json while nobody is on the page; return whether joined."""
        from firmware.board import wifi

        for network in self._config["networks"]:
            if self.portal.is_used() or self.candidate.state == "trying":
                return False
            if not wifi.join_anew(self.board, network, _SHORT):
                self._note_joined()
                return True
            self.board.indicator.show("onboarding", 'no "%s" yet' % network["ssid"])
        if not self.portal.is_used():
            self.portal.scanned(self._in_range())
        return False

    def _open(self):
        from firmware.onboarding.portal import Portal

        networks = self._in_range()
        ssid = "firstboot-" + self.board.id[-6:]
        self.portal = Portal(self.board, self.candidate, ssid, self._config["onboarding_password"])
        self.portal.scanned(networks)

    def _close(self):
        if self.portal:
            self.portal.close()
            self.portal = None
            self._was_closed = True
            self.is_wanted = False

    def _in_range(self):
        return in_range(self.board, self._config["networks"][0])

    def _networks(self):
        """Return the networks in range as Improv wants them."""
        heard = self.portal.networks if self.portal else self._in_range()
        return [(name, -weaker, security) for weaker, name, security in heard]

    def _work(self):
        """Serve who is there. Called in every wait, of the firmware's other parts too."""
        if self._is_working:
            return
        self._is_working = True
        try:
            for service in (self.improv, self.portal):
                if service:
                    service.work()
        except Exception as error:
            # Of whatever class: what a phone sends stops no board.
            unexpected(error)
        finally:
            self._is_working = False
