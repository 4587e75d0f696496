"""The page that people see: made here, whole, for each request. Pure.

It works without JavaScript: a form, and while the board tries, a page that loads itself again. In
Python, so that it is frozen, compiled and installed as all of the firmware is.
"""

from binascii import unhexlify

from micropython import const

from firmware.onboarding.look import ICONS, SCRIPT, STYLE

# In these states of a candidate there is nothing to send.
BUSY = ("trying", "joined", "apart", "provisioning", "provisioned")
# While these last, more is to come; in those of them that wait, a person may do something.
_GOES_ON = ("trying", "joined", "apart", "provisioning", "scanning", "no answer", "refused")
_WAITS = ("no answer", "refused")

_MOST = const(20)  # networks
_STRONG = const(60)  # dB below 0 dBm
_MEDIUM = const(75)

_PAGE = """\
<!doctype html>
<html lang="%s">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>%s</title>
<link rel="icon" href="data:,">
%s<style>"""
_BODY = b"""\
</style>
</head>
<body>
"""
_RELOAD = '<noscript><meta http-equiv="refresh" content="3"></noscript>\n'
_TOP = """\
<main data-state="%s"%s>
<header%s>
%s
<h1>%s</h1>
<p>%s</p>
</header>
<p class="bad lost" role="status" hidden>%s</p>
"""
_NETWORK = """\
<label class="net"><input type="radio" name="network" value="%s"%s>
<bdi>%s</bdi>%s</label>
"""
_FORM = """\
<form method="post" action="/">
<input type="hidden" name="token" value="%s">
<div class="card">
<fieldset>
<legend>%s</legend>
"""
_ASKED = """\
</div>
<div class="card">
<fieldset>
<legend>%s</legend>
"""
_KEPT = '<p class="soft">%s</p>\n'
_BUTTONS = """\
</div>
<button class="go">%s</button>
<button name="scan" value="1" formnovalidate>%s</button>
</form>
<p class="soft">%s</p>
"""
_SHOW = (
    '<button type="button" class="show" aria-pressed="false" data-hide="%s" data-show="%s" hidden>'
    "%s</button>"
)
_FIELD = """\
<div class="field%s">
<label for="%s">%s</label>
<div class="in"><input id="%s" name="%s" %s>%s</div>
%s</div>
"""
# How phones show the keyboard for each, and what they keep out of it.
_PLAIN = 'autocapitalize="none" autocorrect="off" spellcheck="false" autocomplete="off"'
_INPUTS = {
    "ssid": 'maxlength="32" ' + _PLAIN,
    "password": 'type="password" minlength="8" maxlength="64" autocomplete="current-password"'
    ' autocapitalize="none" autocorrect="off" spellcheck="false" enterkeyhint="go"',
    "server": 'maxlength="255" inputmode="url" ' + _PLAIN,
    "deviceName": 'maxlength="255" ' + _PLAIN,
    "provisionDeviceKey": 'maxlength="255" ' + _PLAIN,
    "provisionDeviceSecret": 'maxlength="255" type="password" ' + _PLAIN,
}


def language(accepted):
    """Return the language of the page for an Accept-Language: the first of them that it has."""
    for each in accepted.split(","):
        if each.strip()[:2] == "de":
            return "de"
        if each.strip()[:2] == "en":
            break
    return "en"


def name_of(value):
    """Return the name of the network that a form's value stands for, None for none."""
    try:
        return unhexlify(value) or None
    except ValueError:
        return None


def render(portal, language, state=None):
    """Yield the page, in bytes. `portal`: see firmware.onboarding.portal.

    `state`: what is to be said in place of the candidate's: "too long", "outdated" or "broken".
    """
    if language == "de":
        from firmware.onboarding.text_de import TEXTS
    else:
        from firmware.onboarding.text_en import TEXTS
    candidate = portal.candidate
    if not state:
        state = candidate.state
        if portal.wants_scan and state not in BUSY:
            state = "scanning"
    is_done = state == "provisioned"
    is_busy = state in _GOES_ON and state not in _WAITS
    # While the board is away a browser without JavaScript would lose what it shows.
    reload = _RELOAD if is_busy and state != "apart" else ""
    yield (_PAGE % (language, TEXTS["title"], reload)).encode()
    yield STYLE
    yield _BODY
    about = candidate.name if is_done else candidate.ssid
    about = "<bdi>%s</bdi>" % escape(shown(about)) if about else TEXTS["Wi-Fi"]
    is_bad = not (is_busy or is_done or state == "idle")
    attributes = ""
    if is_busy or is_done:
        attributes = ' class="alone%s"' % (" done" if is_done else "")
    if state in _GOES_ON:
        attributes += ' data-again="%d"' % (2 if is_busy else 5)
    yield (
        _TOP
        % (
            state,
            attributes,
            ' class="bad"' if is_bad else "",
            ICONS["done" if is_done else "busy" if is_busy else "bad" if is_bad else "Wi-Fi"],
            _filled(TEXTS[state], about),
            _filled(TEXTS[state + "?"], about),
            _filled(TEXTS["lost"], escape(portal.ssid)),
        )
    ).encode()
    if not (is_busy or is_done):
        yield from _form(portal, TEXTS)
    yield b"</main>\n<script>"
    yield SCRIPT
    yield b"</script>\n</body>\n</html>\n"


