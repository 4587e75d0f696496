"""Call a function of a module so often: `repeat.py MODULE FUNCTION TIMES`."""

import sys

function = getattr(__import__(sys.argv[1]), sys.argv[2])
for _ in range(int(sys.argv[3])):
    function()
print("{}")
