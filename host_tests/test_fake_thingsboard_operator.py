"""The operator of the fake ThingsBoard: what it does, what it is told, and its scripts."""

from __future__ import annotations

import json

import pytest

from tools.fake_thingsboard.codec import ACK, CON, Message, decode, empty, encode
from tools.fake_thingsboard.endpoint import Endpoint
from tools.fake_thingsboard.model import ThingsBoard
from tools.fake_thingsboard.operator import Operator
from tools.fake_thingsboard.script import CommandError, Script, parse, parse_script

TOKEN, PEER = "A1b2C3d4E5f6G7h8I9j0", ("192.0.2.1", 20000)
GET, POST = 1, 2


class Site:
    """An endpoint with one device, and its operator, in virtual time."""

    def __init__(self):
        thingsboard = ThingsBoard("the-key", "the-secret")
        self.device = lambda name="sensor-1": thingsboard.devices[name]
        self.endpoint = Endpoint(thingsboard)
        self.operator = Operator(self.endpoint)
        thingsboard.add_device("sensor-1", TOKEN)
        self.said: list[str] = []
        self.now = 0
        self._message_id = 0

    def ask(self, code, *path, body=None, **options) -> list[dict]:
        """Ask as the device does, and acknowledge what comes; gives the notifications."""
        self._message_id += 1
        payload = b"" if body is None else json.dumps(body).encode()
        path = ("api", "v1", TOKEN, *path)
        message = Message(CON, code, self._message_id, b"t", path, (), payload, **options)
        return self.take(self.endpoint.received(PEER, encode(message), self.now))

    def take(self, sendings) -> list[dict]:
        told = []
        for sending in sendings:
            message = decode(sending.datagram)
            if message.observe:
                told.append(json.loads(message.payload))
            if message.type == CON:
                answer = empty(ACK, message.message_id)
                told += self.take(self.endpoint.received(PEER, answer, self.now))
        return told

    def follow(self, text: str) -> Script:
        return Script(self.operator, parse_script(text), self.said.append)

    def run(self, script: Script, until: int) -> list[dict]:
        """Let time pass; gives the notifications."""
        told = []
        while True:
            script.on_timer(self.now)
            told += self.take(self.endpoint.notify(self.now))
            timed = [each.wake_at for each in (script, self.endpoint) if each.wake_at is not None]
            if not timed or min(timed) > until:
                self.now = until
                return told
            self.now = max(self.now, min(timed))
            told += self.take(self.endpoint.on_timer(self.now))


def test_what_devices_do_is_told_once_and_no_token_is():
    site = Site()
    assert site.operator.news() == []
    site.ask(GET, "rpc", observe=0)
    site.ask(POST, "telemetry", body={"t": 21.5, "s": "\x1b[31m"})
    site.ask(POST, "attributes", body={"fw": "a", "n": 1})
    site.ask(POST, "claim", body={"secretKey": "abc"})
    assert site.operator.news() == [
        'sensor-1: telemetry {"t":21.5,"s":"\\u001b[31m"}',
        'sensor-1: attributes {"fw":"a","n":1}',
        "sensor-1: may be claimed",
        "sensor-1: observes its rpc",
    ]
    site.ask(POST, "attributes", body={"fw": "a", "n": 2})
    assert site.operator.news() == ['sensor-1: attributes {"n":2}']
    site.operator.call_rpc("sensor-1", "setRelay", True)
    (call,) = site.take(site.endpoint.notify(0))
    assert call == {"id": 0, "method": "setRelay", "params": True}
    assert site.operator.news() == ["sensor-1: setRelay(true) delivered"]
    site.ask(POST, "rpc", "0", body={"ok": 1})
    assert site.operator.news() == ['sensor-1: setRelay(true) replied {"ok":1}']
    site.operator.change_token("sensor-1")
    site.endpoint.notify(0)
    assert site.operator.news() == [
        "sensor-1: has other credentials",
        "sensor-1: no longer observes its rpc",
    ]
    site.operator.delete_device("sensor-1")
    assert site.operator.news() == ["sensor-1: deleted"]
    assert site.operator.news() == []


def test_what_is_known_of_a_device():
    site = Site()
    site.operator.set_shared("sensor-1", {"interval": 60})
    site.ask(POST, "telemetry", body={"t": 1})
    site.ask(GET, "attributes", observe=0)
    assert site.operator.describe("sensor-1").splitlines() == [
        "sensor-1: ACCESS_TOKEN, observes attributes",
        '  shared attributes {"interval":60}',
        '  telemetry {"t":1} is the last of 1',
    ]


def test_a_script_takes_its_time_and_a_stopped_server_holds_it_up():
    site = Site()
    site.ask(GET, "attributes", observe=0)
    script = site.follow(
        """
        # how the flat is heated
        set targetTemperature 21
        after 5 s set sensor-1 schedule {"day": [1, 2]}
        after 500ms unset schedule
        stop 20 s
        after 1 min set targetTemperature 22
        """
    )
    assert site.run(script, 4_999) == [{"targetTemperature": 21}]
    assert site.run(script, 5_499) == [{"schedule": {"day": [1, 2]}}]
    assert site.run(script, 85_499) == [{"deleted": ["schedule"]}]
    assert site.device().attributes("shared") == {"targetTemperature": 21}
    assert not script.is_done
    site.run(script, 85_500)
    assert site.device().attributes("shared") == {"targetTemperature": 22}
    assert script.is_done and script.wake_at is None
    assert site.said[1] == 'done: after 5 s set sensor-1 schedule {"day": [1, 2]}'


