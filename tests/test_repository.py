"""The repository's own rules: locks without hosts, the layers of the house, and what the code must not hold."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"

# The layers, from the bottom to the top. A module may import from the lines below its own; modules on one line leave
# each other alone, but for those of one package (`app.api.*`), which keep an order of their own without circles.
# An exact name wins over a pattern. A new module in app/ is added to the line that it belongs on.
LAYERS = """
    responders.base
    app.ids | app.errors | app.characters | app.words | app.cadence | app.client | app.terminal
    app.settings | app.titles
    app.messages
    app.events | app.exports | app.branches
    app.history
    app.engine.base
    app.tail | app.engine.*
    app.subscription
    app.tails | app.resume | app.writer | app.listing
    app.log
    responders.*
    app.continuing | app.turns
    app.runner | app.codecs.* | app.snapshots | app.idempotency | app.questions | app.retold
    app.running
    app.departures
    app.conversations | app.broadcast | app.search | app.imports
    app.api.*
    app.main | app.handover | app.heads
    app.outgoing
    app.protocol
    app.server | app.chat
    app.cli
    app
"""

# Modules that only some may name, wherever these stand.
ONLY_NAMED_BY = {
    "app.engine.sqlite": ["app.main"],  # everybody else knows the contract, engine.base
    "app.engine.index": ["app.main"],
    "app.main": ["app", "app.server", "app.cli"],
    "app.client": ["app.chat"],  # it speaks to the server over HTTP, so it knows nothing of the house
    "responders.echo": ["responders.*"],  # the server finds built-ins by the door that is open to everybody
    "responders.mock": ["responders.*"],
    "responders.openai": ["responders.*"],
}

LONGEST_FILE = 300
LONGER_FILES: dict[str, str] = {}  # "app/name.py": "the reason"

BANNED_IN_CLASS_NAMES = {"Manager", "Service", "Handler", "Hub"}
BANNED_IN_FILE_NAMES = {"utils"}

TEXT_LOCKS = ["constraints.txt"]
JSON_LOCKS = ["package-lock.json", "npm-shrinkwrap.json"]
LOCKS_WITH_HOSTS = ["uv.lock", "pylock.toml", "poetry.lock", "Pipfile.lock", "yarn.lock", "pnpm-lock.yaml"]
PROSE_IN_JSON_LOCKS = {"funding", "deprecated"}  # the authors' words, which may hold links

# --- locks ---


def repository_files() -> list[Path]:
    """Every file that git tracks; where there is no git, every file outside of environments and caches."""
    try:
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        listing = ""
    if listing:
        return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]
    apart = {".git", ".venv", "node_modules", "dist", "build"}
    return [path for path in ROOT.rglob("*") if path.is_file() and not apart.intersection(path.parts)]


def locked_versions() -> dict[str, str]:
    text = (ROOT / "constraints.txt").read_text("utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, flags=re.MULTILINE))


def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def strings(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Every string in a JSON value that is not prose, with the path that leads to it."""
    match value:
        case str():
            yield path, value
        case dict():
            for key, item in value.items():
                if key not in PROSE_IN_JSON_LOCKS:
                    yield from strings(item, f"{path}/{key}")
        case list():
            for index, item in enumerate(value):
                yield from strings(item, f"{path}/{index}")


def host_lines(lock: str) -> list[str]:
    """The lines of a text lock that are neither a pinned package nor its hash: options, URLs, paths, comments."""
    package = r"[a-z0-9][a-z0-9.-]*==[a-z0-9.!+]+( ; [A-Za-z_0-9 .'=<>!()]+)? \\"
    hash_ = r"    --hash=sha256:[0-9a-f]{64}( \\)?"
    return [line for line in lock.splitlines() if not re.fullmatch(f"{package}|{hash_}", line)]


@pytest.mark.parametrize("name", TEXT_LOCKS)
def test_a_text_lock_holds_pins_and_hashes_and_nothing_else(name):
    lock = (ROOT / name).read_text("utf-8")

    assert host_lines(lock) == []
    assert re.search(r"==.* \\\n(?!    --hash)", lock) is None, "a package without a hash"


