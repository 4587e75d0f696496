"""What a demonstration's board is configured with."""

from __future__ import annotations

import json
from typing import Any

from tools.fake_thingsboard.model import ThingsBoard


def config_for(uri: str, thingsboard: ThingsBoard, **more: Any) -> bytes:
    """A config.json for this ThingsBoard; `more`: other keys."""
    config = {
        "wifi": {"ssid": "demo", "password": "demo-password"},
        "server": uri,
        "provisioning": {
            "deviceName": "sensor-{id}",
            "provisionDeviceKey": thingsboard.key,
            "provisionDeviceSecret": thingsboard.secret,
        },
        **more,
    }
    return json.dumps(config, ensure_ascii=False).encode()
