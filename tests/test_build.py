"""The build of the pages: only when a source has changed, and a failure leaves what was there."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest
from hatchling.bridge.app import Application

ROOT = Path(__file__).resolve().parent.parent
spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
assert spec
assert spec.loader
hatch_build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(hatch_build)


def hook(root: Path) -> Any:
    return hatch_build.Pages(str(root), {}, None, None, "", "wheel", Application())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree whose page was built from other sources, with a lock that npm cannot read."""
    shutil.copytree(ROOT / "web", tmp_path / "web", ignore=shutil.ignore_patterns("node_modules"))
    (tmp_path / "web" / "package-lock.json").write_text("{")
    (tmp_path / "app" / "static").mkdir(parents=True)
    (tmp_path / "app" / "static" / "index.html").write_text("the old page")
    (tmp_path / "app" / "static" / "made-from").write_text("other sources")
    return tmp_path


def test_what_is_served_was_made_from_these_sources():
    assert (ROOT / "app" / "static" / "made-from").read_text() == hook(ROOT).digest(), "run: make install"


def test_nothing_is_built_where_nothing_has_changed(tree):
    (tree / "app" / "static" / "made-from").write_text(hook(tree).digest())

    hook(tree).initialize("standard", {})

    assert (tree / "app" / "static" / "index.html").read_text() == "the old page"


@pytest.mark.parametrize("name", ["index.html", "package.json", "package-lock.json", "vite.config.ts", "src/page.css"])
def test_every_source_counts(tree, name):
    before = hook(tree).digest()

    (tree / "web" / name).write_text("/* changed */")

    assert hook(tree).digest() != before


def test_a_file_that_comes_or_goes_counts(tree):
    before = hook(tree).digest()

    (tree / "web" / "src" / "new.ts").write_text("")
    after = hook(tree).digest()
    (tree / "web" / "src" / "new.ts").unlink()

    assert after != before
    assert hook(tree).digest() == before


@pytest.mark.slow
def test_a_build_that_fails_says_so_in_a_sentence_and_leaves_the_old_page(tree, capfd):
    with pytest.raises(SystemExit) as ended:
        hook(tree).initialize("standard", {})

    assert ended.value.code == 1
    assert "The page could not be built" in capfd.readouterr().err
    assert (tree / "app" / "static" / "index.html").read_text() == "the old page"
    assert [path.name for path in (tree / "app").iterdir()] == ["static"]
