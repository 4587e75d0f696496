"""A board to test with: real MicroPython, real littlefs, real UDP, simulated radio and machine."""
