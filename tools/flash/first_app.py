from firmware.device import Device


def run(credentials):
    device = Device(credentials)
    while True:
        device.send_telemetry({"temperature": 21.5})
        device.wait(60_000)
