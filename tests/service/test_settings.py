"""Settings from the environment."""

from __future__ import annotations

import pytest

from tagger.concurrency import worker_count
from tagger.errors import OptionError
from tagger.service.settings import Settings
from tests.service.service_process import VARIABLES


def test_defaults_and_empty_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = Settings()
    assert (defaults.model, defaults.workers, defaults.queue) == (None, worker_count(), 32)
    assert not defaults.needs_token and not defaults.keep_photos and defaults.cors == ()
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
    assert Settings() == defaults


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = Settings()
    for name, text in {
        "TAGGER_MODEL": "pets",
        "TAGGER_PREDICT_TOKEN": "a",
        "TAGGER_WORKERS": "3",
        "TAGGER_QUEUE": "0",
        "TAGGER_REQUEST_SECONDS": "7",
        "TAGGER_CORS": "https://a.example, https://b.example",
        "TAGGER_KEEP_PHOTOS": "1",
        "TAGGER_OPEN_INVOCATIONS": "Yes",
        "TAGGER_EMBED_PHOTOS": "0",
    }.items():
        monkeypatch.setenv(name, text)
    settings = Settings()
    assert (settings.model, settings.predict_token, settings.admin_token) == ("pets", "a", None)
    assert (settings.workers, settings.queue, settings.request_seconds) == (3, 0, 7)
    assert settings.cors == ("https://a.example", "https://b.example")
    assert defaults.embed_photos and not settings.embed_photos
    assert settings.keep_photos and settings.open_invocations and settings.needs_token


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TAGGER_WORKERS", "0"),
        ("TAGGER_WORKERS", "two"),
        ("TAGGER_WORKERS", "3.0"),
        ("TAGGER_QUEUE", "-1"),
        ("TAGGER_QUEUE", "²"),
        ("TAGGER_REQUEST_SECONDS", " 5"),
        ("TAGGER_KEEP_PHOTOS", "maybe"),
        ("TAGGER_EMBED_PHOTOS", "later"),
        ("TAGGER_PREDICT_TOKEN", "two words"),
        ("TAGGER_ADMIN_TOKEN", "pässwort"),
        ("TAGGER_CORS", "example.org"),
        ("TAGGER_CORS", "https://a.example, *"),
        ("TAGGER_CORS", "https://a.example/"),
    ],
)
def test_an_invalid_variable_is_named(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(OptionError, match=name):
        Settings()


def test_the_error_for_a_token_does_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGGER_ADMIN_TOKEN", "my secret")
    with pytest.raises(OptionError) as raised:
        Settings()
    assert "secret" not in str(raised.value)


def test_only_the_exact_names_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("tagger_admin_token", "other")
    monkeypatch.setenv("Tagger_Queue", "1")
    assert Settings() == Settings(admin_token=None, queue=32)