@pytest.mark.parametrize(
    "line",
    [
        "--index-url packages.example",
        "--extra-index-url file:///packages",
        "--find-links ../wheels",
        "# from packages.example",
        "some-package @ https://packages.example/some_package-1.0.whl",
        "some-package==1.0",
        "-e .",
    ],
)
def test_the_check_of_text_locks_finds(line):
    assert host_lines(line) == [line]


def test_no_json_lock_holds_a_url():
    locks = [path for path in repository_files() if path.name in JSON_LOCKS]

    found = [
        f"{lock.relative_to(ROOT)}: {path}"
        for lock in locks
        for path, text in strings(json.loads(lock.read_text("utf-8")))
        if "://" in text or path.endswith("/resolved")
    ]

    assert found == []


def test_the_pages_lock_holds_a_hash_of_every_package_and_its_settings_keep_it_so():
    packages = json.loads((WEB / "package-lock.json").read_text("utf-8"))["packages"]
    manifest = json.loads((WEB / "package.json").read_text("utf-8"))
    settings = (WEB / ".npmrc").read_text("utf-8").splitlines()

    assert [name for name, package in packages.items() if name and "integrity" not in package] == []
    assert all(re.fullmatch(r"[\d.]+", version) for version in manifest["devDependencies"].values())
    assert "dependencies" not in manifest  # nothing is there when the page runs: all is bundled
    assert {"omit-lockfile-registry-resolved=true", "ignore-scripts=true"} <= set(settings)
    assert not [line for line in settings if "://" in line]


def test_no_lock_that_records_hosts_is_kept():
    assert [path.name for path in repository_files() if path.name in LOCKS_WITH_HOSTS] == []


@pytest.mark.parametrize("name", ["uv.lock", "pylock.toml"])
def test_git_ignores_the_lock_that_records_hosts(name):
    rules = (ROOT / ".gitignore").read_text("utf-8").splitlines()

    assert name in rules
    assert f"!{name}" not in rules


def test_pyproject_names_no_package_index():
    settings = json.dumps(pyproject().get("tool", {}).get("uv", {}))

    assert not re.search(r"://|index|find-links", settings), settings


def test_everything_that_pyproject_asks_for_is_locked_at_a_version_that_fits():
    project = pyproject()
    groups = [item for group in project["dependency-groups"].values() for item in group if isinstance(item, str)]
    asked = [
        Requirement(text) for text in project["project"]["dependencies"] + groups + project["build-system"]["requires"]
    ]
    locked = locked_versions()

    outdated = [
        str(one)
        for one in asked
        if not one.specifier.contains(locked.get(canonicalize_name(one.name), "0"), prereleases=True)
    ]

    assert outdated == [], "run `make lock`"


# --- the house ---


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    module_name(path): path for folder in ("app", "responders") for path in sorted((ROOT / folder).rglob("*.py"))
}
EVERY_SOURCE = pytest.mark.parametrize("module", SOURCES)


def tree_of(module: str) -> ast.Module:
    return ast.parse(SOURCES[module].read_text("utf-8"))


def place(module: str) -> tuple[int, str]:
    """The module's line in the table, counted from the bottom, and the name or pattern that it stands under."""
    lines = [[name.strip() for name in line.split("|")] for line in LAYERS.strip().splitlines()]
    exact = [(level, name) for level, names in enumerate(lines) for name in names if name == module]
    patterns = [(level, name) for level, names in enumerate(lines) for name in names if matches(module, name)]
    assert exact or patterns, f"{module} has no place yet: add it to a line of LAYERS in tests/test_repository.py"
    return (exact or patterns)[0]


def matches(module: str, pattern: str) -> bool:
    """Whether a name or a pattern means this module; `app.api.*` means the package `app.api` too."""
    return fnmatchcase(module, pattern) or (pattern.endswith(".*") and module == pattern[:-2])


def own_imports(module: str) -> set[str]:
    """The modules of app/ and responders/ that this one imports, for type checks too."""
    package = module if SOURCES[module].name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            children = {f"{origin}.{alias.name}" for alias in node.names}
            found |= {name if name in SOURCES else origin for name in children}
    return {name for name in found if name.split(".")[0] in ("app", "responders")} - {module}


