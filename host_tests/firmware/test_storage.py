"""firmware.board.storage: whatever fails, whenever the power goes: the old content or the new."""

from firmware.board.failure import set_aside
from firmware.board.storage import Storage
from firmware.errors import FirstbootError
from host_tests.firmware.helpers import raises
from host_tests.firmware.world import EIO, ENOENT, ENOSPC, EROFS, Flash, PowerCut

PATH = "/file.json"
OLD = b'{"old": 1}'
NEW = b'{"new": 2}'


def made(content=OLD):
    """Return (Storage, Flash) with a file that has this content, or with none."""
    flash = Flash()
    if content is not None:
        flash.files[PATH] = content
    return Storage("", flash.open, flash), flash


def operations_of_a_save():
    storage, flash = made()
    storage.save(PATH, NEW)
    return flash.operations


def test_save_and_read():
    for before in (None, OLD, b""):
        storage, flash = made(before)
        assert storage.read(PATH) == before
        storage.save(PATH, NEW)
        assert storage.read(PATH) == NEW
        assert flash.files == {PATH: NEW}


def test_the_order_of_a_save():
    """Temporary file, close, read back, rename, read back."""
    names = [operation for operation, _ in operations_of_a_save()]
    assert names == ["open", "write", "close", "open", "read", "rename", "open", "read"]


def test_a_power_cut_at_each_operation():
    for before in (None, OLD):
        for cut_at in range(len(operations_of_a_save())):
            storage, flash = made(before)
            flash.cut_at = cut_at
            raises(PowerCut, storage.save, PATH, NEW)
            flash.begin()
            assert flash.files.get(PATH) in (before, NEW), cut_at
            storage.save(PATH, NEW)
            assert flash.files == {PATH: NEW}


def test_a_failure_of_each_operation():
    for before in (None, OLD):
        for number in (ENOSPC, EROFS, EIO):
            for fail_at in range(len(operations_of_a_save())):
                storage, flash = made(before)
                flash.fail_at = fail_at
                flash.error = number
                error = raises(FirstbootError, storage.save, PATH, NEW)
                assert PATH in error.what and error.fix
                assert flash.files.get(PATH) in (before, NEW)
                if fail_at < 6:
                    assert flash.files.get(PATH) == before
                flash.begin()
                storage.save(PATH, NEW)
                assert flash.files[PATH] == NEW


def test_a_full_flash_is_left_as_it_was():
    storage, flash = made()
    flash.fail_at = 1
    error = raises(FirstbootError, storage.save, PATH, NEW)
    assert flash.files == {PATH: OLD}
    assert "Free space" in error.fix


def test_what_reads_back_differently_does_not_take_the_place_of_the_old():
    storage, flash = made()
    flash.corrupt = 1
    error = raises(FirstbootError, storage.save, PATH, NEW)
    assert "reads back differently" in error.what
    assert flash.files == {PATH: OLD}


def test_what_reads_back_differently_after_the_rename():
    storage, flash = made()
    rename = flash.rename

    def corrupting(old, new):
        rename(old, new)
        flash.files[new] = b"\xff"

    flash.rename = corrupting
    assert "reads back differently" in raises(FirstbootError, storage.save, PATH, NEW).what


def test_a_save_whose_file_is_gone_is_no_save():
    storage, flash = made()
    flash.fail_at = 5
    flash.error = ENOENT
    raises(FirstbootError, storage.save, PATH, NEW)
    assert flash.operations[5] == ("rename", PATH)
    assert storage.read(PATH) == OLD


def test_a_save_that_fails_says_so_when_its_rest_cannot_be_removed_either():
    storage, flash = made()
    flash.broken = ("write", "remove")
    error = raises(FirstbootError, storage.save, PATH, NEW)
    assert error.what.startswith(PATH + " cannot be saved")


def test_trouble_is_not_absence():
    storage, flash = made()
    flash.error = EIO
    for broken in ("open", "read", "stat"):
        flash.broken = (broken,)
        if broken != "stat":
            raises(FirstbootError, storage.read, PATH)
        else:
            raises((FirstbootError, OSError), storage.exists, PATH)
    flash.broken = ()
    assert storage.exists(PATH) and not storage.exists("/other")


def test_remove():
    storage, flash = made()
    storage.remove("/other")
    storage.remove(PATH)
    assert flash.files == {}
    storage, flash = made()
    flash.broken = ("remove",)
    assert PATH in raises(FirstbootError, storage.remove, PATH).what
    assert flash.files == {PATH: OLD}


def test_what_is_removed_leaves_nothing():
    for before in (None, OLD):
        for cut_at in range(3):
            storage, flash = made(before)
            flash.files[PATH + ".new"] = NEW
            flash.cut_at = cut_at
            try:
                storage.remove(PATH)
                cut = False
            except PowerCut:
                cut = True
            # Never the temporary file alone: who reads it takes it for the last save.
            assert not (cut and PATH + ".new" in flash.files) or flash.files.get(PATH) == before
            flash.begin()
            storage.remove(PATH)
            assert flash.files == {}


def test_set_aside():
    storage, flash = made()
    for number in (1, 2, 3):
        flash.files[PATH] = b"%d" % number
        assert set_aside(storage, PATH).what.endswith(" it is now %s.bad%d" % (PATH, number))
    assert flash.files == {PATH + ".bad%d" % number: b"%d" % number for number in (1, 2, 3)}


def test_set_aside_that_fails_or_is_cut():
    storage, flash = made()
    flash.broken = ("rename",)
    assert PATH in raises(FirstbootError, set_aside, storage, PATH).what
    flash.broken = ()
    flash.begin()
    flash.cut_at = 0
    raises(PowerCut, set_aside, storage, PATH)
    assert flash.files == {PATH: OLD}


def test_a_root_in_front_of_every_path():
    flash = Flash()
    storage = Storage("/flash", flash.open, flash)
    storage.save(PATH, NEW)
    assert list(flash.files) == ["/flash" + PATH]
    assert storage.exists(PATH) and storage.read(PATH) == NEW
    set_aside(storage, PATH)
    assert list(flash.files) == ["/flash" + PATH + ".bad1"]
    storage.remove(PATH + ".bad1")
    assert flash.files == {}


def test_without_a_root_a_path_is_as_it_is():
    flash = Flash()
    Storage(open=flash.open, os=flash).save(PATH, NEW)
    assert flash.files == {PATH: NEW}


def test_the_name_that_a_save_has_until_it_is_whole():
    storage, flash = made()
    flash.cut_at = 5
    raises(PowerCut, storage.save, PATH, NEW)
    assert flash.files == {PATH: OLD, PATH + ".new": NEW}


def test_what_could_not_be_done_is_said():
    for broken, said, method, more in (
        ("open", "read", "read", ()),
        ("stat", "read", "exists", ()),
        ("write", "saved", "save", (NEW,)),
        ("rename", "saved", "finish", ()),
        ("remove", "removed", "remove", ()),
        ("rename", "renamed", "rename", (PATH + ".bad1",)),
    ):
        storage, flash = made()
        flash.files[PATH + ".new"] = NEW
        flash.broken = (broken,)
        flash.error = EIO
        error = raises(FirstbootError, getattr(storage, method), PATH, *more)
        assert " cannot be %s: " % said in error.what, error.what
