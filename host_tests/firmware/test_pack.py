"""A folder of files in one file, read as a file system."""

import io

from firmware.update.pack import Pack

FILES = {
    "aio.mpy": b"M\6one",
    "coap/udp.mpy": b"M\6two\n",
    "coap/deep/x.mpy": b"",
    "retry.mpy": b"M",
}
# As `bundle` makes it.
PACK = (
    b"35\n"
    b"\n 12 28\ncoap 40 13\ncoap/deep 53 11\n"
    b"M\6oneM\6two\nM"
    b"\naio.mpy 0 5\nretry.mpy 11 1\n"
    b"\nudp.mpy 5 6\n"
    b"\nx.mpy 5 0\n"
)


def pack():
    return Pack(io.BytesIO(PACK))


def error_of(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return error.args[0]
    raise AssertionError("nothing was raised")


def read(opened, size):
    read = b""
    buffer = bytearray(size)
    while True:
        count = opened.readinto(buffer)
        if not count:
            return read
        read += buffer[:count]


def test_what_is_in_it_is_read():
    made = pack()
    for path, content in FILES.items():
        for size in (1, 4, 300):
            assert read(made.open("/" + path, "rb"), size) == content
        assert made.stat("/" + path)[0] == 0x8000
        assert made.stat("/" + path)[6] == len(content)


def test_files_that_are_open_together_do_not_mix():
    made = pack()
    one, two = made.open("/aio.mpy", "rb"), made.open("/coap/udp.mpy", "r")
    buffer = bytearray(3)
    assert one.readinto(buffer) == 3 and buffer == b"M\6o"
    assert read(two, 2) == FILES["coap/udp.mpy"]
    assert read(one, 2) == b"ne"


def test_folders_are_folders():
    made = pack()
    for path in ("/", "/coap", "/coap/deep"):
        assert made.stat(path)[0] == 0x4000
    assert [each[0] for each in made.ilistdir("/")] == ["coap", "aio.mpy", "retry.mpy"]
    assert list(made.ilistdir("/coap")) == [("deep", 0x4000, 0), ("udp.mpy", 0x8000, 0, 6)]
    assert [each[0] for each in made.ilistdir("/coap/deep")] == ["x.mpy"]


def test_what_is_not_there_and_what_it_cannot():
    made = pack()
    for path in ("/aio", "/io.mpy", "/aio.mp", "/coap/udp.py", "/deep", "/x.mpy"):
        assert error_of(made.stat, path) == 2
        assert error_of(made.open, path, "rb") == 2
    for path in ("/deep", "/aio.mpy", "/coap/udp.mpy"):
        assert error_of(lambda path: list(made.ilistdir(path)), path) == 2
    for mode in ("w", "ab", "r+"):
        assert error_of(made.open, "/aio.mpy", mode) == 30


def test_another_file_is_no_pack():
    for content in (b"15\n\naio.mpy 0 5\n\nM\6one", b"2\n\n\n", b"", b"M\6"):
        try:
            Pack(io.BytesIO(content))
        except ValueError:
            continue
        raise AssertionError(content)


def test_micropython_reads_a_module_in_few_steps():
    opened = pack().open("/aio.mpy", "rb")
    assert opened.ioctl(11, 0) >= 128 and opened.ioctl(4, 0) == 0
