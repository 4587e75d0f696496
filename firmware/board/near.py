"""Which key of config.json somebody meant. Imported only when one is not known."""

# What people call keys, besides what they misspell.
_CALLED = """
passphrase=wifi.password psk=wifi.password pwd=wifi.password wpa=wifi.password
essid=wifi.ssid network=wifi.ssid ssidname=wifi.ssid wifiname=wifi.ssid
dhcphostname=wifi.hostname region=wifi.country
address=server broker=server endpoint=server host=server serverurl=server
thingsboard=server uri=server url=server name=provisioning.deviceName
devicekey=provisioning.provisionDeviceKey provisionkey=provisioning.provisionDeviceKey
devicesecret=provisioning.provisionDeviceSecret
provisionsecret=provisioning.provisionDeviceSecret
secret=provisioning.provisionDeviceSecret
"""


def nearest(section, key, known):
    """Return the path of the known key that another one misspells, or None for none.

    Only a key that misspells one may be shown: another one can be a secret in the wrong place.
    `section`: where it stands, such as `wifi.`, or empty. `known`: the paths of those that are.
    """
    plain = _plain(str(key))
    if not plain:
        return None
    best = None
    for path in known:
        own, _, name = path.rpartition(".")
        name = _plain(name)
        allowed = len(name) // 4 + (len(name) == 3)
        distance = 0 if plain == _plain(path) else _distance(plain, name, allowed)
        if distance > allowed and len(plain) > 2 and name.startswith(plain):
            distance = allowed
        # Rather one in the same section.
        order = (distance, own != section[:-1])
        if distance <= allowed and (best is None or order < best[0]):
            best = order, path
    called = _CALLED.replace("\n", " ").partition(" %s=" % plain)[2].split(" ")[0]
    if best and (not called or best[1].startswith(section + plain)):
        return best[1]
    return called or None


def _plain(text):
    for mark in "_-. ":
        text = text.replace(mark, "")
    return text.lower()


def _distance(one, other, most):
    """Return how many letters to add, drop or change make one of the other; above `most`, any."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    row = list(range(len(other) + 1))
    for place in range(len(one)):
        diagonal = row[0]
        row[0] = place + 1
        for column in range(len(other)):
            changed = diagonal + (one[place] != other[column])
            diagonal = row[column + 1]
            row[column + 1] = min(changed, diagonal + 1, row[column] + 1)
    return row[-1]