def complaint(module: str, imported: str) -> str | None:
    """Why this module may not import that one; None when it may."""
    if module.startswith("responders") and imported.startswith("app"):
        return f"{module} imports {imported}: responders know nothing of the server"
    if module == "app" and imported != "app.main":
        return f"app imports {imported}: it offers what app.main offers, and nothing else"
    allowed = ONLY_NAMED_BY.get(imported)
    if allowed is not None and not any(matches(module, name) for name in allowed):
        return f"{module} imports {imported}, which only {' and '.join(allowed)} may name"
    (level, name), (imported_level, imported_name) = place(module), place(imported)
    if imported_level > level:
        return f"{module} imports {imported}, which stands above it"
    if imported_level == level and imported_name != name:
        return f"{module} imports {imported}, which stands beside it"
    return None


@EVERY_SOURCE
def test_a_module_has_its_place_in_the_layers(module):
    place(module)


@EVERY_SOURCE
def test_a_module_imports_only_from_the_layers_below_it(module):
    assert [why for imported in sorted(own_imports(module)) if (why := complaint(module, imported))] == []


def test_modules_do_not_import_in_circles():
    graph = {module: own_imports(module) for module in SOURCES}

    while leaves := [module for module, imports in graph.items() if not imports & graph.keys()]:
        for module in leaves:
            del graph[module]

    assert sorted(graph) == [], "each of these imports another one of them, or hangs on such a circle"


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("app.ids", "app.events"),
        ("app.tail", "app.engine.blocks"),
        ("app.log", "app.engine.sqlite"),
        ("app.log", "responders.registry"),
        ("app.runner", "app.codecs.sse"),
        ("app.codecs.sse", "app.api.stream"),
        ("app.engine.base", "app.engine.rows"),
        ("app.api.stream", "app.main"),
        ("app.client", "app.ids"),
        ("app.conversations", "responders.mock"),
        ("responders.base", "responders.registry"),
        ("responders.echo", "app.ids"),
        ("app", "app.cli"),
    ],
)
def test_the_layers_refuse(module, imported):
    assert complaint(module, imported)


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("app.messages", "responders.base"),
        ("app.events", "app.messages"),
        ("app.engine.sqlite", "app.engine.rows"),
        ("app.main", "app.engine.sqlite"),
        ("app.runner", "responders.registry"),
        ("app.api.conversations", "app.api.problems"),
        ("app.chat", "app.client"),
        ("app.chat", "app.terminal"),
        ("responders.mock", "responders.pace"),
        ("app", "app.main"),
    ],
)
def test_the_layers_allow(module, imported):
    assert complaint(module, imported) is None


@EVERY_SOURCE
def test_no_import_hides_in_a_function(module):
    functions = [node for node in ast.walk(tree_of(module)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    hidden = {
        inner.lineno
        for outer in functions
        for inner in ast.walk(outer)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    }

    assert sorted(hidden) == [], "lines with an import inside a function"


@EVERY_SOURCE
def test_a_file_is_short_enough_to_read_at_once(module):
    name = SOURCES[module].relative_to(ROOT).as_posix()

    length = len(SOURCES[module].read_text("utf-8").splitlines())

    assert length <= LONGEST_FILE or name in LONGER_FILES, f"{length} lines: cut it, or give a reason in LONGER_FILES"


@pytest.mark.parametrize(
    "path",
    sorted(path for path in (WEB / "src").rglob("*") if path.is_file()),
    ids=lambda path: path.relative_to(WEB / "src").as_posix(),
)
def test_a_file_of_the_page_is_short_enough_too(path):
    length = len(path.read_text("utf-8").splitlines())

    assert length <= LONGEST_FILE


def test_a_reason_for_length_belongs_to_a_long_file():
    needless = [
        name
        for name in LONGER_FILES
        if not (ROOT / name).is_file() or len((ROOT / name).read_text("utf-8").splitlines()) <= LONGEST_FILE
    ]

    assert needless == []


@EVERY_SOURCE
def test_no_name_is_one_that_says_nothing(module):
    classes = [node.name for node in ast.walk(tree_of(module)) if isinstance(node, ast.ClassDef)]

    vague = [name for name in classes if BANNED_IN_CLASS_NAMES.intersection(re.findall(r"[A-Z][a-z]*", name))]
    words = re.split(r"[._]", module)

    assert vague == []
    assert not BANNED_IN_FILE_NAMES.intersection(words)
