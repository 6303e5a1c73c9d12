"""Code that is loaded, and loaded again when it has changed."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import sys
import threading
import weakref

import pytest

from responders import registry as registry_module
from responders.base import Prompt
from responders.registry import Registry
from responders.responder import LoadError
from responders.source import Source, load

pytestmark = pytest.mark.usefixtures("folder")

SHOUT = """
async def shout(prompt):
    yield prompt.text.upper()
"""
HELPED = """
import helpers

async def shout(prompt):
    yield helpers.MARK
"""


async def ask(responder):
    prompt = Prompt("hello", options=responder.parse_options(None))
    return "".join([piece async for piece in responder.open(prompt)])


def write(folder, name="mine.py", text=SHOUT, *, mark="HELLO"):
    """Write a file that answers with a mark; files of marks of one length look alike from outside."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.replace("prompt.text.upper()", repr(mark)))
    for changed in (path, path.parent):
        os.utime(changed, (1_000_000_000, 1_000_000_000))


async def answer(registry, name="shout"):
    await registry.refresh(name, asyncio.Event())
    return await ask(registry.get(name))


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
        ("raising:shout", "Importing raising raised ValueError: two lines of trouble (raising.py, line 1)."),
        ("./raising.py:shout", "Running ./raising.py raised ValueError: two lines of trouble (raising.py, line 1)."),
        ("leaving:shout", "Importing leaving raised SystemExit: 3 (leaving.py, line 1)."),
        ("./leaving.py:shout", "Running ./leaving.py raised SystemExit: 3 (leaving.py, line 1)."),
        ("./wrong.py:shout", "Running ./wrong.py raised SyntaxError: "),
        (
            "wanting:shout",
            "Importing wanting raised ModuleNotFoundError: No module named 'no_such_thing' (wanting.py, line 1).",
        ),
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


# --- loaded again ---


@pytest.mark.parametrize("target", ["./mine.py:shout", "mine:shout", "sub/mine.py:shout", "pack.mine:shout"])
async def test_the_next_prompt_runs_what_the_file_says_now(folder, target, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # what is kept compiled must not be taken for new
    name = target.partition(":")[0].removesuffix(".py").replace(".", "/").removeprefix("/") + ".py"
    write(folder, name.removeprefix("/"), mark="one")
    registry = Registry.discover(target, reload=True)
    first = await answer(registry)

    write(folder, name.removeprefix("/"), mark="two")

    assert (first, await answer(registry), registry.default) == ("one", "two", "shout")


async def test_without_reload_a_changed_file_is_not_looked_at(folder):
    write(folder, mark="one")
    registry = Registry.discover("./mine.py:shout")

    write(folder, mark="two")

    assert await answer(registry) == "one"


async def test_what_the_file_imports_from_beside_it_counts(folder):
    (folder / "mine.py").write_text(HELPED)
    write(folder, "helpers.py", "MARK = prompt.text.upper()", mark="one")
    registry = Registry.discover("./mine.py:shout", reload=True)
    first = await answer(registry)

    write(folder, "helpers.py", "MARK = prompt.text.upper()", mark="two")

    assert (first, await answer(registry)) == ("one", "two")


@pytest.mark.parametrize("marker", ["__init__.py", "other.py"])
async def test_modules_of_a_package_beside_it_count_with_and_without_an_init(folder, marker):
    (folder / "mine.py").write_text(HELPED.replace("import helpers", "import pack.inner as helpers"))
    write(folder, f"pack/{marker}", "")
    write(folder, "pack/inner.py", "MARK = prompt.text.upper()", mark="one")
    registry = Registry.discover("./mine.py:shout", reload=True)

    write(folder, "pack/inner.py", "MARK = prompt.text.upper()", mark="two")

    assert await answer(registry) == "two"


async def test_what_is_installed_in_a_folder_beside_it_stays(folder, monkeypatch):
    installed = folder / ".venv" / "lib" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "helpers.py").write_text("MARK = 'one'")
    monkeypatch.syspath_prepend(installed)
    write(folder, text=HELPED)
    registry = Registry.discover("./mine.py:shout", reload=True)
    helpers = sys.modules["helpers"]

    write(folder, text=HELPED + "# changed")
    await answer(registry)

    assert sys.modules["helpers"] is helpers


