"""/slots.json: which place runs, which one comes back, what failed, what is still to be told.

A place is a folder with an application, and perhaps a whole firmware/: "" is the root, as it was
flashed, which no update ever writes to; "/a" and "/b" are the slots. The file holds:

running, before   {"place": …, "title": …, "version": …, "checksum": …}, the last three
                  ThingsBoard's words for what is in a slot; before: what comes back
starts            how many starts are left to the running one, which is on trial; else None
trial, contact    in s: after how long it is proven, and how soon it has to reach ThingsBoard
failed            the last one that failed: the same words, and "why"
untold            "UPDATED", "FAILED" or both: what ThingsBoard has yet to be told; else None
firmware          the version of the root's firmware
progress          a list that is kept for whoever downloads; else None
"""

import json

from firmware.memory import give_back
from firmware.update.tree import MANIFEST, discard

PATH = "/slots.json"
SLOTS = ("/a", "/b")
# How many starts there are for what is on trial.
STARTS = 5

# Of why something failed, in characters.
LONGEST_WHY = 200


class State:
    """What /slots.json says. Without that file, or when it cannot be read, the root runs.

    `found`: all that it says, by the names above. Each change is made to what the file says then,
    and saved at once, so that there may be several of these. What changes raises FirstbootError
    when it cannot be saved.
    """

    def __init__(self, storage):
        self.storage = storage
        try:
            self._load()
        except MemoryError:
            # It says nothing of the file.
            raise
        except Exception:
            # Of whatever class: the root runs.
            self.found = _nothing()

    @property
    def running(self):
        """The place that runs from the next start on."""
        return self.found["running"]["place"]

    @property
    def before(self):
        """The place that comes back when the running one fails."""
        return self.found["before"]["place"]

    @property
    def on_trial(self):
        """Whether the running one is on trial."""
        return self.found["starts"] is not None

    def root_firmware(self):
        """Return the version of the root's firmware, of what runs unless a slot does."""
        return (self.running and self.found["firmware"]) or _version()

    def is_there(self):
        """Return whether what runs has its files, as far as a look at one of them tells."""
        return not self.running or self.storage.exists(self.running + MANIFEST)

    def package(self):
        """Return the `title`, `version` and `checksum` of what runs, None for the root."""
        running = self.found["running"]
        return running if running["place"] else None

    def has_failed(self, title, version, checksum):
        """Return whether this is what failed last."""
        failed = self.found["failed"]
        return failed is not None and _words(failed) == (title, version, checksum)

    def slot(self):
        """Return the slot that neither runs nor, on trial, would come back; None for none."""
        for slot in SLOTS:
            if slot != self.running and not (self.on_trial and slot == self.before):
                return slot

    def unneeded(self):
        """Return the slots that neither run nor come back."""
        return [slot for slot in SLOTS if slot not in (self.running, self.before)]

    def give_up(self, slot):
        """Let the root come back in place of this slot, which is to be written."""
        if self.before == slot:
            self._load()
            self.found["before"] = {"place": ""}
            self._save_without(slot)

    def switch(self, slot, package, settings):
        """Let this slot run from the next start on, on trial.

        `package`: ThingsBoard's words for what is in it. `settings`: `update` of config.json.
        """
        self._load()
        found = self.found
        found["firmware"] = self.root_firmware()
        if not self.on_trial:
            # Only what is proven comes back.
            found["before"] = found["running"]
        found["running"] = {"place": slot}
        for key in ("title", "version", "checksum"):
            found["running"][key] = package[key]
        found["starts"] = STARTS
        for key in ("trial", "contact"):
            found[key] = settings[key]
        found["untold"] = None
        self._save()

    def count_start(self):
        """Take a start from the one on trial."""
        self._load()
        self.found["starts"] -= 1
        self._save()

    def confirm(self):
        """End the trial: what runs has proven itself."""
        self._load()
        if self.on_trial:
            self.found["starts"] = None
            self.found["untold"] = (self._untold_but("UPDATED") + " UPDATED").strip()
            self._save_without(self.slot())

    def fail(self, why):
        """Let the one before run from the next start on. `why`: in words, for ThingsBoard."""
        self._load()
        found = self.found
        place = self.running
        if not place:
            return
        failed = found["running"]
        failed["why"] = why[:LONGEST_WHY]
        found["failed"] = failed
        found["running"] = found["before"]
        found["before"] = {"place": ""}
        found["starts"] = None
        found["untold"] = "FAILED"
        self._save_without(place)

    def refuse(self, title, version, checksum, why, progress=None):
        """Note that a package has failed before it ran. What runs goes on.

        `progress`: what to keep besides; None leaves it as it is.
        """
        self._load()
        failed = {"title": title, "version": version, "checksum": checksum}
        failed["why"] = why[:LONGEST_WHY]
        self.found["failed"] = failed
        self.found["untold"] = (self._untold_but("FAILED") + " FAILED").strip()
        self.found["progress"] = progress or self.found["progress"]
        self._save()

    def forgive(self):
        """Forget what has failed, since another package is assigned."""
        self._load()
        self.found["failed"] = None
        self._save()

    def keep(self, progress):
        """Keep how far a download is: a list of texts and numbers."""
        self._load()
        self.found["progress"] = progress
        self._save()

    def untold(self):
        """Return "UPDATED" or "FAILED", which ThingsBoard is to be told next; "" for nothing."""
        return (self.found["untold"] or "").split(" ")[0]

    def told(self, outcome):
        """Note that ThingsBoard knows."""
        self._load()
        left = self.found["untold"] = self._untold_but(outcome) or None
        self.found["progress"] = left and self.found["progress"]
        self._save_without(self.slot())

    def _untold_but(self, outcome):
        # One may come while ThingsBoard is told of the other.
        return (self.found["untold"] or "").replace(outcome, "").strip()

    def _load(self):
        content = self.storage.read(PATH)
        try:
            self.found = _checked(json.loads(content or b"{}"))
        except (ValueError, TypeError, KeyError, AttributeError, RuntimeError):
            # RuntimeError: nested too deep.
            self.found = _nothing()

    def _save_without(self, place):
        """Save, if need be in the room of a place that is not to run."""
        try:
            self._save()
        except Exception:
            # Of whatever class: the errors of a slot's firmware are others than the root's.
            if place in (None, self.before):
                raise
            discard(self.storage, place)
            self._save()

    def _save(self):
        self.storage.save(PATH, json.dumps(self.found).encode())


def _version():
    from firmware.board.kept import VERSION

    give_back("board.kept")
    return VERSION


def _nothing():
    found = {"running": {"place": ""}, "before": {"place": ""}}
    for key in ("starts", "trial", "contact", "failed", "untold", "firmware", "progress"):
        found[key] = None
    return found


def _checked(found):
    """Return what a file says, or raise when it does not fit."""
    running = found["running"]["place"]
    before = found["before"]["place"]
    places = ("",) + SLOTS
    if running not in places or before not in places or before == running != "":
        raise ValueError
    found["firmware"]
    if "FAILED" in (found["untold"] or "").split(" ") or found["failed"] is not None:
        _words(found["failed"])
        found["failed"]["why"]
    # A list, or what can be taken for one.
    (found["progress"] or [])[:2]
    if found["starts"] is not None:
        # They are numbers, of something.
        found["starts"] + found["trial"] + found["contact"]
        if not running:
            raise ValueError
    if running:
        _words(found["running"])
    return found


def _words(package):
    return package["title"], package["version"], package["checksum"]
