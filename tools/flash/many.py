"""Flash many boards side by side. One that fails does not stop the others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tools.flash import board as one
from tools.flash import content, facts
from tools.flash.board import BROKEN_OFF, Job, Progress, Result
from tools.flash.errors import FAILED, PROVISIONED, FlashingError
from tools.flash.link import Link


def flash_all(
    ports: list[str],
    job: Job,
    progress_for: Callable[[str], Progress],
    on_result: Callable[[Result], None],
) -> list[Result]:
    """Flash the boards at these ports; results in the order of the ports, on_result as they end.

    Ctrl-C ends it: what is not done then is broken off.
    """
    results = {port: Result(port, result=BROKEN_OFF, detail="Ctrl-C") for port in ports}
    ended: set[str] = set()

    def flash(port: str) -> None:
        result = results[port]
        try:
            one.flash(port, job, progress_for(port), result)
        except Exception as error:
            result.result, result.detail = "failed", f"{type(error).__name__}: {error}"
        ended.add(port)
        on_result(result)

    threads = [threading.Thread(target=flash, args=(port,), daemon=True) for port in ports]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)  # so that Ctrl-C is heard
    except KeyboardInterrupt:
        for port in set(ports) - ended:
            results[port] = replace(results[port])  # its thread writes no more in this one
            on_result(results[port])
    return list(results.values())


def exit_code(results: list[Result]) -> int:
    """0 when every board is done; what all failures have in common, else 1."""
    codes = {result.exit_code for result in results} - {PROVISIONED}
    if not codes:
        return PROVISIONED
    return codes.pop() if len(codes) == 1 else FAILED


def names(ports: list[str], job: Job) -> dict[str, str]:
    """The deviceName of each connected board and of each line of the CSV, by board id.

    A board that cannot be asked is left out. Raises FlashingError for a bad config.json.
    """

    def id_at(port: str) -> str | None:
        try:
            with Link(port) as link:
                return facts.ask(link).id
        except FlashingError:
            return None

    with ThreadPoolExecutor(max(1, len(ports))) as pool:
        ids = {each for each in pool.map(id_at, ports) if each}
    if job.rows is not None:
        ids = set(job.rows)
    return {
        each: content.identity(
            content.config_for(job.config, each, (job.rows or {}).get(each)), each
        )[0]
        for each in ids
    }
