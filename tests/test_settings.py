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
    *(("ALLOWED_HOSTS", value) for value in ["*", "a:80", "a,,b", "https://a", "::1", "a b", ".a", "a.", ","]),
    *(
        ("ALLOWED_ORIGINS", value)
        for value in ["*", "null", "a", "https://a/", "ftp://a", "https://a b", "https://u@a"]
    ),
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
    assert Settings.read({"PORT": "1", "tickertape_port": "2", "TICKERTAPEWORM": "3"}) == Settings()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("MAX_STREAM", "did you mean TICKERTAPE_MAX_STREAMS?"),
        ("ALLOWED_HOST", "did you mean TICKERTAPE_ALLOWED_HOSTS?"),
        ("PROT", "did you mean TICKERTAPE_PORT?"),
        ("XYZZY", "`tickertape config` lists all that there are."),
        ("", "`tickertape config` lists all that there are."),
    ],
)
def test_a_variable_that_is_misspelt_is_refused_with_the_name_that_may_be_meant(name, hint):
    with pytest.raises(StartError) as refused:
        Settings.read({f"TICKERTAPE_{name}": "1"})

    assert str(refused.value) == f"There is no setting TICKERTAPE_{name}; {hint}"


@pytest.mark.parametrize(
    ("name", "value", "form"),
    [
        ("PORT", "eighty", "a whole number from 0 to 65535"),
        ("ALLOW_REMOTE", "yes", "true or false"),
        ("DRAIN_SECONDS", "soon", "a number from 0 to 86400"),
        ("REPLY_IDLE_SECONDS", "0", "a number above 0 to 86400"),
    ],
)
def test_a_refusal_says_what_a_setting_has_to_be(name, value, form):
    with pytest.raises(StartError) as refused:
        Settings.read({f"TICKERTAPE_{name}": value})

    assert str(refused.value) == f"The setting TICKERTAPE_{name} is not valid: it has to be {form}."


@pytest.mark.parametrize("value", ["tape.example", "a, b.example ,[fd00::1]", "10.0.0.7", " x "])
def test_allowed_hosts_are_names_and_addresses(value):
    assert Settings.read({"TICKERTAPE_ALLOWED_HOSTS": value}).allowed_hosts == value


@pytest.mark.parametrize("value", ["https://tape.example", "http://localhost:5173, https://[fd00::1]:8443"])
def test_allowed_origins_are_what_browsers_send(value):
    assert Settings.read({"TICKERTAPE_ALLOWED_ORIGINS": value}).allowed_origins == value


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
