import micropython

# What asks by Improv sends Ctrl-C: firmware.application looks whose it is, as soon as it can.
micropython.kbd_intr(-1)
try:
    open("slots.json").close()
except OSError:
    from firmware.application import start
else:
    from firmware.update.start import start

start()
