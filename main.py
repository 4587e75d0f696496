try:
    open("slots.json").close()
except OSError:
    from firmware.application import start
else:
    from firmware.update.start import start

start()
