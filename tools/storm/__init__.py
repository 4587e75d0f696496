"""What many boards do to one ThingsBoard at once: simulated with the code that boards run."""
