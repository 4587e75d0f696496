"""The firmware with one of its protections off, to prove that the explorer would notice."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple
from unittest.mock import patch

from firmware.board import config as configuration
from firmware.board import credentials as store
from firmware.board import security
from firmware.board.storage import ATTEMPT, Storage
from firmware.coap import blockwise, uri
from firmware.coap.client import Client
from firmware.provisioning import preparation, record_file, recovery, tidying
from firmware.provisioning.record import Record
from firmware.thingsboard.refusals import Refused
from host_tests.explorer.town import People


def _no_attempt_saved():
    save = Storage.save

    def only_credentials(self, path, content):
        if path != ATTEMPT:
            save(self, path, content)

    return patch.object(Storage, "save", only_credentials)


def _no_resume():
    begin = preparation.begin

    def always_new(record, *arguments):
        body = begin(record, *arguments)
        record.renew()
        return body

    return patch.object(preparation, "begin", always_new)


def _no_probe():
    def nothing(attempt, config):
        yield from ()

    return patch.object(recovery, "probe", nothing)


def _acknowledged_before_saved():
    steps = Client.steps

    def at_once(self, *arguments, acknowledge=True, **named):
        return steps(self, *arguments, acknowledge=True, **named)

    return patch.object(Client, "steps", at_once)


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


def _dropped_with_another_key():
    load = record_file.load

    def with_this_key(board, *arguments):
        fields = load(board, *arguments)
        key = json.loads(board.storage.read("/config.json"))["provisioning"]["provisionDeviceKey"]
        if fields and fields.setdefault("key", key) != key:
            fields.update(tokens=[], body="", key=key)
        return fields

    return patch.object(record_file, "load", with_this_key)


def _server_as_text():
    def is_here(record, place):
        return place["server"] == record.server

    stack = ExitStack()
    stack.enter_context(patch.object(uri, "origin", lambda text: text))
    for module in (record_file, recovery):
        stack.enter_context(patch.object(module, "is_here", is_here))
    return stack


def _certificate_always_shown():
    sessions = security.sessions

    def shown(board, config, kind=None):
        return sessions(board, config, "X509_CERTIFICATE")

    return patch.object(security, "sessions", shown)


def _fixed_token_probed():
    check = configuration.check

    def own_token(*arguments):
        return {**check(*arguments), "own_token": True}

    return patch.object(configuration, "check", own_token)


def _another_boards_attempt():
    def load(board, path=ATTEMPT):
        fields = store.load(board.storage, path, record_file._checked)
        return fields and {**fields, "id": board.id}

    return patch.object(record_file, "load", load)


def _another_boards_certificate():
    return patch.object(recovery, "check_certificate", lambda board, digest: None)


def _token_of_two_names():
    return patch.object(recovery, "_is_alone", lambda known, proposed: True)


def _moved_at_once():
    def addresses(attempt, config, found):
        return found or [attempt.record.fields["address"]]

    return patch.object(preparation, "addresses", addresses)


def _not_found_forgets():
    recover = recovery.recover

    def forgets(attempt, *arguments):
        try:
            return recover(attempt, *arguments)
        except Refused as refused:
            if "NOT_FOUND" in refused.what:
                attempt.board.storage.remove(ATTEMPT)
            raise

    return patch.object(recovery, "recover", forgets)


def _attempt_dropped_at_power_up():
    def tidy(board, credentials):
        board.storage.remove(ATTEMPT)

    return patch.object(tidying, "tidy", tidy)


def _attempt_never_settled():
    return patch.object(record_file, "settle", lambda *arguments: None)


def _unfinished_rename_ignored():
    load = store.load

    def without_the_new(storage, path=store.CREDENTIALS, check=None):
        new = path + ".new"
        if storage.exists(new):
            storage.remove(new)
        return load(storage, path, check)

    return patch.object(store, "load", without_the_new)


def _unfinished_config_ignored():
    finish = Storage.finish

    def not_config(self, path):
        if path != "/config.json":
            finish(self, path)

    return patch.object(Storage, "finish", not_config)


def _block_acknowledged_early():
    run = blockwise.run

    def early(client, *arguments):
        client.exchange.acknowledges = True
        return run(client, *arguments)

    return patch.object(blockwise, "run", early)


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


class Misfit(NamedTuple):
    """A mutant that people find out, in one setting and one kind of stories."""

    break_it: Callable
    setting: People
    story: str
    lost: str


_REFUSED = "refused, though it proposed its access token"
_ANOTHERS = "the credentials on flash are another"

MISFITS = {
    "tokens dropped with another key": Misfit(
        _dropped_with_another_key, People(), "key mistyped", _REFUSED
    ),
    "server compared as text": Misfit(
        _server_as_text, People(), "its port", "a token that is settled is still on flash"
    ),
    "certificate always shown": Misfit(
        _certificate_always_shown, People("coaps", "shown"), "token changed", "it never ends"
    ),
    "fixed token probed": Misfit(
        _fixed_token_probed, People("coap", "fixed", "sensor-{id}"), "the copy last", _ANOTHERS
    ),
    "another board's attempt": Misfit(
        _another_boards_attempt, People(), "the copy last", _ANOTHERS
    ),
    "another board's certificate": Misfit(
        _another_boards_certificate, People("coaps", "x509"), "the copy last", _ANOTHERS
    ),
    "token of two names": Misfit(
        _token_of_two_names, People("coap", "given"), "another deviceName", _ANOTHERS
    ),
    "certificate of two names": Misfit(
        _token_of_two_names, People("coaps", "x509"), "another deviceName", _ANOTHERS
    ),
    "moved at once": Misfit(
        _moved_at_once,
        People("coap", "server"),
        "another node",
        "refused, though the server still had the reply",
    ),
    "NOT_FOUND forgets": Misfit(
        _not_found_forgets, People(), "secret mistyped", "the token that the server took"
    ),
    "attempt dropped at power-up": Misfit(
        _attempt_dropped_at_power_up, People(), "deleted", _REFUSED
    ),
    "attempt never settled": Misfit(
        _attempt_never_settled, People(), "nothing", "a token that is settled is still on flash"
    ),
    "unfinished rename ignored": Misfit(
        _unfinished_rename_ignored, People(file_system="fat"), "deleted", _REFUSED
    ),
    "unfinished config.json ignored": Misfit(
        _unfinished_config_ignored, People(file_system="fat"), "forget_secret", "/config.json.new"
    ),
    "block acknowledged early": Misfit(
        _block_acknowledged_early,
        People("coaps", "long-x509", reply="separate"),
        "nothing",
        "acknowledged before it was saved",
    ),
}
