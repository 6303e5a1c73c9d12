from __future__ import annotations

import logging
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from responders.base import Prompt
from responders.echo import Echo
from responders.registry import GROUP, Registry, UnknownResponder, load
from responders.responder import LoadError, Responder
from tests.responders import zoo

SHOUT = """
async def shout(prompt):
    yield prompt.text.upper()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current folder, and an interpreter that forgets what was loaded from it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    modules = dict(sys.modules)
    yield tmp_path
    for name in sys.modules.keys() - modules.keys():
        del sys.modules[name]


def offer(name, value):
    return EntryPoint(name, value, GROUP)


async def ask(responder):
    prompt = Prompt("hello", options=responder.parse_options(None))
    return "".join([piece async for piece in responder.open(prompt)])


# --- load ---


async def test_a_module_in_the_current_folder_is_found(folder):
    (folder / "mine_in_folder.py").write_text(SHOUT)

    responder = load("mine_in_folder:shout")

    assert responder.name == "shout"
    assert await ask(responder) == "HELLO"


@pytest.mark.parametrize("place", ["./mine.py", "mine.py", "{folder}/mine.py", "sub/../mine.py"])
async def test_a_file_is_found(folder, place):
    (folder / "sub").mkdir()
    (folder / "mine.py").write_text(SHOUT)

    responder = load(place.format(folder=folder) + ":shout")

    assert responder.name == "shout"
    assert await ask(responder) == "HELLO"
    assert "mine" not in sys.modules


async def test_a_file_whose_options_are_annotated_in_text_is_understood(folder):
    (folder / "mine.py").write_text(
        "from __future__ import annotations\n"
        "import msgspec\n"
        "class Volume(msgspec.Struct):\n"
        "    level: int = 11\n"
        "class Loud:\n"
        "    class Options(msgspec.Struct):\n"
        "        volume: Volume = msgspec.field(default_factory=Volume)\n"
        "    async def __call__(self, prompt):\n"
        "        yield str(prompt.options.volume.level)\n"
    )

    responder = load("./mine.py:Loud")

    assert responder.name == "Loud"
    assert await ask(responder) == "11"


async def test_a_changed_file_is_run_anew(folder):
    (folder / "mine.py").write_text(SHOUT)
    first = load("./mine.py:shout")
    (folder / "mine.py").write_text(SHOUT.replace("upper()", "upper() + '!'"))

    second = load("./mine.py:shout")

    assert await ask(first) == "HELLO"
    assert await ask(second) == "HELLO!"


def test_files_of_one_name_are_kept_apart(folder):
    for name, number in (("a", 1), ("b", 2)):
        (folder / name).mkdir()
        (folder / name / "mine.py").write_text(SHOUT + f"\nNUMBER = {number}\n")

    one, two = load("a/mine.py:shout"), load("b/mine.py:shout")

    numbers = [sys.modules[module].NUMBER for module in sys.modules if module.endswith("_mine")]
    assert sorted(numbers) == [1, 2]
    assert (one.name, two.name) == ("shout", "shout")


def test_the_current_folder_comes_last_and_once(folder):
    before = list(sys.path)

    for _ in range(3):
        load("responders.echo:Echo")

    assert sys.path == [*before, str(folder)]


def test_the_current_folder_hides_no_installed_module(folder, monkeypatch):
    (folder / "colorsys.py").write_text("raise RuntimeError('hidden')")
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)

    with pytest.raises(LoadError, match="colorsys has no 'nothing'"):
        load("colorsys:nothing")


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("shout", "'shout' names no responder: write module:name or ./file.py:name."),
        ("", "'' names no responder"),
        ("good:", "'good:' names no responder"),
        (":shout", "':shout' names no responder"),
        ("no_such_module:shout", "There is no module named 'no_such_module' here or among the installed ones."),
        ("json.no_such:shout", "There is no module named 'json.no_such'"),
        ("no_such.inner:shout", "There is no module named 'no_such'"),
        ("./no_such.py:shout", "There is no file ./no_such.py."),
        ("no_such/:shout", "There is no file no_such/."),
        ("./notes.txt:shout", "./notes.txt is not a Python file"),
        ("good:shuot", "good has no 'shuot'."),
        ("./good.py:shuot", "./good.py has no 'shuot'."),
        ("good:NUMBER", "NUMBER cannot be called"),
        ("raising:shout", "Importing raising raised ValueError: two lines of trouble."),
        ("./raising.py:shout", "Running ./raising.py raised ValueError: two lines of trouble."),
        ("leaving:shout", "Importing leaving raised SystemExit: 3."),
        ("./leaving.py:shout", "Running ./leaving.py raised SystemExit: 3."),
        ("./wrong.py:shout", "Running ./wrong.py raised SyntaxError: "),
        ("wanting:shout", "Importing wanting raised ModuleNotFoundError: No module named 'no_such_thing'."),
        ("..good:shout", "Importing ..good raised "),
    ],
)
def test_what_cannot_be_loaded_is_told_in_one_sentence(folder, target, sentence):
    (folder / "good.py").write_text(SHOUT + "\nNUMBER = 4\n")
    (folder / "raising.py").write_text("raise ValueError('two lines\\nof trouble.')")
    (folder / "leaving.py").write_text("raise SystemExit(3)")
    (folder / "wrong.py").write_text("async def shout(prompt:")
    (folder / "wanting.py").write_text("import no_such_thing")
    (folder / "notes.txt").write_text("not code")

    with pytest.raises(LoadError) as refused:
        load(target)

    assert str(refused.value).startswith(sentence)
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)


def test_a_file_that_fails_leaves_no_module_behind(folder):
    (folder / "mine.py").write_text("raise ValueError")
    before = set(sys.modules)

    with pytest.raises(LoadError):
        load("./mine.py:shout")

    assert set(sys.modules) == before


# --- the registry ---


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
