"""Puts the firmware on boards, through mpremote, and follows them until provisioned."""
