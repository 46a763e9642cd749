"""Lines about requests, written beside them."""

import json
import logging
import threading
from typing import Any

import pytest

from tagger.service import access_log
from tagger.service.access_log import AccessLog
from tests.conftest import wait_until


def told(texts: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in "".join(texts).splitlines()]


def test_each_line_is_written_in_order_and_all_of_them_at_the_end() -> None:
    texts: list[str] = []
    log = AccessLog(texts.append)
    for number in range(500):
        log.add({"number": number})
    log.close()
    assert [line["number"] for line in told(texts)] == list(range(500))
    assert all(text.endswith("\n") for text in texts)


def test_lines_come_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    log = AccessLog()
    log.add({"route": "/a\nb"})
    log.close()
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {"route": "/a\nb"}


def test_where_nobody_reads_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
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
    found = told(texts)
    assert sum(line.get("left_out", 0) for line in found) == 89
    assert [line["number"] for line in found if "number" in line] == list(range(11))


def test_what_a_full_disk_did_not_take_is_counted_once_there_is_room(
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
    found = told(texts)
    left_out = sum(line.get("left_out", 0) for line in found)
    assert left_out + sum("number" in line for line in found) == 8 and left_out >= 1
    assert found[0].get("number") in (7, *range(1, 7))


def test_a_reader_that_has_gone_stops_the_lines_and_nothing_else(
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
    assert caplog.text.count("no longer told of") == 1
