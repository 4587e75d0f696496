"""One power-up from a flash image: `power_up.py IMAGE`. What it takes, as JSON."""

import gc
import json
import sys
import time


def main(image):
    heap = gc.mem_alloc()
    import thin_board

    flash = thin_board.power_on(image)
    standing = gc.mem_alloc() - heap
    began = time.ticks_us()
    execfile("/boot.py")
    execfile("/main.py", {"__name__": "__main__"})
    app = sys.modules.get("app")
    return {
        "standing": standing,
        "us_to_app": time.ticks_diff(app.started, began) if app else None,
        "programs": flash.programs,
        "bytes_programmed": flash.bytes_programmed,
        "erases": flash.erases,
        "saves": flash.saves,
    }


print(json.dumps(main(sys.argv[1])))
