"""What fits its key in config.json and yet provisions no board, or not as it is meant.

Before a board is provisioned that is refused. One that is provisioned says it and goes on.
"""

from firmware.coap.uri import doubt

# Of each chip the pins that something else needs, as `,pin,pin,`.
_CONSOLE = "carries the console"
_FLASH = "leads to the flash"
_RADIO = 'leads to the radio; the LED of a Pico W is "LED"'
_TAKEN = (
    ("ESP32", ",1,3,", _CONSOLE),
    ("ESP32", ",6,7,8,9,10,11,", _FLASH),
    ("ESP32S3", ",27,28,29,30,31,32,", _FLASH),
    ("ESP32C3", ",12,13,14,15,16,17,", _FLASH),
    ("RP2040", ",23,24,25,29,", _RADIO),
    ("RP2350", ",23,24,25,29,", _RADIO),
)
# Of an ESP32; they have no pull-up either.
_READ_ONLY = ",34,35,36,37,38,39,"


def all_doubts(content, config, chip):
    """Return what is doubtful in the bytes of a config.json, a line each; see `doubts`."""
    from firmware.board.strict_json import mistake_in

    problems = doubts(config, config["networks"], chip)
    mistake = mistake_in(content)
    if mistake:
        from firmware.board.json_mistakes import explain

        problems.append("config.json is no JSON: %s" % explain(content, *mistake))
    return problems


def doubts(config, networks, chip):
    """Return what is doubtful in a configuration, a line each.

    `config`: what firmware.board.config.check makes of it, its values of whatever type. `chip`:
    the board's, such as "ESP32", for the pins.
    """
    problems = []
    request = config["provisioning"]
    why = config["server"] and doubt(str(config["server"]))
    if why:
        problems.append("`server`: %s" % why)
    elif config["server"] is None:
        for key in ("provisionDeviceSecret", "token", "password"):
            if request[key]:
                problems.append(
                    "`server` is missing, and `provisioning.%s` is not: who names the server would"
                    " be told it" % key
                )
    if config["onboarding"] and config["onboarding_password"] is None:
        problems.append(
            "`onboarding_password` is missing; `python3 -m tools flash` draws one for each board,"
            ' and "" lets anybody near the board in'
        )
    if config["onboarding_pin"] is not None and not config["onboarding"]:
        problems.append("`onboarding_pin` opens nothing while `onboarding` is false")
    for key in ("deviceName", "token", "clientId", "username"):
        if "{id}" in str(request[key]).lower():
            problems.append("`provisioning.%s` has `{ID}` in it; did you mean `{id}`?" % key)
    token = str(request["token"])
    if token in (".", "..") or len(token.encode()) > 255:
        problems.append(
            "`provisioning.token` cannot stand in a path, which ThingsBoard wants it in"
        )
    if request["credentialsType"] == "MQTT_BASIC" and not (
        request["clientId"] or request["username"] or request["password"]
    ):
        # Without one ThingsBoard would give an access token of its own; X509_CERTIFICATE the same.
        problems.append(
            "`provisioning.clientId` is missing; for MQTT_BASIC it, `username` or `password`"
            " belongs there"
        )
    if request["credentialsType"] == "X509_CERTIFICATE" and not (
        request["hash"] or config["certificate"]
    ):
        problems.append(
            "`provisioning.hash` is missing; for X509_CERTIFICATE it, or over coaps `certificate`,"
            " belongs there"
        )
    for wifi in networks:
        if wifi["ssid"] and wifi["ssid_hex"]:
            problems.append("`wifi.ssid` and `wifi.ssid_hex` are both there; one names the network")
        password = str(wifi["password"])
        if len(password) == 64 and password.strip("0123456789abcdefABCDEF"):
            problems.append(
                "`wifi.password` is a string of 64 characters; then all have to be hex digits"
            )
    for key in ("led", "onboarding_pin"):
        pin = str(config[key]).lstrip("GPIO")
        for name, pins, why in _TAKEN:
            if name == chip and ",%s," % pin in pins:
                problems.append("`%s` is a pin that %s" % (key, why))
    if chip == "ESP32" and ",%s," % config["led"] in _READ_ONLY:
        problems.append("`led` is a pin that can only be read")
    if config["onboarding_pin"] is not None and config["onboarding_pin"] == config["led"]:
        problems.append("`onboarding_pin` and `led` are the same pin")
    return problems
