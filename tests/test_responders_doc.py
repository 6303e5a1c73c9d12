"""The examples of docs/responders.md are responders that keep the contract."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from responders.conformance import check
from responders.registry import load

TEXT = (Path(__file__).parent.parent / "docs" / "responders.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def name_of(code: str) -> str:
    [name] = re.findall(r"^(?:async def|def|class) (\w+)", code, re.MULTILINE)
    return name


@pytest.mark.slow
@pytest.mark.parametrize("code", EXAMPLES, ids=name_of)
def test_an_example_passes_the_conformance_cases(code: str, tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(code)

    outcomes = check(load(f"{tmp_path}/example.py:{name_of(code)}"))

    assert [outcome for outcome in outcomes if not outcome.passed] == []
    assert not all(outcome.skipped for outcome in outcomes)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 4
