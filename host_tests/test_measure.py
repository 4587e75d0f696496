"""The firmware takes no more than its budgets, and README.md shows what they are."""

from __future__ import annotations

import io
import shutil
import socket
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console

from host_tests.virtual_bench import NO_MICROPYTHON, needs_micropython
from tools.measure import (
    budgets,
    command,
    figures,
    firstboot,
    growth,
    modules,
    peers,
    remainder,
    report,
)
from tools.measure.bench import Bench, MeasureError, bench, compile_to, has_valgrind, least_heap
from tools.measure.broker import Broker
from tools.measure.figures import FIGURES, HIGHEST_HEAP, NO_HEAP, PowerUps, judged
from tools.measure.responder import RESPONSE, TOKEN, Responder
from tools.virtual_board.interpreter import find_micropython

pytestmark = needs_micropython


@pytest.fixture(scope="module")
def there():
    if NO_MICROPYTHON:
        pytest.skip(NO_MICROPYTHON)
    with bench() as found:
        yield found


@pytest.fixture(scope="module")
def measured(there: Bench):
    with Responder() as responder:
        return firstboot.measure(there, responder, tested_only=True)


def test_no_figure_is_over_its_budget(measured):
    exceeded = budgets.exceeded(measured)
    assert not exceeded, "\n".join(
        [*exceeded, "If it has to be so: python3 -m tools measure --record"]
    )


@pytest.mark.skipif(not has_valgrind(), reason="no valgrind: instructions are not counted")
def test_instructions_are_counted(measured):
    assert {"encode", "decode"} <= set(measured)


@pytest.mark.parametrize("key", ["heap_exchange", "frozen_refusal"])
def test_a_worse_figure_of_32_bits_is_noticed(key):
    recorded = budgets.load(32)["firstboot"]
    assert budgets.exceeded(recorded, 32) == []
    for factor, says in ((1.05, "is over the"), (0.9, "is far under the")):
        (line,) = budgets.exceeded({**recorded, key: recorded[key] * factor}, 32)
        assert says in line


def test_a_worse_and_a_stale_figure_are_noticed():
    recorded = budgets.load()["firstboot"]
    assert budgets.exceeded(recorded) == []
    for figure in FIGURES:
        if figure.tested and recorded[figure.key]:
            worse = {**recorded, figure.key: recorded[figure.key] * (1.01 + figure.headroom)}
            stale = {**recorded, figure.key: recorded[figure.key] * (0.99 - 2 * figure.headroom)}
            for changed in (worse, stale):
                (line,) = budgets.exceeded(changed)
                assert figure.what in line


def test_a_figure_that_is_not_recorded_is_noticed(monkeypatch):
    recorded = budgets.load()
    del recorded["firstboot"]["encode"]
    monkeypatch.setattr(budgets, "load", lambda bits: recorded)
    (line,) = budgets.exceeded({"encode": 20_000})
    assert "is not recorded" in line


def test_what_was_not_measured_stays_recorded(tmp_path, monkeypatch):
    readme = Path(shutil.copy(budgets.README, tmp_path))
    copies = {bits: Path(shutil.copy(path, tmp_path)) for bits, path in budgets.BUDGETS.items()}
    monkeypatch.setattr(budgets, "README", readme)
    monkeypatch.setattr(budgets, "BUDGETS", copies)
    for bits, table in ((64, budgets.table), (32, budgets.heaps)):
        before = budgets.load(bits)
        changed = {"heap_exchange": 123_456}
        budgets.record({"firstboot": {**changed, "time_us": 7}}, bits)
        after = budgets.load(bits)
        assert after["firstboot"] == {**before["firstboot"], **changed}
        assert after["bare"] == before["bare"]
        assert "123,456" in table() and table() in readme.read_text("utf-8")


def test_readme_shows_the_budgets():
    readme = budgets.README.read_text(encoding="utf-8")
    assert budgets.table() in readme and budgets.heaps() in readme
    assert readme == budgets.with_tables(readme), "python3 -m tools measure --record"


def test_the_figures_of_32_bits_were_recorded_with_this_firmware():
    """A module's bytes are the same on each: when they have changed, so have heaps."""
    small, large = (budgets.load(bits)["firstboot"] for bits in (32, 64))
    for key in ("mpy_coap", "mpy_all"):
        assert small[key] == pytest.approx(large[key], rel=0.02), (
            "python3 -m tools measure --micropython … --frozen … --record, as README.md says"
        )


def test_the_least_heap_holds_for_larger_ones_too():
    def works(heap: int) -> bool:
        return heap >= 5_000 and not 12_000 < heap < 14_000

    assert least_heap(works, 65536, step=128) == 14_080


def test_another_micropython_can_be_measured_on():
    with bench(micropython=Path(find_micropython().command)) as other, Responder() as responder:
        assert other.run("garbage", "bare", responder.port)["bytes"] > 0


