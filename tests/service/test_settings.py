"""Settings from the environment."""

from __future__ import annotations

import pytest

from tagger.errors import OptionError
from tagger.service.settings import Settings


def test_settings_come_from_the_environment() -> None:
    assert Settings.from_environment({}) == Settings(workers=Settings.from_environment({}).workers)
    settings = Settings.from_environment(
        {
            "TAGGER_MODEL": "pets",
            "TAGGER_PREDICT_TOKEN": "a",
            "TAGGER_WORKERS": "3",
            "TAGGER_QUEUE": "0",
            "TAGGER_CORS": "https://a.example, https://b.example",
            "TAGGER_KEEP_PHOTOS": "1",
        }
    )
    assert (settings.model, settings.predict_token, settings.admin_token) == ("pets", "a", None)
    assert (settings.workers, settings.queue, settings.keep_photos) == (3, 0, True)
    assert settings.cors == ("https://a.example", "https://b.example") and settings.needs_token


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TAGGER_WORKERS", "0"),
        ("TAGGER_WORKERS", "two"),
        ("TAGGER_QUEUE", "-1"),
        ("TAGGER_QUEUE", "²"),
        ("TAGGER_KEEP_PHOTOS", "maybe"),
        ("TAGGER_PREDICT_TOKEN", "two words"),
        ("TAGGER_ADMIN_TOKEN", "pässwort"),
        ("TAGGER_CORS", "example.org"),
        ("TAGGER_CORS", "https://a.example, *"),
        ("TAGGER_CORS", "https://a.example/"),
    ],
)
def test_settings_that_cannot_be_are_named(name: str, text: str) -> None:
    with pytest.raises(OptionError, match=name):
        Settings.from_environment({name: text})
