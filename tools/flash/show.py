"""What a person sees of flashing: lines for one board, a bar a board for many."""

from __future__ import annotations

import json

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from tools.flash.board import Progress as BoardProgress
from tools.flash.board import Result
from tools.flash.errors import REFUSED
from tools.styled import Console

_STYLES = {"provisioned": "green", "flashed": "green", "skipped": "yellow"}


class Screen:
    """Shows how it goes, on standard error when standard output is for `as_json`."""

    def __init__(self, ports: list[str], as_json: bool = False):
        self._as_json = as_json
        self._console = Console(stderr=as_json)
        self._ports = ports
        self._bars = Progress(
            TextColumn("{task.fields[port]}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=10),
            TimeElapsedColumn(table_column=Column(no_wrap=True)),
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
            ),
            expand=True,
            console=self._console,
            transient=len(ports) == 1,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Screen:
        self._bars.start()
        return self

    def __exit__(self, *exception) -> None:
        self._bars.stop()

    def progress_for(self, port: str) -> BoardProgress:
        """What hears of one board."""
        alone = len(self._ports) == 1
        task = self._bars.add_task("waiting", total=None, port="" if alone else short(port))
        self._tasks[port] = task
        return _Shown(self._console, self._bars, task, port, alone)

    def on_result(self, result: Result) -> None:
        """Say at once what went wrong with one of many boards."""
        self._bars.update(self._tasks[result.port], description=result.result, total=1)
        self._bars.update(self._tasks[result.port], completed=1)
        if len(self._ports) > 1 and result.detail:
            _say(self._console, f"{short(result.port)}  {result.detail}")

    def end(self, results: list[Result]) -> None:
        """Show how it went with every board."""
        if self._as_json:
            print(json.dumps([result.fields() for result in results], ensure_ascii=False))
        if len(results) == 1:
            (result,) = results
            name = f'"{result.name}"' if result.name else result.port
            _say(self._console, f"{name}: {result.result} in {result.seconds:g} s")
            if result.detail and result.exit_code != REFUSED:  # the console has just said why
                _say(self._console, result.detail)
            return
        if self._console.is_terminal:
            table = Table(box=None, pad_edge=False)
            for column in ("id", "name", "port", "result"):
                table.add_column(column, overflow="fold")
            table.add_column("seconds", justify="right")
            for each in results:
                style = _STYLES.get(each.result, "red")
                cells = [each.id, each.name, short(each.port), each.result, f"{each.seconds:.1f}"]
                table.add_row(*[Text(cell, style if cell == each.result else "") for cell in cells])
            self._console.print(table)
        else:
            for each in results:
                _say(
                    self._console,
                    f"{each.id}  {each.name}  {each.port}  {each.result}  {each.seconds:.1f}",
                )
        done = sum(each.exit_code == 0 for each in results)
        _say(self._console, f"{done} of {len(results)} boards done")


class _Shown(BoardProgress):
    def __init__(self, console, bars, task, port, alone):
        self._console = console
        self._bars = bars
        self._task = task
        self._port = port
        self._alone = alone

    def on_step(self, text: str) -> None:
        self._bars.update(self._task, description=text)
        if self._alone:
            _say(self._console, text)
        elif not self._console.is_terminal:
            _say(self._console, f"{short(self._port)}  {text}")

    def on_total(self, size: int) -> None:
        self._bars.update(self._task, total=max(size, 1), completed=0 if size else 1)

    def on_bytes(self, size: int) -> None:
        self._bars.advance(self._task, size)

    def on_line(self, line: str) -> None:
        if self._alone:
            _say(self._console, line)
        else:
            self._bars.update(self._task, description=line.partition("] ")[2] or line)


def short(port: str) -> str:
    """A port without its folder."""
    return port.rpartition("/")[2] or port


def _say(console: Console, text: str) -> None:
    console.print(Text(text), soft_wrap=True)
