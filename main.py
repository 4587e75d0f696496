from firmware.application import start

start()
