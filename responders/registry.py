"""Where responders come from: a module, a file, or the entry points of installed packages."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from responders.responder import LoadError, Responder, describe

logger = logging.getLogger(__name__)

GROUP = "tickertape.responders"
"""The entry-point group in which packages offer responders; ours come in by it, too."""


class UnknownResponder(LookupError):
    """There is no responder of this `name`."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"There is no responder named {self.name!r}."


class Registry:
    """The responders that a server offers, by name, and which of them is the default.

    Entry points are loaded when they are asked for, once; one that does not load is left out and logged. Of two with
    one name the built-in wins, then the one found first; `add` replaces.
    """

    default: str
    """The name of the responder for a prompt that names none."""

    def __init__(
        self, responders: Iterable[Responder] = (), *, offered: Iterable[EntryPoint] = (), default: str = "mock"
    ) -> None:
        self.default = default
        self._known: dict[str, Responder | EntryPoint | LoadError] = {}
        for offer in sorted(offered, key=lambda offer: not offer.value.startswith("responders.")):
            first = self._known.setdefault(offer.name, offer)
            if isinstance(first, EntryPoint) and first.value != offer.value:
                logger.warning("responder %s = %s is hidden by %s", offer.name, offer.value, first.value)
        for responder in responders:
            self.add(responder)

    @classmethod
    def discover(cls, default: str = "mock") -> Registry:
        """Return what is installed; `default` is a name, or a `module:attr` that is loaded and added.

        Raises `LoadError` or `UnknownResponder` where that default cannot be used.
        """
        registry = cls(offered=entry_points(group=GROUP), default=default)
        if ":" in default:
            responder = load(default)
            registry.add(responder)
            registry.default = responder.name
        registry.get(registry.default)
        return registry

    def add(self, responder: Responder) -> None:
        """Offer a responder under its name, in place of another of that name."""
        self._known[responder.name] = responder

    def get(self, name: str) -> Responder:
        """Return the responder of that name; raises `UnknownResponder`, or `LoadError` where it does not load."""
        known = self._known.get(name)
        if known is None:
            raise UnknownResponder(name)
        if isinstance(known, EntryPoint):
            known = self._known[name] = _offered(known)
        if isinstance(known, LoadError):
            raise LoadError(str(known)) from known
        return known

    def __iter__(self) -> Iterator[Responder]:
        """Yield the responders that load, in the order of their names."""
        for name in sorted(self._known):
            try:
                yield self.get(name)
            except LoadError:  # logged when it was first tried
                continue


def load(target: str) -> Responder:
    """Return the responder at `module:attr` or `./file.py:attr`, named after the attribute.

    The current folder is appended to `sys.path`, never put first, so it hides no installed module. A file is run anew
    each time. Raises `LoadError`.
    """
    place, _, attribute = target.rpartition(":")
    if not place or not attribute:
        raise LoadError(f"{target!r} names no responder: write module:name or ./file.py:name.")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    is_file = place.endswith(".py") or "/" in place or os.sep in place
    module = _module_at(place) if is_file else _module_named(place)
    return Responder(attribute, _attribute(module, place, attribute))


def _offered(offer: EntryPoint) -> Responder | LoadError:
    try:
        return Responder(offer.name, offer.load())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's import may raise anything
        package = offer.dist.name if offer.dist else "an installed package"
        reason = str(error) if isinstance(error, LoadError) else f"{describe(error)}."
        failure = LoadError(f"The responder {offer.name} ({offer.value}, from {package}) does not load: {reason}")
        failure.__cause__ = error
        logger.warning("%s", failure)
        return failure


def _attribute(module: ModuleType, place: str, attribute: str) -> object:
    try:
        return functools.reduce(getattr, attribute.split("."), module)
    except AttributeError as error:
        raise LoadError(f"{place} has no {attribute!r}.") from error


def _module_named(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{name}.".startswith(f"{missing}."):
            raise LoadError(f"There is no module named {missing!r} here or among the installed ones.") from error
        raise LoadError(f"Importing {name} raised {describe(error)}.") from error


def _module_at(place: str) -> ModuleType:
    path = Path(place).expanduser().resolve()
    if not path.is_file():
        raise LoadError(f"There is no file {place}.")
    name = f"tickertape_file_{zlib.crc32(os.fsencode(path)):08x}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LoadError(f"{place} is not a Python file: its name does not end in .py.")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # before it runs: annotations are resolved by their module's name
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        if before:
            sys.modules[name] = before
        raise LoadError(f"Running {place} raised {describe(error)}.") from error
    return module
