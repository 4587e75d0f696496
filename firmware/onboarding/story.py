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
from firmware.onboarding.candidate import Candidate
from firmware.onboarding.opening import RETURNS, Opening
from firmware.onboarding.remembered import note_joined, recall
from firmware.retry import unexpected

# All in ms, but the last.
_NEVER_JOINED = const(120_000)
_ROUND = const(60_000)  # between two tries of the Wi-Fi that config.json has
_ANSWERS = const(1_000)  # until the answer to a form is out, and the radio may move
_POLL = const(50)
_SHORT = const(10)  # s for each network of such a round, in which phones lose the board

_JOINED = ("joined", "apart", "provisioning", "no answer", "refused")


class Story:
    """What firmware.power_up joins with where config.json has `onboarding`.

    `config`: what firmware.board.config.load returns. `provisioned`: it is about the Wi-Fi alone.
    `opening`: see firmware.onboarding.opening.
    """

    improv = _button = None
    _is_working = False

    def __init__(self, board, config, provisioned=False):
        self.board = board
        self._began = board.ticks()
        self._has_joined, given = recall(board)
        self.candidate = Candidate(board, provisioned, given)
        self.opening = Opening(board, self.candidate, config)
        # One object, to find it again.
        self._background = self._work
        board.background.append(self._background)
        if config["onboarding_pin"] is not None:
            from firmware.onboarding.button import Button

            self._button = Button(board, config["onboarding_pin"], self._want)
            self.opening.is_wanted = self._button.was_pressed

    @property
    def portal(self):
        """See firmware.onboarding.opening."""
        return self.opening.portal

    def join(self, config, missing, trouble):
        """Join as config.json says, or as a person does; return whether it is as config.json says.

        If not, config.json is another now. `missing`: what it lacks, see firmware.board.config.
        `trouble`: see firmware.board.wifi.join. Raises FirstbootError.
        """
        self._begin(config, missing)
        candidate = self.candidate
        if self.opening.is_apart and self.portal and candidate.state in _JOINED:
            self.opening.part()
        # What a person gave here was right.
        is_given = self.portal and candidate.state in _JOINED
        if candidate.state == "trying":
            if self._try():
                return False
        elif not missing and (is_given or not self._is_due(missing)):
            from firmware.board import wifi

            self.opening.is_joining = True
            try:
                wifi.join(config, self.board, trouble)
                self._note_joined()
                return True
            except FirstbootError as error:
                if self.portal or self.opening.is_apart:
                    candidate.tell(error.reason, str(error))
                if not self.portal:
                    raise
            finally:
                self.opening.is_joining = False
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
        if self.portal and self.opening.is_apart:
            # Whoever comes back finds it.
            ms = max(ms, RETURNS)
        end = ticks_add(board.ticks(), ms)
        while ticks_diff(end, board.ticks()) > 0 and self.candidate.state != "trying":
            if not self.portal and (self.opening.is_wanted or self._is_late()):
                return
            if self.portal:
                self.opening.look_after()
            board.sleep(_POLL)

    def tell(self, trouble=None):
        """Let the page say that the board asks ThingsBoard, or what has come of that."""
        if trouble is None and self.candidate.state != "trying":
            self.candidate.tell("provisioning")
        elif trouble and self.candidate.state in _JOINED:
            state = "refused" if trouble.state == "refused" else "no answer"
            self.candidate.tell(state, str(trouble))
            if not (self.portal or self.opening.is_apart or self.opening.was_closed):
                self.opening.is_wanted = bool(self.candidate.asked)
        if trouble and not self.portal and self.opening.is_apart and self.opening.come_back():
            # Where it did not join again, whoever is there may give another one.
            self.opening.is_wanted = self.candidate.state not in _JOINED

    def finish(self, name):
        """Let the page say that the board is provisioned, and as what."""
        self.candidate.name = name
        self.candidate.tell("provisioned")
        self.opening.tell_end()

    def close(self):
        """End all of it, and give the console back."""
        if self.improv:
            # It has told who is at the cable by then.
            self.board.sleep(_POLL)
            self.improv.close()
            self.improv = None
        self.opening.close()
        if self._button:
            self._button.close()
        self.board.background.remove(self._background)

    def _begin(self, config, missing):
        self.opening.config = config
        self.candidate.ask(missing)
        if not self.improv:
            from firmware.onboarding.improv import Improv, page_of

            name = config["provisioning"]["deviceName"] or "firstboot-" + self.board.id[-6:]
            board, url = self.board, page_of(config["server"] or "")
            networks = self.opening.networks
            self.improv = Improv(board, self.candidate, networks, name, url, self.opening.close)
            # What looks for Ctrl-C until Improv does.
            del board.background[: board.background.index(self._background)]

    def _want(self):
        self.opening.is_wanted = True

    def _note_joined(self):
        if not self._has_joined:
            self._has_joined = True
            note_joined(self.board, self.candidate.given)

    def _is_late(self):
        """Return whether the Wi-Fi of config.json was never joined, for too long now."""
        passed = ticks_diff(self.board.ticks(), self._began)
        return passed >= _NEVER_JOINED and not (self._has_joined or self.opening.was_closed)

    def _is_due(self, missing):
        opening = self.opening
        return opening.is_wanted or (missing and not opening.was_closed) or self._is_late()

    def _serve(self, missing):
        """Serve until a network is joined, and return as `join`, or None when its time is over."""
        board = self.board
        if not self.portal:
            self.opening.open()
        # Who pressed the button gets time to come, where the Wi-Fi of config.json would do.
        tried = ticks_add(board.ticks(), 2 * _ROUND if self.opening.is_wanted else 0)
        while self.portal:
            if self.candidate.state == "trying":
                if self._try():
                    return False
            else:
                self.opening.look_after()
            if self.portal and not missing and ticks_diff(board.ticks(), tried) >= _ROUND:
                tried = board.ticks()
                if self._try_known():
                    self.opening.close()
                    return True
            board.sleep(_POLL)
        return None

    def _try(self):
        """Try what a person gave; return whether the board has joined with it."""
        # Else whoever gives again and again would keep it open.
        self.opening.end_in_time()
        self.board.sleep(_ANSWERS)
        has_joined = False
        self.opening.is_joining = True
        try:
            has_joined = self.candidate.work()
        except Exception as error:
            # Of whatever class: whoever waits for the page has to hear of it.
            self.candidate.tell("broken", str(unexpected(error)))
        self.opening.is_joining = False
        self._has_joined = self._has_joined or has_joined
        if has_joined:
            self.opening.note_joined()
        else:
            self.board.indicator.show("onboarding", *self.candidate.text.split("\n"))
        return has_joined

    def _try_known(self):
        """Try each network of config.json while nobody is on the page; return whether joined."""
        from firmware.board import wifi

        for network in self.opening.config["networks"]:
            if self.portal.is_used() or self.candidate.state == "trying":
                return False
            if not wifi.join_anew(self.board, network, _SHORT):
                self._note_joined()
                return True
            self.board.indicator.show("onboarding", 'no "%s" yet' % network["ssid"])
        if not self.portal.is_used():
            self.portal.scanned(self.opening.look_around())
        return False

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
