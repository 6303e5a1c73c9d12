"""The conformance suite is no test module by its name, but its asserts speak as if it were."""

import pytest

pytest.register_assert_rewrite(
    "tests.engine.change_conformance",
    "tests.engine.conformance",
    "tests.engine.log_conformance",
    "tests.engine.query_conformance",
)