def test_another_one_with_words_of_64_bits_is_not_recorded(monkeypatch):
    monkeypatch.setattr(budgets, "record", lambda *recorded: pytest.fail("it is recorded"))
    with pytest.raises(MeasureError, match="have 32 bits"):
        command.run([], False, False, Path(find_micropython().command), record=True)


def test_a_firmware_in_romfs_takes_less_heap(there: Bench):
    if not there.has_romfs:
        pytest.skip("this MicroPython has no ROMFS")
    with Responder() as responder:
        exchange = figures.heap_of_exchange_in_romfs(there, responder)
        power_up = PowerUps(there, responder, "romfs", "rp2").heap()
    recorded = budgets.load()["firstboot"]
    assert exchange < 0.85 * recorded["heap_exchange"]
    assert power_up < 0.8 * recorded["heap_power_up_mpy"]


def test_what_is_no_micropython_is_an_error():
    with (
        bench(micropython=Path(sys.executable)) as other,
        pytest.raises(MeasureError, match="garbage"),
    ):
        other.run("garbage", "bare", 9)


def test_a_thousand_exchanges_leave_the_heap_level(there: Bench):
    one, thousand = (there.run("grow", "exchanges", count)["level"] for count in (1, 1000))
    assert one == thousand


def test_a_larger_response_takes_heap_in_proportion(there: Bench):
    small, large = (there.run("grow", "block2", size)["allocated"] for size in (1024, 4096))
    assert large < 5 * small


@pytest.mark.parametrize("kind", ["download", "upload"])
def test_a_streamed_megabyte_takes_no_more_heap_than_two_kilobytes(there: Bench, kind):
    small, large = (growth.heap_of(there, kind, size) for size in (2048, 1 << 20))
    assert large <= small + 1024


def test_a_large_update_takes_no_more_heap_than_a_small_one(there: Bench):
    with Responder() as responder:
        ups = PowerUps(there, responder, "mpy")
        small, large = (ups.update_beyond(size)["block"] for size in (20_000, 120_000))
    assert large - small < 400


def test_goals_go_by_the_size_of_words():
    small, large = ({each.key: each.goal for each in judged(bits)} for bits in (32, 64))
    assert small["heap_exchange"] < large["heap_exchange"]
    assert small["heap_pico_w"] and large["heap_pico_w"] is None
    assert small["datagrams"] == large["datagrams"]


def test_a_refusal_and_a_mistake_are_said_in_a_heap_that_is_large_enough(there: Bench):
    with Responder() as responder:
        ups = PowerUps(there, responder, "mpy", "rp2")
        assert Path("firmware/power_up.py") in ups.loaded()
        responder.refuses = True
        what = "power_up", ups.new_flash(), 256
        assert there.succeeds(*what, heap=HIGHEST_HEAP, done="refused:", failed=NO_HEAP)
        assert len(responder.requests) > 1


