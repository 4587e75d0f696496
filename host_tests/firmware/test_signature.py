"""firmware.update.admission: what the key in config.json signed, and nothing else."""

from binascii import a2b_base64, b2a_base64
from hashlib import sha256

from firmware.board.modulus import modulus
from firmware.update.admission import check_signature, is_signed
from firmware.update.errors import UpdateError
from host_tests.firmware.helpers import raises
from host_tests.firmware.updates import Site, bundle

# Made by `cryptography`; nobody has the private key.
KEY = (
    "v6ECxV8jvlhfwBfK88WCsmljyf41vmvWOeDiqfj6cUeIZAKbFHGt2zoXrUu8zclFOD1jrMlCzJ2Co0L8a46Wcg3l"
    "psHxOyasfqsYD7iErY8rGDesNHrwJpLiYTuvQQDspWhpb9r1PT9ryJRlJ56REQ/6rnAOq4eT07t5etO7QziILTuK"
    "cIAUA+EYsy4fQMeNnWYxJu2+rQ46D3c0QBh+zap8EUnES1XHejddT/tN81ClPi+SfvFLaEAQonk/mPJ2DO2VP6pG"
    "OEIhUjvFXPfawEFJElnxjjYFkhshRKdknuoelSh+/jVBXI1zW1tNkMz/Rb6wbFMJRuJiJDVMB7HK7Q=="
)
SIGNATURE = a2b_base64(
    "RYPEVL0kArO8qWjx3ZX0+dJdsFgziPObsoUhEHhbfKwaz5PUmYlcy2V4AUc16l33RA1D22+zbvmylKodGwJrckm/"
    "Pg7xjlfmdm0XaemVOWca+cNfBulPxJ69hq00EEygUdrYwSNGfXjDIFjg3RYumpCi2fzjuK36lIGhwKAChReT3U7q"
    "hFaURjH/whHn0rrTD/nCN63CxD5w1cvcB9dr8E1aSusCjXS6ANt2Gzy/ONw/uGf+dOkqNgdBKONBeBZnZXVG3hVO"
    "Vacnl9Kw8SdKcbxcwzxs3mF4HJ2nZNHxZxT7ARPMrmggjsXFU0TaPhoqoxUP5rpEm5aZXKxN+Q9QkA=="
)
SIGNED = sha256(b"a bundle's manifest\n").digest()


def numbered(signature):
    """Return a signature as firmware.update.manifest reads it."""
    return int.from_bytes(signature, "big"), len(signature)


def text(key):
    """Return the bytes of a key as config.json has them."""
    return b2a_base64(key).decode().strip()


def test_what_was_signed():
    assert is_signed(KEY, numbered(SIGNATURE), SIGNED)
    check_signature(KEY, numbered(SIGNATURE), SIGNED)


def test_what_was_not():
    key = modulus(KEY)
    number = int.from_bytes(SIGNATURE, "big")
    larger = (number + int.from_bytes(key, "big")).to_bytes(257, "big")
    for signature in (
        b"",
        b"\0" * 256,
        b"\xff" * 256,
        key,
        SIGNATURE[:-1],
        SIGNATURE[1:],
        b"\0" + SIGNATURE,
        SIGNATURE + b"\0",
        larger,
        larger[1:],
        SIGNATURE[:-1] + bytes((SIGNATURE[-1] ^ 1,)),
        (1).to_bytes(256, "big"),
    ):
        assert not is_signed(KEY, numbered(signature), SIGNED)
    assert not is_signed(KEY, numbered(SIGNATURE), sha256(b"").digest())
    other = key[:-1] + bytes((key[-1] ^ 2,))
    assert not is_signed(text(other), numbered(SIGNATURE), SIGNED)


def test_a_key_that_is_none():
    for found in (
        b"",
        b"\x80" + b"\1" * 254,
        b"\x7f" + b"\1" * 255,
        b"\x80" + b"\1" * 254 + b"\2",
        b"\x80" + b"\1" * 512,
    ):
        assert modulus(text(found)) is None
    assert modulus("a") is None


def test_a_board_with_a_key_takes_nothing_unsigned_or_of_another_key():
    wrong = b2a_base64(SIGNATURE).strip()
    for sign, what in ((None, "is not signed"), (lambda head: wrong, "not of the key")):
        site = Site(key=KEY)
        error = raises(UpdateError, site.update, bundle({"app.py": b""}, sign=sign))
        assert what in error.what and error.fix and not error.may_pass
        assert list(site.folders.files) == [""]


def test_a_board_without_a_key_takes_what_is_signed():
    Site().update(bundle({"app.py": b""}, sign=lambda head: b2a_base64(SIGNATURE).strip()))
