"""The page on a board's access point, in a real browser: Debian's Chromium, driven headless."""
