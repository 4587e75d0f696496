"""ThingsBoard's MQTT SDK at work, as device.py is: `mqtt_sdk.py PORT [only|plain]`.

With `only` the work is done in whatever heap there is, and nothing is measured. With `plain` there
are ten readings, with time between them for what TCP acknowledges; a line before and after them is
waited for.
"""

import gc
import json
import sys
import time

_READINGS = 20


class machine:
    def unique_id():
        return b"\x00\x11\x22\x33\x44\x55"

    def reset():
        pass


sys.modules["machine"] = machine
gc.collect()
start = gc.mem_alloc()
from thingsboard_sdk.tb_device_mqtt import TBDeviceMqttClient  # noqa: E402

client = TBDeviceMqttClient("127.0.0.1", int(sys.argv[1]), "A1b2C3d4E5f6G7h8I9j0")


def on_call(id, body):
    client.send_rpc_reply(id, {"on": body["params"]})


def reading():
    client.send_telemetry({"temperature": 21.5})
    client.check_for_msg()


client.set_server_side_rpc_request_handler(on_call)
client.subscribe_to_all_attributes(lambda values, error: None)
client.connect()
how = sys.argv[2] if len(sys.argv) > 2 else ""
if how == "plain":
    print("connected")
    sys.stdin.readline()
    for _ in range(10):
        reading()
        time.sleep_ms(100)
    print("sent")
    sys.stdin.readline()
    sys.exit()
for number in range(_READINGS):
    client.send_telemetry({"temperature": 21.5})
    if number % 5 == 4:
        client.wait_for_msg()
    client.check_for_msg()
if how == "only":
    print("done")
    sys.exit()
reading()
gc.collect()
found = {"kept": gc.mem_alloc() - start}
gc.disable()
before = gc.mem_alloc()
reading()
found["garbage"] = gc.mem_alloc() - before
print(json.dumps(found))