def test_the_smallest_client_is_a_correct_one(there: Bench):
    """It waits for a separate response, takes no other, and acknowledges it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        answers = []

        def serve():
            request, client = server.recvfrom(1152)
            header, token = request[2:4], request[4:12]
            others = b"\x50\x41\x01\x02" + bytes(8), b"\x68\x41\x01\x02" + token
            critical = b"\x58\x41\x01\x03" + token + b"\x90"
            options = b"\xc1\x32\xd0\x01"  # Content-Format, and one that may be skipped
            response = b"\x48\x41\x01\x04" + token + options + b"\xff" + RESPONSE
            for datagram in (*others, critical, b"\x60\x00" + header, response):
                server.sendto(datagram, client)
            answers.append(server.recv(1152))

        thread = threading.Thread(target=serve)
        thread.start()
        found = there.run("once", "least", server.getsockname()[1])
        thread.join()
    assert found == {"token": TOKEN} and answers == [b"\x60\x00\x01\x04"]


def test_the_smallest_client_provisions_a_board(there: Bench):
    with Responder() as responder:
        saved = PowerUps(there, responder, "least").first()["saves"]
    assert [name for name, _ in saved] == ["/attempt.json", "/credentials.json"]


def test_a_refusal_is_taken_apart_when_most_is_on_the_heap(there: Bench):
    with Responder() as responder:
        ups = PowerUps(there, responder, "romfs" if there.has_romfs else "mpy", "rp2")
        granted = ups.fullest(HIGHEST_HEAP)
        responder.refuses = True
        refused = ups.fullest(HIGHEST_HEAP)
    assert "firmware.provisioning.recovery" in set(refused.loaded) - set(granted.loaded)
    assert refused.live > granted.live


def test_no_board_pays_for_the_names_of_stand_ins(there: Bench):
    with Responder() as responder:
        before, all_names = PowerUps(there, responder, "mpy").first()["names"]
    assert 0 < before < all_names


def test_every_module_is_weighed(there: Bench):
    weighed = modules.measure(there)
    assert weighed["firmware.coap.message"]["heap"] > weighed["firmware.coap.message"]["mpy"] > 0
    assert modules.table(weighed).row_count == len(weighed)
    order = list(weighed)
    assert order.index("firmware.errors") < order.index("firmware.coap.client")


def test_the_parts_of_a_figure_over_its_goal_add_up(there: Bench, measured):
    with Responder() as responder:
        slow = {**measured, **({"time_ratio": 1.75} if has_valgrind() else {})}
        parts = remainder.measure(there, responder, slow)
    assert set(parts) == {
        each.key for each in FIGURES if each.goal and slow.get(each.key, 0) > each.goal
    }
    for key, each in parts.items():
        assert sum(each.values()) == pytest.approx(slow[key])
        assert all(value > 0 for value in each.values()), key
    table = remainder.table(parts, slow, {})
    assert table.row_count == sum(len(each) + 1 for each in parts.values())
    shown = " ".join(parts["heap_power_up_mpy"])
    assert "modules of firmware/board, " in shown and "modules of firmware/coap, " in shown


def test_a_device_that_only_reports_loads_no_code_of_observations(there: Bench):
    with Responder() as responder:
        ups = PowerUps(there, responder, "mpy")
        ups.first()
        posts, observes = (
            set(there.run("device", ups.image, 1, each)["loaded"]) for each in (0, 1)
        )
    assert observes - posts == {
        "firmware.coap.observe",
        "firmware.observed",
        "firmware.thingsboard.attributes",
        "firmware.thingsboard.rpc",
    }
    assert not {"firmware.requests", "firmware.sleep"} & observes


def test_names_and_texts_of_an_mpy_are_told_apart(tmp_path: Path):
    source = tmp_path / "module.py"
    sizes = []
    for text in ("a text with blanks", "a text with blanks, longer"):
        source.write_text(f"def a_name_of_its_own():\n    return {text!r}\n")
        compile_to(tmp_path, [Path(source.name)], tmp_path)
        sizes.append(remainder.tables_of(source.with_suffix(".mpy").read_bytes()))
    (names, text), (same_names, longer_text) = sizes
    assert names == same_names > len("a_name_of_its_own")
    assert longer_text - text == len(", longer")


@pytest.mark.parametrize("width", [60, 80, 140, 200])
def test_no_number_is_cut_in_a_narrow_terminal(width):
    recorded = budgets.load()
    names = [*recorded, "aiocoap", "CoAPthon3"]
    measured = dict.fromkeys(names, recorded["firstboot"])
    console = Console(width=width, file=io.StringIO(), color_system=None)
    for table in report.tables(measured, width):
        console.print(table)
    shown = console.file.getvalue()
    assert "…" not in shown
    assert shown.count(f"{recorded['firstboot']['mpy_all']:,}") >= len(names)


def test_what_is_measured_can_be_shown():
    recorded = budgets.load()
    (table,) = report.tables(recorded, 140)
    assert table.row_count > len(FIGURES)
    row = dict.fromkeys(growth.COLUMNS, 1)
    assert growth.table({kind: {1: row} for kind in growth.KINDS}).row_count == len(growth.KINDS)


def test_goals_that_other_commands_measure_are_named():
    on_32, on_64 = io.StringIO(), io.StringIO()
    for bits, said in ((32, on_32), (64, on_64)):
        Console(file=said, width=140).print(report.elsewhere(bits))
        for verb in ("measure --pico-w", "test", "demo"):
            assert verb in said.getvalue()
    label = "32 bits: smallest heap for a refusal"
    assert label in on_64.getvalue() and label not in on_32.getvalue()


def test_the_broker_acknowledges_counts_and_calls():
    telemetry = b"v1/devices/me/telemetry"
    with Broker() as broker, socket.create_connection(("127.0.0.1", broker.port)) as device:
        device.settimeout(10)
        device.sendall(b"\x10\x02ab")
        assert device.recv(4, socket.MSG_WAITALL) == b"\x20\x02\x00\x00"
        body = len(telemetry).to_bytes(2, "big") + telemetry + b"\x00\x07{}"
        device.sendall(bytes((0x32, len(body))) + body)
        assert device.recv(4, socket.MSG_WAITALL) == b"\x40\x02\x00\x07"
        body = body.replace(b"\x00\x07", b"")
        device.sendall((bytes((0x30, len(body))) + body) * 4)
        found = b""
        while b"interval" not in found:
            found += device.recv(200)
        assert b"v1/devices/me/rpc/request/1{" in found
        if sys.platform == "linux":
            assert broker.traffic().segments > 6


def test_a_folder_is_told_for_what_it_holds(tmp_path: Path):
    for name in ("thingsboard_sdk/tb_device_mqtt.py", "sdk_core/device_mqtt.py"):
        with pytest.raises(ValueError, match="sdk_core"):
            peers.find(str(tmp_path))
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert peers.find(str(tmp_path)) == (peers.MQTT_SDK, tmp_path)
