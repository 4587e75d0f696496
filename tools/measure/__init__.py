"""How small and how fast the firmware is: measured beside what people would use instead."""
