"""What of README's messages updates over the air have, each with its cause, for test_causes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from firmware.update.errors import UpdateError
from host_tests.firmware import test_update_ends, updates
from host_tests.firmware.at_work import credentials
from host_tests.firmware.ota import Installation, Site
from host_tests.firmware.updates import TITLE
from tools.bundle import format, keys

FILES = {"app.py": b"def run(credentials): pass\n" * 100}


@cache
def key(whose: str) -> RSAPrivateKey:
    """The key with which somebody signs."""
    return keys.generated()


def refused(content: bytes, **settings) -> str:
    """What a board says that is to take a bundle."""
    return raised(updates.Site(**settings).update, content)


def raised(call: Callable, *arguments) -> str:
    try:
        call(*arguments)
    except UpdateError as error:
        return str(error)
    raise AssertionError("it was taken")


def signed_by(key) -> bytes:
    files = tuple(format.File(path, content) for path, content in FILES.items())
    return format.make(format.Bundle(TITLE, "2", files), keys.signer(key))


def of_another_size() -> str:
    site = updates.Site()
    content = updates.bundle(FILES)
    installation = site.install()
    installation.begin(TITLE, "2", len(content) + 1, "checksum")
    return raised(installation.write, content)


def too_long() -> str:
    content = updates.bundle(FILES)
    installation = updates.Site().begin(content)
    installation.write(content)
    return raised(installation.write, b"x")


def too_short() -> str:
    content = updates.bundle(FILES)
    installation = updates.Site().begin(content)
    installation.write(content[:-1])
    return raised(installation.finish)


def damaged() -> str:
    content = updates.bundle(FILES)
    return refused(content[:-1] + b"x")


def on_trial() -> str:
    site = updates.Site()
    site.update(updates.bundle(FILES)).switch()
    site.state.confirm()
    site.update(updates.bundle(FILES, "3"), "3").switch()
    return raised(site.install)


def full() -> str:
    site = updates.Site()
    installation = site.begin(updates.bundle(FILES))
    site.folders.room = 0
    return raised(installation.write, updates.bundle(FILES))


def without_room() -> str:
    site = updates.Site()
    site.folders.room = 0
    return raised(site.begin, updates.bundle(FILES))


def assigned(values: dict | None = None, given=None, codes=(), **how) -> str:
    """What the console of a board says that is assigned a package."""
    site = Site(given, config={"spread": 1})
    site.run(5_000)
    if values:
        site.set(values)
    else:
        site.assign(**how)
    site.packages.codes = list(codes)
    site.run(120_000)
    return "\n".join(site.world.texts())


def ends(name: str) -> str:
    """What the console says of a package that is not as its attributes say."""
    ((serve, *_),) = [row[1:] for row in test_update_ends.FAILS if row[0] == name]
    site = test_update_ends.start()
    serve(site)
    site.run(10 * 60_000)
    return "\n".join(site.world.texts())


def without_memory() -> str:
    with patch.object(Installation, "refusal", MemoryError()):
        return assigned()


CAUSES = {
    "a bundle without a signature": (
        {"the bundle is not signed"},
        lambda: refused(updates.bundle(FILES), key=keys.modulus(key("ours"))),
    ),
    "a bundle of somebody else's": (
        {"signature is not of the key"},
        lambda: refused(signed_by(key("another's")), key=keys.modulus(key("ours"))),
    ),
    "a title that ThingsBoard has not": (
        {"ThingsBoard calls it"},
        lambda: refused(updates.bundle(FILES, title="other")),
    ),
    "a size that ThingsBoard has not": ({"ThingsBoard says … bytes, but"}, of_another_size),
    "a bundle for another board": (
        {"is for …, and this board is an"},
        lambda: refused(updates.bundle(FILES, boards="esp8266")),
    ),
    "a bundle for a newer MicroPython": (
        {"needs MicroPython"},
        lambda: refused(updates.bundle(FILES, micropython="99.0")),
    ),
    "a bundle for a newer firmware": (
        {"needs firstboot"},
        lambda: refused(updates.bundle(FILES, firmware="99.0.0")),
    ),
    "a bundle without an application": (
        {"nor an app.mpy that"},
        lambda: refused(updates.bundle({"x": b""})),
    ),
    "a path that leaves its place": (
        {"does not belong into a slot"},
        lambda: refused(updates.bundle({"app.py": b"", "config.json": b""})),
    ),
    "something else than a bundle": (
        {"is no bundle that this firmware reads"},
        lambda: refused(b"PK\3\4\n\n"),
    ),
    "a package that goes on": ({"the package is longer than"}, too_long),
    "a package that ends": ({"what was downloaded is not"}, too_short),
    "a package with another byte": ({"what was downloaded is not"}, damaged),
    "an update in a trial": ({"is on trial, and the one before"}, on_trial),
    "a flash that fills": ({"the update cannot be written"}, full),
    "a flash that is full": ({"there is no room for the update"}, without_room),
    "a heap that is full": ({"not enough memory to take the update"}, without_memory),
    "a package elsewhere": (
        {"not in ThingsBoard, but at a URL"},
        lambda: assigned({"sw_title": "app", "sw_version": "1", "sw_url": "https://example.com/x"}),
    ),
    "a package for a certificate": (
        {"gives packages to access tokens alone"},
        lambda: assigned(given=credentials("X509_CERTIFICATE", "MIIB")),
    ),
    "a package that is not served": (
        {"when it was asked for the package"},
        lambda: ends("4.00"),
    ),
    "a package that is not there": (
        {"has no package for this device"},
        lambda: ends("4.04"),
    ),
    "a package of another size": (
        {"serves a package of"},
        lambda: ends("shorter"),
    ),
    "a package that ends in a block": (
        {"a chunk of"},
        lambda: ends("its second block is the last"),
    ),
    "a package whose second block never comes": (
        {"the package's first bytes, and none"},
        lambda: ends("blocks but the first are silence"),
    ),
    "half an assignment": ({"assigns a package, but no"}, lambda: ends("no size")),
    "a checksum that is none": (
        {"ThingsBoard's checksum of the package"},
        lambda: ends("a checksum of letters"),
    ),
    "a checksum that is not right": (
        {"do not have the"},
        lambda: assigned(checksum="00" * 32),
    ),
    "a checksum that no board has": (
        {"is not checked, but the bundle's own"},
        lambda: assigned(algorithm="CRC64"),
    ),
}
