"""What a storm did, for a person: figures beside each other, and arrivals drawn over time."""

from __future__ import annotations

import json
import math
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.storm import power, restart, update
from tools.storm.simulation import Storm, Weather
from tools.styled import Console, progress_bars

# What happens to the boards: power returns, the server restarts under them, an update is assigned.
POWER, RESTART, UPDATE = "power", "restart", "update"
_SIMULATE = {POWER: power.simulate, RESTART: restart.simulate, UPDATE: update.simulate}
# What they have done in the end, and the verb of it.
_DONE = {
    POWER: ("are provisioned", "are"),
    RESTART: ("observe again", "do"),
    UPDATE: ("have the update", "have"),
}
_COLUMNS = 60
_BARS = " ▁▂▃▄▅▆▇█"


def storm(weather: Weather, as_json: bool, event: str = POWER) -> int:
    """Simulate the storm with and without jitter and print both; gives the exit code.

    `event`: POWER, RESTART or UPDATE.
    """
    console = Console(highlight=False, soft_wrap=True)
    storms = {}
    with progress_bars() as progress:
        for name, jitter in (("with jitter", True), ("without jitter", False)):
            task = progress.add_task(f"{weather.boards} boards {name}", total=weather.boards)
            storms[name] = _SIMULATE[event](
                weather, jitter, lambda done, task=task: progress.update(task, completed=done)
            )
    figures = {name: figures_of(storm, event) for name, storm in storms.items()}
    if as_json:
        print(json.dumps({"seed": weather.seed, **figures}))
    else:
        print(storm_table(figures), end="")
        for name, each in storms.items():
            console.print(f"\nDatagrams at the server over time, {name}:")
            console.print(_drawn(each))
        console.print(f"\nSeed {weather.seed}.")
    return 0 if all(len(each.provisioned) == weather.boards for each in storms.values()) else 1


def storm_for_real(boards: int) -> int:
    """Power up so many virtual boards at once over loopback; gives the exit code."""
    from tools.fake_thingsboard.model import ThingsBoard
    from tools.fake_thingsboard.server import FakeThingsBoard
    from tools.virtual_board.board import VirtualBoard
    from tools.virtual_board.flash import put_on_flash

    thingsboard = ThingsBoard(key="storm-key", secret="storm-secret")
    with (
        tempfile.TemporaryDirectory(prefix="firstboot-") as folder,
        FakeThingsBoard(thingsboard) as server,
        progress_bars() as progress,
        ThreadPoolExecutor(boards) as power,
    ):
        config = json.dumps(
            {
                "wifi": {"ssid": "storm", "password": "storm-password"},
                "server": server.uri,
                "provisioning": {
                    "deviceName": "sensor-{id}",
                    "provisionDeviceKey": thingsboard.key,
                    "provisionDeviceSecret": thingsboard.secret,
                },
            }
        ).encode()
        flashes = [Path(folder, f"{number}.img") for number in range(boards)]
        for flash in progress.track(flashes, description="making boards"):
            put_on_flash(flash, "esp32", "micropython", config)

        def power_up(flash: Path) -> float:
            board = VirtualBoard(flash, on_line=lambda line: None)
            outcome = board.power_up(timeout=300)
            return math.inf if outcome.exit_code else time.monotonic() - began

        began = time.monotonic()
        times = sorted(
            progress.track(power.map(power_up, flashes), total=boards, description="powering up")
        )
    provisioned = sum(each < math.inf for each in times)
    print(
        f"{provisioned} of {boards} boards provisioned, half in {times[boards // 2]:.1f} s, "
        f"all in {times[-1]:.1f} s, with {len(server.received) / boards:.2f} datagrams a board; "
        f"ThingsBoard has {len(thingsboard.devices)} devices."
    )
    return 0 if provisioned == boards == len(thingsboard.devices) else 1


def figures_of(storm: Storm, event: str = POWER) -> dict[str, float | None]:
    """The figures of a storm by their names; None for what did not happen within a day."""
    done, do = _DONE[event]

    def seconds(share: float) -> float | None:
        at = storm.time_until(math.ceil(share * storm.boards))
        return None if at is None else round(at / 1000, 1)

    figures = {
        f"s until half {done}": seconds(0.5),
        f"s until 99 % {do}": seconds(0.99),
        f"s until all {do}": seconds(1),
        "datagrams a board": round(storm.sent / storm.boards, 1),
        "peak, datagrams a second": max(storm.arrivals.values()),
    }
    if event == UPDATE:
        figures["% of them over the limit"] = round(100 * storm.dropped / storm.sent, 1)
    return figures


def storm_table(figures: dict[str, dict[str, float | None]]) -> str:
    """The figures of several storms beside each other, a line a figure."""
    rows = [["", *figures]]
    for row in next(iter(figures.values())):
        cells = (storm[row] for storm in figures.values())
        rows.append([row, *("never" if cell is None else f"{cell:,}" for cell in cells)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "".join(
        first.ljust(widths[0])
        + "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        + "\n"
        for first, *cells in rows
    )


def _drawn(storm: Storm) -> str:
    """The arrivals as one line of bars, each as high as its busiest second."""
    last = max(storm.arrivals)
    width = max(1, math.ceil((last + 1) / _COLUMNS))
    columns = [
        max(storm.arrivals[second] for second in range(start, start + width))
        for start in range(0, last + 1, width)
    ]
    highest = max(columns)
    bars = "".join(_BARS[math.ceil(column * (len(_BARS) - 1) / highest)] for column in columns)
    return f"{highest:>6} ┤{bars}\n     0 └ 0 s to {last:,} s, {width:,} s a bar"
