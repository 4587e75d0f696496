"""The real image of a Pico W in an emulator: its CPU, radio, flash and USB, on this computer."""