def _form(portal, texts):
    candidate = portal.candidate
    # Where the board has joined it, it need not be given again.
    chosen = None if candidate.state in _WAITS else portal.chosen
    yield (_FORM % (portal.token, texts["networks"])).encode()
    required = " required" if candidate.lacks_wifi else ""
    names = []
    for weaker, name, security in portal.networks:
        # Hidden ones have no name, or one of zeros.
        if name in names or not name.strip(b"\0") or len(names) == _MOST:
            continue
        names.append(name)
        attributes = required + ("" if security else " data-open")
        if name == chosen:
            attributes += " checked"
        strength = 3 if weaker <= _STRONG else 2 if weaker <= _MEDIUM else 1
        about = "%s, %s" % (texts["secured" if security else "open"], texts["signal"][strength - 1])
        icons = (ICONS["lock"] if security else "") + ICONS["signal"] % strength
        icons += '<span class="vh">, %s</span>' % about
        yield (_NETWORK % (name.hex(), attributes, escape(shown(name)), icons)).encode()
    is_other = chosen and chosen not in names
    attributes = required + (" checked" if is_other or not names else "")
    yield (_NETWORK % ("other", attributes, texts["other"], "")).encode()
    value = ' value="%s"' % escape(shown(chosen)) if is_other else ""
    yield _field("ssid", texts, portal.wrong, value, kind=" other")
    button = _SHOW % (texts["hide"], texts["show"], texts["show"])
    yield b"</fieldset>\n"
    yield _field("password", texts, portal.wrong, "", button, " pw")
    if candidate.asked:
        yield (_ASKED % texts["asked"]).encode()
        required = " required" if candidate.lacks_server else ""
        if not required:
            yield (_KEPT % texts["kept"]).encode()
        for key in candidate.asked:
            value = required
            if required and key == "deviceName":
                value += ' value="device-%s"' % portal.board.id[-6:]
            yield _field(key, texts, portal.wrong, value)
        yield b"</fieldset>\n"
    yield (_BUTTONS % (texts["connect"], texts["again"], texts["private"])).encode()


def _field(key, texts, wrong, value="", button="", kind=""):
    """Return an input with its label, its hint, and what is wrong with it if something is."""
    hint = '<small id="%s-hint">%s</small>\n' % (key, texts[key + "?"])
    described = ' aria-describedby="%s-hint"' % key
    if key in wrong:
        hint = '<p class="why" id="%s-hint">%s</p>\n' % (key, texts[key + "!"])
        described += ' aria-invalid="true"'
    attributes = _INPUTS[key] + value + described
    return (_FIELD % (kind, key, texts[key], key, key, attributes, button, hint)).encode()


def _filled(text, about):
    return text % about if "%s" in text else text


def shown(name):
    """Return the text of a name; of bytes that are no UTF-8, or steer the screen, an escape."""
    text = name
    if not isinstance(name, str):
        try:
            text = name.decode()
        except ValueError:
            return repr(name)[2:-1]
    letters = []
    for letter in text:
        code = ord(letter)
        is_control = code < 32 or 127 <= code < 160 or 0x202A <= code <= 0x202E
        # Half a letter, which MicroPython takes for one.
        is_control = is_control or 0xD800 <= code <= 0xDFFF
        letters.append("\\x%02x" % code if is_control else letter)
    return "".join(letters)


def escape(text):
    """Return a text as it stands in HTML, in quotes, too."""
    for letter, name in (("&", "amp"), ("<", "lt"), (">", "gt"), ('"', "quot"), ("'", "#39")):
        text = text.replace(letter, "&%s;" % name)
    return text
