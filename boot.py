# Runs before main.py, and again on every soft reset. Nothing has to be done here: main.py
# provisions the board and starts app.py.
