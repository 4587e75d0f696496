"""The firmware with one of its protections off, to prove that the explorer would notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from unittest.mock import patch

from firmware.board import credentials as store
from firmware.board.storage import Storage
from firmware.coap.client import Client
from firmware.provisioning import recovery
from firmware.provisioning.record import Record


def _no_attempt_saved():
    save = Storage.save

    def only_credentials(self, path, content):
        if path != store.ATTEMPT:
            save(self, path, content)

    return patch.object(Storage, "save", only_credentials)


def _no_resume():
    begin = Record.begin

    def always_new(self, *arguments):
        body = begin(self, *arguments)
        self.renew()
        return body

    return patch.object(Record, "begin", always_new)


def _no_probe():
    return patch.object(recovery, "probe", lambda attempt, config: None)


def _acknowledged_before_saved():
    request = Client.request

    def at_once(self, *arguments, acknowledge=True, **named):
        return request(self, *arguments, acknowledge=True, **named)

    return patch.object(Client, "request", at_once)


def _resumed_after_a_refusal():
    renew = Record.renew

    def once(self):
        if "coap_token" not in self.fields:
            renew(self)

    return patch.object(Record, "renew", once)


def _renamed_before_closed():
    def save(self, path, content):
        file = self.open(self.root + path + ".new", "wb")
        file.write(content)
        self.os.rename(self.root + path + ".new", self.root + path)
        file.close()

    return patch.object(Storage, "save", save)


def _overwritten_in_place():
    def save(self, path, content):
        with self.open(self.root + path, "wb") as file:
            file.write(content)

    return patch.object(Storage, "save", save)


def _not_read_back():
    def save(self, path, content):
        with self.open(self.root + path + ".new", "wb") as file:
            file.write(content)
        self.os.rename(self.root + path + ".new", self.root + path)

    return patch.object(Storage, "save", save)


class Mutant(NamedTuple):
    """`break_it()` is a context manager; `lost`: what the explorer then says."""

    break_it: Callable
    lost: str


MUTANTS = {
    "no attempt saved": Mutant(_no_attempt_saved, "refused, though it proposed its access token"),
    "no resume": Mutant(_no_resume, "refused, though the server still had the reply"),
    "no probe": Mutant(_no_probe, "refused, though it proposed its access token"),
    "acknowledged before saved": Mutant(
        _acknowledged_before_saved, "acknowledged before it was saved"
    ),
    "resumed after a refusal": Mutant(
        _resumed_after_a_refusal, "refused, though it proposed its access token"
    ),
    "renamed before closed": Mutant(_renamed_before_closed, "/attempt.json.bad1 was set aside"),
    "overwritten in place": Mutant(_overwritten_in_place, "/attempt.json.bad1 was set aside"),
    "not read back": Mutant(_not_read_back, "/attempt.json.bad1 was set aside"),
}
