"""How property tests run: the same cases each time, and no clock decides one."""

from __future__ import annotations

from hypothesis import settings

PROPERTY = settings(deadline=None, derandomize=True, database=None)
