"""coaps from a computer: doctor shakes hands, and provision asks inside the session."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest

from host_tests.power_up_bench import KEY, SECRET, config_for
from host_tests.test_tools import tools
from tools.fake_thingsboard import certificates
from tools.fake_thingsboard.dtls import DTLSRelay
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.server import FakeThingsBoard
from tools.flash import doctor_coaps
from tools.flash.doctor import examine_server
from tools.flash.findings import FAILURE, OK

CA = certificates.new_ca()


@contextmanager
def server_with(issued):
    with (
        FakeThingsBoard(ThingsBoard(KEY, SECRET)) as inside,
        DTLSRelay((inside.host, inside.port), issued.chain_pem, issued.key_pem) as relay,
    ):
        relay.thingsboard = inside.thingsboard
        yield relay


def test_doctor_shakes_hands_and_tells_what_it_sees(tmp_path):
    with server_with(certificates.issue(["127.0.0.1", "example.com"], CA)) as server:
        (tmp_path / "ca.pem").write_bytes(CA.pem)
        config = config_for(server.uri, ca="ca.pem")
        (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        done = tools("doctor", "--config", tmp_path / "config.json")
    assert done.returncode == 0, done.stdout + done.stderr
    for phrase in (
        "the DTLS handshake succeeds",
        "example.com, 127.0.0.1, issued by ",
        "CoAP answers inside DTLS, to requests of up to 1093 bytes",
    ):
        assert phrase in done.stdout, done.stdout


def found(issued, authorities) -> list[str]:
    with server_with(issued) as server:
        findings = list(examine_server(server.uri, authorities))
    assert any("handshake succeeds" in each.what for each in findings if each.level == OK)
    return [each.what for each in findings if each.level == FAILURE]


def test_doctor_says_what_is_wrong_with_a_certificate(monkeypatch):
    monkeypatch.setattr(doctor_coaps, "_SIZES", doctor_coaps._SIZES[:1])  # larger ones are lost
    good = certificates.issue(["127.0.0.1"], CA)
    assert found(good, CA.pem) == []
    (said,) = found(good, certificates.new_ca().pem)
    assert said.startswith("the server's certificate was not issued by the CA")
    (said,) = found(certificates.issue(["example.com"], CA), CA.pem)
    assert said == "the server's certificate is for example.com, not for 127.0.0.1"
    old = certificates.issue(["127.0.0.1"], CA, valid_from_days=-3, valid_for_days=2)
    (said,) = found(old, CA.pem)
    assert said.startswith("the server's certificate ended on 2")
    assert found(good, None) == []


@pytest.mark.parametrize("way", ["--ca", "--no-verify"])
def test_provision_over_coaps(tmp_path, way):
    (tmp_path / "ca.pem").write_bytes(CA.pem)
    with server_with(certificates.issue(["127.0.0.1"], CA)) as server:
        arguments = ("--server", server.uri, "--key", KEY, "--secret", SECRET, "--name", "a")
        trust = ("--ca", tmp_path / "ca.pem") if way == "--ca" else ("--no-verify",)
        done = tools("provision", *arguments, *trust)
        assert done.returncode == 0, done.stderr
        token = server.thingsboard.devices["a"].token
        assert json.loads(done.stdout)["credentialsValue"] == token


def test_provision_over_coaps_to_a_stranger_sends_nothing(tmp_path):
    (tmp_path / "ca.pem").write_bytes(certificates.new_ca().pem)
    with server_with(certificates.issue(["127.0.0.1"], CA)) as server:
        arguments = ("--server", server.uri, "--key", KEY, "--secret", SECRET, "--name", "a")
        done = tools("provision", *arguments, "--ca", tmp_path / "ca.pem")
        assert done.returncode == 1 and "was not issued by the CA" in done.stderr
        assert not server.thingsboard.devices
        done = tools("provision", *arguments)
        assert done.returncode == 2 and "coaps needs --ca" in done.stderr
