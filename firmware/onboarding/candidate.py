"""What a person gave, tried: it is in config.json only after the board has joined with it.

config.json is replaced whole, as credentials.json is: temporary file, close, rename, read back.
What never joined was never there, so that what was there before needs no way back.
"""

import json

from micropython import const

from firmware.errors import FirstbootError

# s; how long a wrong guess takes. An ESP32 needs up to 10 s for what is right.
_PATIENCE = const(20)

_HEX_DIGITS = "0123456789abcdefABCDEF"

# What a person can give besides `ssid` and `password`, each with its kind in firmware.board.config.
SERVER = (
    ("server", "uri"),
    ("deviceName", "name"),
    ("provisionDeviceKey", "secret"),
    ("provisionDeviceSecret", "secret"),
)


class Candidate:
    """Settings that are tried, one after the other. Nothing of a password or secret comes back.

    `state`: "idle", "does not fit", "trying"; then why the board did not join: "wrong password",
    "not in range", "security", "too weak", "no address", "not joined"; or "not saved", or "joined".
    After that firmware.onboarding.story sets "apart", "provisioning", "no answer", "refused" or
    "provisioned", or "broken" at any time. `text`: the same for people, in English. `ssid`: the
    network that it is about, None for none. `asked`: which keys of SERVER a person has to give, or
    may correct: those that config.json lacks, and those that a person gave. `lacks_wifi`,
    `lacks_server`: whether config.json names no network, and lacks one of `asked`. `given`: those
    that a person gave, in an earlier power-up too. `name`: the deviceName once provisioned.
    """

    state = "idle"
    text = ""
    ssid = name = None
    lacks_wifi = lacks_server = False
    asked = ()
    _offered = None

    def __init__(self, board, provisioned=False, given=()):
        self.board = board
        self.provisioned = provisioned
        self.given = given

    def ask(self, missing):
        """Ask for what is missing: the paths that firmware.board.config.load says."""
        self.lacks_wifi = "wifi.ssid" in missing
        keys = [path.split(".")[-1] for path in missing]
        self.lacks_server = False
        self.asked = []
        for key, _ in SERVER:
            is_missing = key in keys
            self.lacks_server = self.lacks_server or is_missing
            if is_missing or key in self.given:
                self.asked.append(key)

    def tell(self, state, text=""):
        """Be in a state that somebody else knows of."""
        self.state = state
        self.text = text

    def offer(self, settings):
        """Take settings to be tried; return the keys of those that do not fit, or are missing.

        `settings`: `ssid` (a string, or bytes for what is no UTF-8), `password`, and what `asked`
        names; None or "" is missing, and so is a key of its own. Without `ssid` the network of
        config.json stays, and without any of `asked` what it has of them, unless `lacks_server`.
        Raises FirstbootError when config.json cannot be read, or while others are tried.
        """
        # Here and below, since modules of a step are given back while this one stays.
        from firmware.board import config as configuration

        if self.state == "trying":
            raise FirstbootError("other settings are being tried")
        ssid = settings.get("ssid") or None
        password = settings.get("password") or ""
        wrong = []
        if ssid is None:
            if self.lacks_wifi or password:
                wrong.append("ssid")
        elif not 1 <= len(_in_bytes(ssid)) <= 32:
            wrong.append("ssid")
        if password and not _is_password(password):
            wrong.append("password")
        given = {}
        # All of it or nothing, so that no secret of config.json goes to another server.
        is_given = self.lacks_server or any(map(settings.get, self.asked))
        for key, kind in SERVER:
            if is_given and key in self.asked:
                given[key] = (settings.get(key) or "").strip()
                if not configuration.fits(kind, given[key]):
                    wrong.append(key)
        if not (wrong or ssid or given):
            wrong.append("ssid")
        if wrong:
            self.tell("does not fit")
            return wrong
        content = self._content(ssid, password, given)
        try:
            checked = configuration.check(content, self.board.id, self.provisioned, self.board.chip)
        except FirstbootError as error:
            # What only the whole shows, such as a doubtful server.
            wrong = [key for key, _ in SERVER if key in given and key in error.what]
            if not wrong and "server" not in given:
                raise
            # Of one over coaps only what it lacks is named.
            wrong = wrong or ["server"]
            self.tell("does not fit")
            return wrong
        self._offered = content, checked["networks"], ssid is not None, list(given)
        self.ssid = ssid
        self.tell("trying")
        return []

    def work(self):
        """Try what was offered, for up to 20 s; return whether it is in config.json now.

        board.idle is called meanwhile, and serves who asks for `state`.
        """
        from firmware.board import wifi
        from firmware.board.config import PATH
        from firmware.onboarding.remembered import remember

        content, networks, is_new, given = self._offered
        self._offered = None
        board = self.board
        error = None
        if is_new:
            # As after power-up: a Pico W's radio takes a wrong password after a right one.
            board.radio["failed"] = 1
            board.radio["wedged"] = 0
            error = wifi.join_anew(board, networks[0], _PATIENCE)
        else:
            try:
                wifi.join({"networks": networks}, board)
            except FirstbootError as raised:
                error = raised
        if error:
            board.radio["wedged"] = 0
            self.tell(error.reason, str(error))
            return False
        given = given or self.given
        try:
            # First, since it is about nothing until config.json is that one.
            remember(board, given, content)
            board.storage.save(PATH, content)
        except FirstbootError as error:
            self.tell("not saved", str(error))
            return False
        self.given = given
        self.ask(())
        self.tell("joined", 'joined "%s"' % networks[0]["ssid"])
        return True

    def _content(self, ssid, password, given):
        """Return the bytes of config.json with these settings in it."""
        from firmware.board.config import PATH, parse

        settings = parse(self.board.storage.read(PATH))
        if ssid is not None:
            network = _named(_in_bytes(ssid))
            if password:
                network["password"] = password
            others = settings.get("wifi")
            if isinstance(others, list):
                others = [each for each in others if _differs(each, network)]
                settings["wifi"] = [network] + others[:7]
            else:
                for key in ("country", "hostname"):
                    if key in (others or {}):
                        network[key] = others[key]
                settings["wifi"] = network
        provisioning = settings.setdefault("provisioning", {})
        for key in given:
            (settings if key == "server" else provisioning)[key] = given[key]
        return json.dumps(settings).encode()


def _is_password(text):
    from firmware.board.config import fits

    # Of 64 characters it is the key itself.
    return fits("psk", text) and not (len(text) == 64 and text.strip(_HEX_DIGITS))


def _in_bytes(ssid):
    return ssid.encode() if isinstance(ssid, str) else ssid


def _named(name):
    """Return a network of this name, as config.json has it: a text only if it is one to show."""
    from firmware.board.strict_json import mistake_in

    try:
        text = name.decode()
        content = json.dumps({"ssid": text}).encode()
        if not (mistake_in(content) or b"\\u" in content or _has_control(text)):
            return {"ssid": text}
    except ValueError:
        pass
    return {"ssid_hex": name.hex()}


def _has_control(text):
    for letter in text:
        if ord(letter) < 32 or 127 <= ord(letter) < 160:
            return True
    return False


def _differs(network, other):
    """Return whether two networks of config.json have different names."""
    for key in ("ssid", "ssid_hex"):
        if network.get(key) != other.get(key):
            return True
    return False
