"""A folder of files in one file, read as a file system."""

import io

from firmware.update.pack import Pack

FILES = {
    "aio.mpy": b"M\6one",
    "coap/udp.mpy": b"M\6two\n",
    "coap/deep/x.mpy": b"",
    "retry.mpy": b"M",
}


def pack():
    """A Pack as `bundle` makes it, after something else in the file's place."""
    index = b"\n"
    at = 0
    contents = b""
    for path in sorted(FILES):
        index += b"%s %d %d\n" % (path.encode(), at, len(FILES[path]))
        at += len(FILES[path])
        contents += FILES[path]
    return Pack(io.BytesIO(b"%d\n" % len(index) + index + contents))


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
    assert [each[0] for each in made.ilistdir("/")] == ["aio.mpy", "coap", "retry.mpy"]
    assert list(made.ilistdir("/coap")) == [("deep", 0x4000, 0), ("udp.mpy", 0x8000, 0, 6)]


def test_what_is_not_there_and_what_it_cannot():
    made = pack()
    for path in ("/aio", "/io.mpy", "/aio.mp", "/coap/udp.py", "/deep", "/x.mpy"):
        assert error_of(made.stat, path) == 2
        assert error_of(made.open, path, "rb") == 2
    for mode in ("w", "ab", "r+"):
        assert error_of(made.open, "/aio.mpy", mode) == 30


def test_micropython_reads_a_module_in_few_steps():
    opened = pack().open("/aio.mpy", "rb")
    assert opened.ioctl(11, 0) >= 128 and opened.ioctl(4, 0) == 0
