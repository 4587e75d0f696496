"""The name that a board gives itself in its network."""


def hostname(name):
    """Return a deviceName made fit for DNS: letters, digits and inner hyphens, at most 32."""
    fit = bytearray()
    # Bytes, since MicroPython keeps each letter that it looks at.
    for byte in name.encode():
        if byte < 128:
            is_fit = 48 <= byte < 58 or 65 <= byte & ~32 <= 90
            fit.append(byte if is_fit else 45)
    return fit.decode()[:32].strip("-") or "firstboot"
