"""The lane of the real Pico W image: one boot with the radio, and a fork of it for each test."""
