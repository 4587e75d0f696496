"""firmware.board.certificate: when a certificate ends."""

from firmware.board.certificate import end

FAR = 253_402_300_799


def der(*times):
    """Something with the Validity of a certificate inside."""
    fields = b""
    for time in times:
        fields += bytes((0x17 if len(time) == 13 else 0x18, len(time))) + time
    return bytes(30) + b"\x17\x0d\x30" + bytes((len(fields),)) + fields + bytes(40)


def test_both_kinds_of_time():
    for times, seconds in (
        ((b"260101000000Z", b"261231235959Z"), 1_798_761_599),
        ((b"260101000000Z", b"491231235959Z"), 2_524_607_999),
        ((b"490101000000Z", b"20500101000000Z"), 2_524_608_000),
        ((b"20500101000000Z", b"20960229120000Z"), 3_981_355_200),
        ((b"700101000000Z", b"700101000001Z"), 1),
        ((b"500101000000Z", b"500101000000Z"), -631_152_000),
        ((b"000101000000Z", b"000301000000Z"), 951_868_800),
    ):
        assert end(der(*times)) == seconds, times


def test_no_end():
    assert end(der(b"260101000000Z", b"99991231235959Z")) == FAR


def test_what_is_no_certificate():
    for content in (
        b"",
        b"\x30",
        bytes(300),
        b"\x30\x1e" * 200,
        bytes(range(256)) * 4,
        der(b"26010100000xZ"),
    ):
        assert end(content) == FAR
    whole = der(b"20260101000000Z", b"20261231235959Z")
    assert end(whole) != FAR
    for size in range(len(whole)):
        assert end(whole[:size]) in (FAR, end(whole)), size
