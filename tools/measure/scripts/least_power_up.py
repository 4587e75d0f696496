"""The smallest first power-up: Wi-Fi, the attempt saved, one exchange, the token saved, app.py.

It takes config.json for right, says nothing but how it went, and proves nothing after a lost reply.
"""

import json
import os
import time
from binascii import hexlify

import machine
import network
from least import open_socket, post

_CREATED = 0x41


def save(name, value):
    with open(name + ".tmp", "w") as file:
        json.dump(value, file)
    os.rename(name + ".tmp", name)


def start():
    with open("/config.json") as file:
        config = json.load(file)
    wlan = network.WLAN(network.STA_IF)
    wlan.active(True)
    wlan.connect(config["wifi"]["ssid"], config["wifi"]["password"])
    while not wlan.isconnected():
        time.sleep_ms(10)
    request = config["provisioning"]
    name = request["deviceName"].replace("{id}", hexlify(machine.unique_id()).decode())
    request["deviceName"] = name
    request["token"] = hexlify(os.urandom(10)).decode()
    identity = os.urandom(10)
    save("/attempt.json", {"identity": hexlify(identity).decode(), "request": request})
    host, _, port = config["server"][len("coap://") :].partition(":")
    sock = open_socket(host, int(port or 5683))
    body = json.dumps(request).encode()
    while not (response := post(sock, identity, body)):
        time.sleep_ms(4000)
    sock.close()
    code, payload = response
    reply = json.loads(payload)
    if code != _CREATED or reply["status"] != "SUCCESS":
        print("refused:", payload)
        return
    credentials = {
        "server": config["server"],
        "deviceName": name,
        "credentialsType": reply["credentialsType"],
        "credentialsValue": reply["credentialsValue"],
    }
    save("/credentials.json", credentials)
    print("provisioned: saved in /credentials.json")
    os.remove("/attempt.json")
    import app

    app.run(credentials)


start()