async def test_what_belongs_to_a_package_that_others_had_imported_stays(folder):
    write(folder, "pack/__init__.py", "")
    write(folder, "pack/inner.py", "")
    sys.path.append(str(folder))
    importlib.import_module("pack")
    write(folder, text="from pack import inner\n" + SHOUT)
    registry = Registry.discover("./mine.py:shout", reload=True)
    inner = sys.modules["pack.inner"]

    write(folder, text="from pack import inner\n" + SHOUT, mark="two")

    assert await answer(registry) == "two"
    assert sys.modules["pack.inner"] is inner


async def test_what_others_had_imported_before_stays(folder):
    write(folder, text="from responders import base, prose\nimport json\n" + SHOUT)
    before = dict(sys.modules)
    registry = Registry.discover("./mine.py:shout", reload=True)

    write(folder, text="from responders import base, prose\nimport json\n" + SHOUT, mark="two")

    assert await answer(registry) == "two"
    assert {name for name, module in before.items() if sys.modules.get(name) is not module} == set()


async def test_an_unchanged_file_is_not_run_again(folder):
    write(folder)
    registry = Registry.discover("./mine.py:shout", reload=True)
    first = registry.get("shout")

    (folder / "mine.py").touch()
    await registry.refresh(None, asyncio.Event())

    assert registry.get("shout") is first


async def test_prompts_at_the_same_time_load_once_and_wait_for_it(folder):
    write(folder)
    registry = Registry.discover("./mine.py:shout", reload=True)
    counted = "with Path('runs').open('a') as f:\n    f.write('x')\n"
    write(folder, text=f"import time\nfrom pathlib import Path\ntime.sleep(0.05)\n{counted}{SHOUT}", mark="two")

    answers = await asyncio.gather(*(answer(registry) for _ in range(20)))

    assert set(answers) == {"two"}
    assert (folder / "runs").read_text() == "x"


async def test_a_long_load_leaves_the_loop_free_and_outlives_a_caller_that_is_cancelled(folder):
    write(folder)
    registry = Registry.discover("./mine.py:shout", reload=True)
    held = "import threading\n[t] = [t for t in threading.enumerate() if t.name == 'gate']\nt.begun.set()\nt.join(20)\n"
    write(folder, "other.py", "")
    opened = threading.Event()
    gate = threading.Thread(target=opened.wait, args=(20,), name="gate", daemon=True)
    gate.begun = threading.Event()
    gate.start()
    write(folder, text=held + SHOUT, mark="two")

    caller = asyncio.create_task(answer(registry))
    await asyncio.to_thread(gate.begun.wait, 20)
    began = loads()
    caller.cancel()
    later = asyncio.create_task(answer(registry))
    for _ in range(100):
        await asyncio.sleep(0)
    waits = not later.done() and loads() == 1
    importlib.import_module("other")
    opened.set()

    assert began == 1
    assert waits
    assert await later == "two"
    other = sys.modules["other"]
    write(folder, mark="three")
    assert await answer(registry) == "three"
    assert sys.modules["other"] is other


def loads():
    return sum(thread.name == "load-responder" for thread in threading.enumerate())


# --- loads that do not come back ---

HELD = """
import threading
for gate in [t for t in threading.enumerate() if t.name == "gate"]:
    gate.begun.set()
    gate.opened.wait(20)
"""


@pytest.fixture
def gate():
    """What the code HELD waits for; it opens at the end at the latest, and the loads come back before the next test."""
    opened = threading.Event()
    gate = threading.Thread(target=opened.wait, args=(40,), name="gate", daemon=True)
    gate.opened, gate.begun = opened, threading.Event()
    gate.start()
    yield gate
    opened.set()
    come_back()


def come_back():
    for thread in threading.enumerate():
        if thread.name in ("load-responder", "gate"):
            thread.join(20)


