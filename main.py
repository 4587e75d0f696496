import micropython

# See heed_ctrl_c of firmware.application.
micropython.kbd_intr(-1)
try:
    open("slots.json").close()
except OSError:
    from firmware.application import start
else:
    from firmware.update.start import start

start()
