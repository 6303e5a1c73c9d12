"""Settings from the environment and the command line."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from app.errors import StartError
from app.settings import Settings

REFUSED = [
    ("PORT", "eighty"),
    ("PORT", "-1"),
    ("PORT", "65536"),
    ("PORT", "9" * 5000),
    ("PORT", " 80"),
    ("PORT", "8_0"),
    ("PORT", "٨٠"),
    ("PORT", "80.5"),
    ("ALLOW_REMOTE", "yes"),
    ("ALLOW_REMOTE", "2"),
    ("DRAIN_SECONDS", "nan"),
    ("DRAIN_SECONDS", "inf"),
    ("DRAIN_SECONDS", "-0.1"),
    ("DRAIN_SECONDS", "1e9"),
    ("MAX_RUNNING", "0"),
    ("MAX_PROMPT_BYTES", "0"),
    ("MAX_REPLY_BYTES", "1073741825"),
    ("MAX_MESSAGES", "many"),
]


def test_nothing_has_to_be_set():
    assert Settings.read({}) == Settings()


def test_a_variable_sets_what_its_name_says():
    environment = {
        "TICKERTAPE_PORT": "9000",
        "TICKERTAPE_DATA": "/var/lib/tickertape",
        "TICKERTAPE_ALLOW_REMOTE": "true",
        "TICKERTAPE_DRAIN_SECONDS": "0.5",
        "TICKERTAPE_RESPONDER": "./mine.py:shout",
    }

    settings = Settings.read(environment)

    assert settings == Settings(
        port=9000, data="/var/lib/tickertape", allow_remote=True, drain_seconds=0.5, responder="./mine.py:shout"
    )


def test_other_variables_are_not_ours():
    assert Settings.read({"PORT": "1", "tickertape_port": "2", "TICKERTAPE_ANYTHING": "3"}) == Settings()


def test_an_empty_variable_is_not_set():
    assert Settings.read({"TICKERTAPE_PORT": "", "TICKERTAPE_HOST": ""}) == Settings()


def test_an_option_goes_before_a_variable_and_one_that_is_not_given_does_not():
    settings = Settings.read({"TICKERTAPE_PORT": "1", "TICKERTAPE_HOST": "::1"}, {"port": 2, "host": None})

    assert (settings.port, settings.host) == (2, "::1")


def test_an_option_may_be_zero_or_false():
    settings = Settings.read(
        {"TICKERTAPE_PORT": "1", "TICKERTAPE_ALLOW_REMOTE": "1"}, {"port": 0, "allow_remote": False}
    )

    assert (settings.port, settings.allow_remote) == (0, False)


@pytest.mark.parametrize(("name", "value"), REFUSED, ids=lambda text: text[:20])
def test_a_value_that_makes_no_sense_is_refused_by_the_name_of_its_variable(name, value):
    with pytest.raises(StartError, match=f"^The setting TICKERTAPE_{name} is not valid: .*\\.$"):
        Settings.read({f"TICKERTAPE_{name}": value})


def test_an_option_that_makes_no_sense_is_refused_as_well():
    with pytest.raises(StartError, match="TICKERTAPE_PORT"):
        Settings.read({}, {"port": -5})


def test_the_data_folder_may_be_at_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))

    assert Settings(data="~/tape").folder == tmp_path / "tape"
    assert Settings().folder == Path("data")


def test_every_setting_says_what_it_is():
    (schema,), definitions = msgspec.json.schema_components([Settings])
    properties = definitions["Settings"]["properties"]

    assert schema
    assert [name for name, field in properties.items() if not field.get("description", "").endswith(".")] == []
