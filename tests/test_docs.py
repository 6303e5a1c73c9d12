"""The protocol's page says what the code says."""

from __future__ import annotations

import re
from typing import get_args

import msgspec
import pytest

from app.api.problems import _STATUS
from app.conversations import IfRunning
from app.ids import Cursor
from app.main import create_app
from app.messages import Conversation, Message, Reply, Status
from app.resume import Reason
from app.settings import Settings
from docs import event_table
from responders.base import FinishReason, Role

PAGE = event_table.PAGE.read_text("utf-8")
CODE = set(re.findall(r"`([^`\n]+)`", PAGE))


def test_the_table_of_events_is_the_codes_own():
    assert event_table.written(PAGE) == PAGE, "run: python docs/event_table.py --write"


def test_a_page_without_a_place_for_the_table_is_an_error():
    with pytest.raises(ValueError, match="no place"):
        event_table.written("# A page\n")


def test_a_table_that_says_something_else_is_replaced():
    assert event_table.written(PAGE.replace("`reply.delta`", "`reply.changed`")) == PAGE


def test_every_path_is_on_the_page_and_no_other():
    app = create_app(Settings())
    routes = {route.path for route in app.routes if not route.path.startswith(("/schema/", "/assets/"))}
    paths = {re.sub(r"\{[a-z_:]+\}", "{id}", path) for path in routes}
    calls = {re.sub(r"\?.*", "", path) for path in re.findall(r"`(?:GET|POST|PATCH|DELETE) (/[^ `]*)", PAGE)}

    assert calls == paths


@pytest.mark.parametrize("type_", [Conversation, Message], ids=lambda type_: type_.__name__)
def test_the_objects_have_their_fields_on_the_page(type_):
    fields = ", ".join(field.encode_name for field in msgspec.structs.fields(type_))

    assert f"{{{fields}}}" in CODE


def test_what_a_reply_adds_is_on_the_page():
    assert f"{{{', '.join(Reply.__struct_fields__[len(Message.__struct_fields__) :])}}}" in CODE


@pytest.mark.parametrize("words", [Role, Status, FinishReason, Reason, IfRunning], ids=range(5))
def test_the_words_of_closed_sets_are_on_the_page(words):
    for word in get_args(words):
        assert any(re.search(rf"\b{word}\b", code) for code in CODE), word


def test_the_statuses_of_errors_are_on_the_page():
    table = PAGE[PAGE.index("## Errors") :]

    assert {int(status) for status in re.findall(r"^\| `(\d{3})`", table, re.MULTILINE)} == {
        *_STATUS.values(),
        403,
        405,
        408,
        431,
    }


def test_the_ids_in_the_examples_are_cursors():
    ids = re.findall(r"^    id: (.+)$", PAGE, re.MULTILINE)

    assert len(ids) == 2
    assert all(Cursor.parse(id) for id in ids)
