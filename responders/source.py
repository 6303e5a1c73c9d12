"""Where a responder's code comes from: a module or a file, loaded once, or again when it has changed."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import os
import sys
import sysconfig
import traceback
import zlib
from collections.abc import Callable, Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from threading import Lock, get_ident
from types import ModuleType

from responders.responder import LoadError, Responder, describe

_INSTALLED = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")]
_PACKAGES = {"site-packages", "dist-packages"}
_IMPORT_LOCKS: dict[str, object] = vars(sys.modules["_frozen_importlib"])["_module_locks"]
"""Python's locks of the imports that run, by the module's name; there is no public way to them."""


def load(target: str, loader: Callable[[str, str], Loader] = SourceFileLoader) -> Responder:
    """Return the responder at `module:attr` or `./file.py:attr`, named after the attribute.

    The current folder is appended to `sys.path`, never put first, so it hides no installed module. A file is run anew
    each time, by `loader`, which gets a name and a path. Raises `LoadError`.
    """
    place, _, attribute = target.rpartition(":")
    if not place or not attribute:
        raise LoadError(f"{target!r} names no responder: write module:name or ./file.py:name.")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    module = _module_at(place, loader) if _is_file(place) else _module_named(place)
    try:
        found = functools.reduce(getattr, attribute.split("."), module)
    except AttributeError as error:
        raise LoadError(f"{place} has no {attribute!r}.") from error
    return Responder(attribute, found)


class Source:
    """Code that people change while it is served: a target of `load`, and what it imports from beside it.

    That is every module which comes from the current folder, or from the target's own, and below, and which the target
    is the first to import; nothing that is installed. All of them run anew together, from their sources. What runs on
    the old ones keeps them; nothing else does.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        place = target.rpartition(":")[0]
        self._folders = {Path.cwd().resolve()}
        if _is_file(place):
            self._folders.add(Path(place).expanduser().resolve().parent)
        self._read: dict[str, bytes] = {}
        self._modules: list[str] = []
        self._runs: _Beside | None = None
        self._ending = Lock()

    def newer(self) -> Responder | None:
        """Return the responder, loaded again; None where every file that ran is what it was.

        After a load that failed there is always another one: what it lacks may be there now. One that was given up and
        still runs counts as what ran. Raises `LoadError`.
        """
        read = dict(self._runs.read if self._runs else self._read)
        if read and all(_digest_of(path) == digest for path, digest in read.items()):
            return None
        return self.load()

    def load(self) -> Responder:
        """Run the code, and return the responder. Raises `LoadError`, and then the modules are those of before."""
        before = {name: sys.modules.pop(name) for name in self._modules if name in sys.modules}
        beside = self._runs = _Beside(self._folders, before)
        importlib.invalidate_caches()  # they know folders by their times, which two quick changes can share
        sys.meta_path.insert(0, beside)
        try:
            responder = load(self._target, beside.loader)
            with self._ending:
                if not beside.given_up:
                    self._read, self._modules, self._runs = beside.read, beside.modules, None
                    beside.before = {}  # or every load would keep the one before
        except BaseException:
            self._undo(beside)
            raise
        finally:
            sys.meta_path.remove(beside)
            if self._runs is beside:
                self._runs = None
        return responder

    def give_up(self) -> None:
        """Leave a load that runs to itself: the modules are those of before, and its end changes nothing any more."""
        if beside := self._runs:
            self._undo(beside)
            # A module that is never done holds its lock, and the next import of that name would wait for it.
            for name in beside.modules:
                _IMPORT_LOCKS.pop(name, None)
        self._read = {}  # and not before: it may have come to its end meanwhile, too late to be heard

    def _undo(self, beside: _Beside) -> None:
        with self._ending:
            if beside.given_up or beside is not self._runs:
                return
            beside.given_up = True
            self._read = {}
            for name in beside.modules:
                sys.modules.pop(name, None)
            sys.modules.update(beside.before)
            beside.before = {}


