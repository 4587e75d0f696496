"""A board gets the firmware's rooms that its config.json asks for, and no others."""

from __future__ import annotations

import pytest

from tools import roles

MODULES = [
    "firmware/device.py",
    "firmware/coap/microcoapy.py",
    "firmware/onboarding/portal.py",
    "firmware/thingsboard/ota.py",
    "firmware/update/slots.py",
]


@pytest.mark.parametrize(
    "config, extra",
    [
        (b"{}", []),
        (None, []),
        (b"no JSON", []),
        (b"[1]", []),
        (b'{"codec": "firmware", "update": null, "onboarding": false}', []),
        (b'\xef\xbb\xbf{"codec": "microcoapy"}', [1]),
        (b'{"onboarding": "portal"}', [2]),
        (b'{"onboarding": true}', [2]),
        (b'{"update": {}}', [3, 4]),
        (b'{"update": {"key": "AAAA"}, "onboarding": true}', [2, 3, 4]),
    ],
)
def test_what_a_config_asks_for(config, extra):
    wanted = [MODULES[index] for index in sorted([0, *extra])]
    assert roles.chosen(MODULES, roles.asked_for(config)) == wanted
    compiled = [name[:-2] + "mpy" for name in MODULES]
    assert len(roles.chosen(compiled, roles.asked_for(config))) == len(wanted)


def test_a_module_has_one_role():
    assert [roles.of(name) for name in MODULES] == [
        "",
        "microcoapy",
        "onboarding",
        "update",
        "update",
    ]