async def given_up(registry):
    """Ask while the code is HELD, and return what is said of it."""
    with pytest.MonkeyPatch.context() as shorter:
        shorter.setattr(registry_module, "LOAD_SECONDS", 0.5)
        with pytest.raises(LoadError) as refused:
            await answer(registry)
    return str(refused.value)


@pytest.mark.parametrize("target", ["./mine.py:shout", "mine:shout"])
@pytest.mark.usefixtures("gate")
async def test_a_load_that_does_not_come_back_is_told_and_the_mended_code_is_loaded(folder, target, caplog):
    write(folder, mark="one")
    registry = Registry.discover(target, reload=True)
    modules = dict(sys.modules)
    write(folder, text=HELD + SHOUT)

    with caplog.at_level(logging.WARNING, "responders.registry"):
        said = await given_up(registry)
    left = dict(sys.modules)
    promised = await ask(registry.last("shout"))
    write(folder, mark="two")

    assert said == "Loading it did not end within 0.5 seconds."
    assert said in caplog.text
    assert left == modules
    assert promised == "one"
    assert await answer(registry) == "two"


@pytest.mark.usefixtures("gate")
async def test_a_helper_that_does_not_come_back_can_be_mended(folder):
    write(folder, text=HELPED)
    write(folder, "helpers.py", "MARK = 'one'")
    registry = Registry.discover("./mine.py:shout", reload=True)
    helpers = sys.modules["helpers"]
    write(folder, "helpers.py", HELD)

    await given_up(registry)
    left = sys.modules["helpers"]
    write(folder, "helpers.py", "MARK = 'two'")

    assert left is helpers
    assert await answer(registry) == "two"


async def test_code_that_did_not_come_back_runs_again_when_it_has_changed_or_ended(folder, gate):
    write(folder, mark="one")
    registry = Registry.discover("./mine.py:shout", reload=True)
    write(folder, text=f"with open('runs', 'a') as f:\n    f.write('x')\n{HELD}{SHOUT}", mark="two")

    said = [await given_up(registry) for _ in range(3)]
    runs = (folder / "runs").read_text()
    gate.opened.set()
    come_back()

    assert (len(set(said)), runs) == (1, "x")
    assert await answer(registry) == "two"


@pytest.mark.parametrize("ending", ["", "import other", "raise ValueError", "raise SystemExit"])
async def test_what_was_given_up_changes_nothing_when_it_ends(folder, gate, ending):
    write(folder, text=HELPED)
    write(folder, "helpers.py", "MARK = 'one'")
    write(folder, "other.py", "")
    registry = Registry.discover("./mine.py:shout", reload=True)
    write(folder, "helpers.py", f"{HELD}\nMARK = 'late'\n{ending}")
    await given_up(registry)
    write(folder, "helpers.py", "MARK = 'two'")
    new = await answer(registry)
    responder, modules = registry.get("shout"), dict(sys.modules)

    gate.opened.set()
    come_back()

    assert new == "two"
    assert sys.modules == modules
    assert await answer(registry) == "two"
    assert registry.get("shout") is responder
    assert not [finder for finder in sys.meta_path if hasattr(finder, "given_up")]


async def test_a_prompt_to_another_responder_waits_for_no_load(folder, gate):
    write(folder)
    registry = Registry.discover("./mine.py:shout", reload=True)
    write(folder, text=HELD + SHOUT)

    waits = [asyncio.create_task(registry.refresh(name, asyncio.Event())) for name in ("shout", None)]
    await asyncio.to_thread(gate.begun.wait, 20)
    other = await answer(registry, "echo")

    assert other == "hello"
    assert not any(task.done() for task in waits)
    gate.opened.set()
    await asyncio.gather(*waits)


async def test_nobody_waits_for_a_load_once_the_end_has_begun(folder, gate):
    write(folder)
    registry = Registry.discover("./mine.py:shout", reload=True)
    write(folder, text=HELD + SHOUT)
    end = asyncio.Event()

    waits = [asyncio.create_task(registry.refresh("shout", end)) for _ in range(3)]
    await asyncio.to_thread(gate.begun.wait, 20)
    end.set()
    await asyncio.gather(*waits)

    assert not gate.opened.is_set()
    gate.opened.set()
    assert await answer(registry) == "HELLO"


