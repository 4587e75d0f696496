"""What a person sees of flashing: lines for one board, a bar a board for many."""

from __future__ import annotations

import json
import time

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column, Table
from rich.text import Text

from tools.flash.board import Progress as BoardProgress
from tools.flash.board import Result
from tools.flash.errors import REFUSED
from tools.flash.label import Label
from tools.styled import Console

# Columns of a terminal on which there is room for all.
_WIDE = 80
_STYLES = {"provisioned": "green", "flashed": "green", "waits": "green", "skipped": "yellow"}


class Screen:
    """Shows how it goes, on standard error when standard output is for `as_json`."""

    def __init__(self, ports: list[str], as_json: bool = False):
        self._as_json = as_json
        self._console = Console(stderr=as_json)
        self._ports = ports
        bar = [BarColumn(bar_width=10)] if self._console.width >= _WIDE else []
        self._bars = Progress(
            TextColumn("{task.fields[port]}", markup=False, table_column=Column(no_wrap=True)),
            *bar,
            _Time(table_column=Column(no_wrap=True)),
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
        # Every board has its line from the beginning, so that none moves.
        self._tasks: dict[str, TaskID] = {
            port: self._bars.add_task(
                "waiting", total=None, port="" if len(ports) == 1 else short(port), ended=None
            )
            for port in ports
        }

    def __enter__(self) -> Screen:
        self._bars.start()
        return self

    def __exit__(self, *exception) -> None:
        self._bars.stop()

    def progress_for(self, port: str) -> BoardProgress:
        """What hears of one board."""
        alone = len(self._ports) == 1
        return _Shown(self._console, self._bars, self._tasks[port], port, alone)

    def on_result(self, result: Result) -> None:
        """Say at once what went wrong with one of many boards; on a terminal, at the end."""
        self._bars.update(
            self._tasks[result.port],
            description=result.result,
            total=1,
            completed=1,
            ended=time.monotonic(),
        )
        if len(self._ports) > 1 and result.detail and not self._console.is_terminal:
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
            if result.network:
                self._show(Label(result.network, result.password))
            return
        if self._console.is_terminal:
            self._console.print(self._table(results))
            for each in results:
                if each.detail:
                    _say(self._console, f"{each.name or short(each.port)}: {each.detail}")
        else:
            for each in results:
                _say(
                    self._console,
                    f"{each.id}  {each.name}  {each.port}  {each.result}  {each.seconds:.1f}",
                )
        done = sum(each.exit_code == 0 for each in results)
        _say(self._console, f"{done} of {len(results)} boards done")

    def _show(self, label: Label) -> None:
        """What is to be on the board's label, on a terminal with a code for phones."""
        _say(self._console, f"Its label: {label}")
        if self._console.is_terminal:
            for line in label.qr_code():
                self._console.print(Text(line, "black on white"))

    def _table(self, results: list[Result]) -> Table:
        """A row a board; names are whole, and where there is little room the ids are left out."""
        table = Table(box=None, pad_edge=False)
        shows_id = self._console.width >= _WIDE
        if shows_id:
            table.add_column("id", no_wrap=True)
        table.add_column("name", no_wrap=True)
        table.add_column("port", no_wrap=True)
        table.add_column("result", overflow="fold")
        table.add_column("s", justify="right")
        for each in results:
            cells = [each.id] if shows_id else []
            cells += [each.name or each.id, short(each.port)]
            result = Text(each.result, _STYLES.get(each.result, "red"))
            table.add_row(*map(Text, cells), result, Text(f"{each.seconds:.1f}"))
        return table


class _Time(ProgressColumn):
    """The seconds since a board's beginning, until its end."""

    def render(self, task: Task) -> Text:
        seconds = (task.fields["ended"] or time.monotonic()) - (task.start_time or 0)
        return Text(f"{max(0, seconds):4.0f} s")


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

    def on_warning(self, text: str) -> None:
        where = "" if self._alone else f"{short(self._port)}  "
        _say(self._console, f"{where}warning: {text}")

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
