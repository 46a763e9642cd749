"""The request log: order, dropped lines, a full disk, a reader that has gone."""

import json
import logging
import threading
from typing import Any

import pytest

from tagger.service import access_log
from tagger.service.access_log import AccessLog
from tests.conftest import wait_until


def parse_lines(texts: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in "".join(texts).splitlines()]


def test_all_lines_are_written_in_order_by_the_time_it_is_closed() -> None:
    texts: list[str] = []
    log = AccessLog(texts.append)
    for number in range(500):
        log.add({"number": number})
    log.close()
    assert [line["number"] for line in parse_lines(texts)] == list(range(500))
    assert all(text.endswith("\n") for text in texts)


def test_lines_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    log = AccessLog()
    log.add({"route": "/a\nb"})
    log.close()
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {"route": "/a\nb"}


def test_adding_never_blocks_and_dropped_lines_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "MAX_QUEUED", 10)
    texts: list[str] = []
    reading = threading.Event()
    writing = threading.Event()

    def write(text: str) -> None:
        writing.set()
        assert reading.wait(10)
        texts.append(text)

    log = AccessLog(write)
    log.add({"number": 0})
    assert writing.wait(10)
    for number in range(1, 100):
        log.add({"number": number})
    reading.set()
    log.close()
    lines = parse_lines(texts)
    assert sum(line.get("left_out", 0) for line in lines) == 89
    assert [line["number"] for line in lines if "number" in line] == list(range(11))


def test_lines_lost_to_a_full_disk_are_counted_once_there_is_room(
    caplog: pytest.LogCaptureFixture,
) -> None:
    texts: list[str] = []
    full = threading.Event()
    full.set()
    tried = threading.Event()

    def write(text: str) -> None:
        if full.is_set():
            tried.set()
            raise OSError(28, "No space left on device")
        texts.append(text)

    log = AccessLog(write)
    for number in range(7):
        log.add({"number": number})
    assert tried.wait(10)
    wait_until(lambda: "No space left" in caplog.text)
    full.clear()
    log.add({"number": 7})
    log.close()
    lines = parse_lines(texts)
    left_out = sum(line.get("left_out", 0) for line in lines)
    assert left_out + sum("number" in line for line in lines) == 8 and left_out >= 1
    assert lines[0].get("number") in (7, *range(1, 7))


def test_a_reader_that_has_gone_ends_the_log_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def write(text: str) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    with caplog.at_level(logging.WARNING):
        log = AccessLog(write)
        for number in range(10):
            log.add({"number": number})
        log.close()
        log.add({"number": 10})
        log.close()
    assert caplog.text.count("no longer logged") == 1