BROKEN = [
    ("async def shout(prompt:", "SyntaxError: '(' was never closed (mine.py, line 1)."),
    ("\nx = no_such_thing\n", "NameError: name 'no_such_thing' is not defined (mine.py, line 2)."),
    ("raise SystemExit(3)", "SystemExit: 3 (mine.py, line 1)."),
    ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ("import helpers\n" + SHOUT, "No module named 'helpers' (mine.py, line 1)."),
    ("", "./mine.py has no 'shout'."),
    ("shout = 4", "shout cannot be called"),
    ("\0", "SyntaxError"),
    ("é = '\ud800'", "SyntaxError"),
    (None, "There is no file ./mine.py."),
]


@pytest.mark.parametrize(("text", "sentence"), BROKEN, ids=range(len(BROKEN)))
async def test_code_that_does_not_load_is_told_until_it_does(folder, text, sentence, caplog):
    write(folder, mark="one")
    registry = Registry.discover("./mine.py:shout", reload=True)
    assert "shout" in [responder.name for responder in registry]
    modules = dict(sys.modules)
    if text is None:
        (folder / "mine.py").unlink()
    else:
        (folder / "mine.py").write_bytes(text.encode("utf-8", "surrogatepass"))

    with caplog.at_level(logging.WARNING, "responders.registry"):
        for _ in range(2):
            with pytest.raises(LoadError) as refused:
                await answer(registry)
    listed = [responder.name for responder in registry]
    promised = await ask(registry.last("shout"))
    broken = dict(sys.modules)
    write(folder, mark="two")

    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "does not load any more" in caplog.text
    assert "shout" not in listed
    assert "mock" in listed
    assert promised == "one"
    assert broken == modules
    assert await answer(registry) == "two"


async def test_a_module_that_was_missing_counts_as_soon_as_it_is_there(folder):
    write(folder)
    registry = Registry.discover("./mine.py:shout", reload=True)
    write(folder, text=HELPED)
    with pytest.raises(LoadError):
        await answer(registry)

    write(folder, "helpers.py", "MARK = 'there'")

    assert await answer(registry) == "there"


async def test_a_broken_helper_is_named_with_its_line(folder):
    (folder / "mine.py").write_text(HELPED)
    (folder / "helpers.py").write_text("MARK = 'one'")
    registry = Registry.discover("./mine.py:shout", reload=True)

    (folder / "helpers.py").write_text("\n\nMARK = 1 / 0")

    with pytest.raises(LoadError, match=r"division by zero \(helpers.py, line 3\)"):
        await answer(registry)


async def test_a_broken_responder_does_not_refuse_the_others(folder):
    write(folder)
    registry = Registry.discover("./mine.py:shout", reload=True)

    (folder / "mine.py").write_text("(")

    assert await answer(registry, "echo") == "hello"


async def test_what_runs_finishes_on_the_old_code_and_nothing_old_stays_after_it(folder):
    write(folder, text=HELPED.replace("yield", "yield 'old '; yield"))
    (folder / "helpers.py").write_text("MARK = 'one'")
    registry = Registry.discover("./mine.py:shout", reload=True)
    running = registry.get("shout").open(Prompt("hello"))
    old = weakref.ref(sys.modules["helpers"])
    first = await anext(running)

    (folder / "helpers.py").write_text("MARK = 'two'")
    new = await answer(registry)
    rest = [piece async for piece in running]
    del running
    gc.collect()

    assert (first, rest, new) == ("old ", ["one"], "old two")
    assert old() is None


def test_a_hundred_loads_leave_one_behind(folder):
    (folder / "mine.py").write_text(HELPED)
    source = Source("./mine.py:shout")
    modules = weakref.WeakSet()
    for number in range(100):
        (folder / "helpers.py").write_text(f"MARK = '{number}'" if number % 3 else "oh no")
        try:
            source.newer()
        except LoadError:
            continue
        modules.update(sys.modules[name] for name in sys.modules if name == "helpers" or name.endswith("_mine"))

    gc.collect()

    assert len(modules) == 2
    assert len(sys.meta_path) == len(set(map(id, sys.meta_path)))
