"""The public key that signs updates, as config.json has it: an RSA modulus in base64."""

from binascii import a2b_base64


def modulus(text):
    """Return its bytes, big endian; None for what is no key of 2048 to 4096 bits."""
    try:
        found = a2b_base64(text)
    except ValueError:
        return None
    is_one = 256 <= len(found) <= 512 and found[0] >= 128 and found[-1] & 1
    return found if is_one else None