def test_a_script_waits_for_what_a_device_does():
    site = Site()
    script = site.follow("wait for sensor-1 rpc\nafter 1 s call sensor-1 m --persistent")
    assert site.run(script, 100_000) == [] and script.wake_at is None
    site.ask(GET, "rpc", observe=0)
    assert site.run(script, 100_999) == []
    assert site.run(script, 101_000) == [{"id": 0, "method": "m", "params": None}]
    assert site.device().calls[0].is_persistent


def test_what_cannot_be_done_is_said_and_the_script_goes_on():
    site = Site()
    taken = "token sensor-1 " + TOKEN
    script = site.follow(f'delete sensor-2\n{taken}\ntoken nobody "s3 cret"\ndelete sensor-1\nshow')
    site.run(script, 0)
    assert site.said == [
        "delete sensor-2: there is no device 'sensor-2'",
        "token sensor-1: another device has these credentials already: take others",
        "token nobody: there is no device 'nobody'",
        "done: delete sensor-1",
        "show: there is no device yet",
    ]


def test_the_rest_of_the_commands(tmp_path):
    site = Site()
    package = tmp_path / "my app.bundle"
    package.write_bytes(b"bundle")
    site.ask(GET, "attributes", observe=0)
    script = site.follow(
        f"""
        reply getTime {{"time": 1}}
        assign sw "{package}" my-app 1.2.0
        call sensor-1 m [1, "two words"] --one-way --timeout 2.5
        """
    )
    deleted, assigned = site.run(script, 0)
    assert deleted == {"deleted": ["sw_tag", "sw_url"]}
    assert assigned["sw_title"] == "my-app" and assigned["sw_size"] == 6
    call = site.device().calls[0]
    assert (call.params, call.is_one_way, call.timeout) == ('[1,"two words"]', True, 2_500)
    thingsboard = site.endpoint.thingsboard
    asked = thingsboard.handle(POST, ("api", "v1", TOKEN, "rpc"), b'{"method":"getTime"}')
    assert json.loads(asked.payload) == {"time": 1}
    # Who comes later is assigned it, too.
    assert thingsboard.add_device("b").attributes("shared")["sw_version"] == "1.2.0"
    site.run(site.follow("unassign sensor-1 sw\nrestart\nhelp"), 0)
    assert site.device().packages == ()
    assert site.operator.names == ["sensor-1", "b"]
    assert "stop 20 s" in site.said[-1]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("21.5", 21.5),
        ("true", True),
        ("warm", "warm"),
        ('"21 5"', "21 5"),
        ("NaN", "NaN"),
        ('{"a": [1]}', {"a": [1]}),
    ],
)
def test_a_value_is_json_or_one_word(text, value):
    site = Site()
    site.run(site.follow(f"set v {text}"), 0)
    assert site.device().attributes("shared") == {"v": value}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "there is no command"),
        ("sett x 1", "there is no command 'sett': did you mean 'set'?"),
        ("fly", "there is no command 'fly': 'help' says what there is"),
        ("set x", "write set [NAME] KEY VALUE"),
        ("set a b c d", "write set [NAME] KEY VALUE"),
        ("set a null", "null is no value: unset deletes a key"),
        ('set a b {"c"', "what begins with { is not JSON"),
        pytest.param("set a b " + "[" * 100_000, "what begins with [ is not JSON", id="deep"),
        ('set a "b"c', 'behind what begins with " a space is missing'),
        ("unset", "write unset [NAME] KEY"),
        (
            "call a",
            "write call NAME METHOD [PARAMS] [--one-way] [--persistent] [--timeout SECONDS]",
        ),
        ("call a m --timeout", "write --timeout and a number of seconds"),
        ("call a m --timeout true", "write --timeout and a number of seconds"),
        ("call a m --timeout -1", "write --timeout and a number of seconds"),
        ("reply m", "write reply METHOD VALUE"),
        ("delete", "write delete NAME"),
        ("token a b c", "write token NAME [TOKEN]"),
        ("assign a fw x", "write assign [NAME] fw|sw FILE TITLE VERSION"),
        ("assign fx pyproject.toml t v", "'fx' is no kind of package: write fw or sw"),
        ("assign fw missing t v", "cannot read missing: No such file or directory"),
        ("unassign a", "write unassign NAME fw|sw"),
        ("show a b", "write show [NAME]"),
        ("restart now", "write restart alone"),
        ("stop", "how long? Write, for example, 5 s or 500 ms"),
        ("stop soon", "how long? Write, for example, 5 s or 500 ms"),
        ("stop 5", "5 of what? Write ms, s, min, h behind it"),
        ("stop 5 s now", "write stop 20 s"),
        ("after 5 s", "after so long, what? Write a command behind it"),
        ("wait for a fw", "'fw' is not observed: write attributes or rpc"),
        ("wait for", "write wait for NAME [attributes|rpc]"),
    ],
)
def test_a_line_that_is_no_command_is_told_in_a_line(line, why):
    with pytest.raises(CommandError) as caught:
        parse(line)
    assert str(caught.value) == why
    with pytest.raises(CommandError) as caught:
        parse_script(f"# first\nrestart\n{line or 'x x'}\n")
    assert str(caught.value).startswith("line 3: ")
