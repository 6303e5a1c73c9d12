"""The command line, as people meet it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

COMMAND = str(Path(sys.executable).with_name("tickertape"))


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TICKERTAPE_")}
    return subprocess.run(
        [COMMAND, *arguments], cwd=cwd, env=kept | environment, capture_output=True, text=True, timeout=50, check=False
    )


def test_config_prints_the_settings_in_force_and_options_go_before_the_environment(tmp_path: Path) -> None:
    done = run("config", "--port", "9000", cwd=tmp_path, TICKERTAPE_PORT="8001", TICKERTAPE_MAX_RUNNING="7")

    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert "TICKERTAPE_PORT=9000" in lines
    assert "TICKERTAPE_MAX_RUNNING=7" in lines
    assert "TICKERTAPE_RESPONDER=mock" in lines


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "abc"), ("PORT", "70000"), ("MAX_RUNNING", "0"), ("ALLOW_REMOTE", "perhaps"), ("DRAIN_SECONDS", "-1")],
)
def test_a_setting_that_is_not_valid_is_named_in_one_sentence(name: str, value: str, tmp_path: Path) -> None:
    done = run("serve", cwd=tmp_path, **{f"TICKERTAPE_{name}": value})

    assert done.returncode == 1
    assert f"TICKERTAPE_{name}" in done.stderr
    assert "Traceback" not in done.stderr


def test_responders_lists_the_built_in_ones_and_marks_the_default(tmp_path: Path) -> None:
    done = run("responders", cwd=tmp_path, TICKERTAPE_RESPONDER="echo")

    assert done.returncode == 0
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["*", "echo"],
        ["mock", "Writes"],
        ["openai", "Asks"],
    ]


def test_check_passes_a_good_responder(tmp_path: Path) -> None:
    done = run("check", "responders.echo:Echo", cwd=tmp_path)

    assert done.returncode == 0
    assert "FAILED" not in done.stdout
    assert done.stdout.splitlines()[-1].endswith("cases passed.")


def test_check_fails_a_responder_that_yields_numbers(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("async def wrong(prompt):\n    yield 1\n")

    done = run("check", "./wrong.py:wrong", cwd=tmp_path)

    assert done.returncode == 1
    assert "FAILED" in done.stdout


def test_check_says_in_a_sentence_what_cannot_be_loaded(tmp_path: Path) -> None:
    done = run("check", "./nowhere.py:it", cwd=tmp_path)

    assert done.returncode == 1
    assert "nowhere.py" in done.stderr
    assert "Traceback" not in done.stderr


def test_litestar_finds_the_app_and_lists_its_routes(tmp_path: Path) -> None:
    litestar = str(Path(sys.executable).with_name("litestar"))

    done = subprocess.run(
        [litestar, "--app", "app:create_app", "routes"],
        cwd=tmp_path,
        env=os.environ | {"TICKERTAPE_DATA": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "/conversations" in done.stdout