class _Beside(MetaPathFinder):
    """Finds the modules of some folders, for the thread that loads, and notes which they are and what was read.

    `before` are the modules that they replace.
    """

    def __init__(self, folders: Iterable[Path], before: dict[str, ModuleType]) -> None:
        self.read: dict[str, bytes] = {}
        self.modules: list[str] = []
        self.before = before
        self.given_up = False
        """Whether the modules are those of before again; then this finds no more."""
        self._folders = folders
        self._thread = get_ident()

    def loader(self, name: str, path: str) -> Loader:
        """Return what reads the source of a module."""
        self.modules.append(name)
        return _SourceLoader(name, path, self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to load a module of the folders; None where it is not one of them."""
        parent = fullname.rpartition(".")[0]
        if get_ident() != self._thread or (parent and parent not in self.modules):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or not all(map(self._is_beside, _places(spec))):
            return None
        if self.given_up:
            raise ImportError("This load was given up.", name=fullname)
        if isinstance(spec.loader, SourceFileLoader) and spec.origin:
            spec.loader = self.loader(fullname, spec.origin)
        elif spec.loader is None or spec.origin is None:  # a folder without an __init__.py
            self.modules.append(fullname)
        return spec

    def _is_beside(self, place: Path) -> bool:
        return not _is_installed(place) and any(map(place.is_relative_to, self._folders))


class _SourceLoader(SourceFileLoader):
    """Compiles what the file holds now. What Python keeps compiled is told from it by whole seconds and its size."""

    def __init__(self, name: str, path: str, beside: _Beside) -> None:
        super().__init__(name, path)
        self._beside = beside

    def get_code(self, fullname: str) -> object:  # type: ignore[override]  # noqa: ARG002 - importlib's signature
        source = self.get_data(self.path)
        self._beside.read[self.path] = _digest(source)
        return self.source_to_code(source, self.path)

    def exec_module(self, module: ModuleType) -> None:
        """Run a module. One that fails after its load was given up does so unheard."""
        try:
            super().exec_module(module)
        except BaseException:
            # For an error importlib drops the module of this name, which is by now another one that works.
            if not self._beside.given_up:
                raise


def _places(spec: ModuleSpec) -> list[Path]:
    return [Path(place).resolve() for place in [*(spec.submodule_search_locations or ()), spec.origin] if place]


def _digest(source: bytes) -> bytes:
    return hashlib.sha256(source).digest()


def _digest_of(path: str) -> bytes | None:
    try:
        return _digest(Path(path).read_bytes())
    except OSError:
        return None


def _is_file(place: str) -> bool:
    return place.endswith(".py") or "/" in place or os.sep in place


def _module_named(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{name}.".startswith(f"{missing}."):
            raise LoadError(f"There is no module named {missing!r} here or among the installed ones.") from error
        raise LoadError(f"Importing {name} raised {_located(error)}.") from error


def _module_at(place: str, loader: Callable[[str, str], Loader]) -> ModuleType:
    path = Path(place).expanduser().resolve()
    if not path.is_file():
        raise LoadError(f"There is no file {place}.")
    if path.suffix != ".py":
        raise LoadError(f"{place} is not a Python file: its name does not end in .py.")
    name = f"tickertape_file_{zlib.crc32(os.fsencode(path)):08x}_{path.stem}"
    spec = ModuleSpec(name, loader(name, str(path)), origin=str(path))
    spec.has_location = True
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # before it runs: annotations are resolved by their module's name
    try:
        spec.loader.exec_module(module)  # type: ignore[union-attr]
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        if before:
            sys.modules[name] = before
        raise LoadError(f"Running {place} raised {_located(error)}.") from error
    return module


def _located(error: BaseException) -> str:
    """Return an exception as a clause, with the line of the author's code that it comes from."""
    said = describe(error)
    if isinstance(error, SyntaxError):  # its message names the line
        return said
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = [(path, line) for path, line in frames if path.suffix == ".py" and not _is_ours(path)]
    return f"{said} ({own[-1][0].name}, line {own[-1][1]})" if own else said


def _is_ours(path: Path) -> bool:
    return path == Path(__file__) or _is_installed(path)


def _is_installed(place: Path) -> bool:
    return bool(_PACKAGES.intersection(place.parts)) or any(map(place.is_relative_to, _INSTALLED))
