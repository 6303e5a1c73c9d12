from __future__ import annotations

import logging
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from responders.echo import Echo
from responders.registry import GROUP, Registry, UnknownResponder
from responders.responder import LoadError, Responder
from tests.responders import zoo

pytestmark = pytest.mark.usefixtures("folder")

SHOUT = """
async def shout(prompt):
    yield prompt.text.upper()
"""


def offer(name, value):
    return EntryPoint(name, value, GROUP)


def test_built_ins_come_in_by_the_public_door():
    registry = Registry.discover()

    assert registry.default == "mock"
    assert {"echo", "mock"} <= {responder.name for responder in registry}
    assert registry.get("echo").options is Echo.Options


def test_a_responder_is_loaded_when_it_is_asked_for_and_once(folder):
    (folder / "lazy.py").write_text(SHOUT)
    sys.path.append(str(folder))
    registry = Registry(offered=[offer("loud", "lazy:shout")])
    early = "lazy" in sys.modules

    responder = registry.get("loud")

    assert not early
    assert responder.name == "loud"
    assert registry.get("loud") is responder


def test_an_unknown_name_is_refused():
    with pytest.raises(UnknownResponder) as refused:
        Registry().get("nobody")

    assert refused.value.name == "nobody"
    assert str(refused.value) == "There is no responder named 'nobody'."


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no_such_package:thing", "ModuleNotFoundError: No module named 'no_such_package'."),
        ("responders.echo:WORD", "broken cannot be called"),
        ("not a value", ""),
    ],
)
def test_a_broken_package_fails_by_name_and_is_left_out_of_the_list(value, reason, caplog):
    registry = Registry(offered=[offer("broken", value), offer("echo", "responders.echo:Echo")])

    with caplog.at_level(logging.WARNING, "responders.registry"):
        listed = [responder.name for responder in registry]
        for _ in range(2):
            with pytest.raises(LoadError, match="The responder broken ") as refused:
                registry.get("broken")

    assert listed == ["echo"]
    assert reason in str(refused.value)
    assert [record.message for record in caplog.records] == [str(refused.value)]


def test_responders_are_listed_in_the_order_of_their_names():
    registry = Registry([Responder(name, zoo.shout) for name in "cab"])

    assert [responder.name for responder in registry] == ["a", "b", "c"]


def test_an_added_responder_replaces_one_of_its_name():
    registry = Registry(offered=[offer("echo", "responders.echo:Echo")])
    mine = Responder("echo", zoo.shout)

    registry.add(mine)

    assert registry.get("echo") is mine


def test_a_package_cannot_take_the_name_of_a_built_in(caplog):
    with caplog.at_level(logging.WARNING, "responders.registry"):
        registry = Registry(offered=[offer("echo", "json:dumps"), offer("echo", "responders.echo:Echo")])

    assert registry.get("echo").options is Echo.Options
    assert "hidden" in caplog.text


def test_a_package_that_is_found_twice_is_no_news(caplog):
    Registry(offered=[offer("echo", "responders.echo:Echo")] * 2)

    assert not caplog.records


@pytest.mark.parametrize("name", ["echo", "mock"])
def test_the_default_is_a_registered_name(name):
    assert Registry.discover(name).default == name


def test_the_default_may_be_loaded_from_a_file(folder):
    (folder / "mine.py").write_text(SHOUT)

    registry = Registry.discover("./mine.py:shout")

    assert registry.default == "shout"
    assert "shout" in [responder.name for responder in registry]


@pytest.mark.parametrize(("default", "error"), [("nobody", UnknownResponder), ("nobody:shout", LoadError)])
def test_a_default_that_cannot_be_used_is_refused_at_once(default, error):
    with pytest.raises(error):
        Registry.discover(default)


def test_responders_import_nothing_of_the_server():
    for source in Path(zoo.__file__).parents[2].joinpath("responders").glob("*.py"):
        assert "import app" not in source.read_text()
        assert "from app" not in source.read_text()
