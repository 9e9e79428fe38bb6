"""What the whole run has seen of the operations that docs/aws-compatibility.md promises: nothing of them is left out.

It comes last, and is skipped where a part of the tests is run.
"""

from __future__ import annotations

import operations
from operations import listed, seen


def test_the_documentation_lists_operations_of_each_service():
    assert {name.split(":")[0] for name in listed()} == set(operations.SERVICES)
    assert len(listed()) > 70, sorted(listed())


def test_the_operations_of_lanyards_own_are_named_and_aws_has_none_of_them():
    assert operations.listed_as_own() == operations.OWN
    assert not operations.OWN & operations.of_models() and not operations.OWN & set(listed())


def test_each_was_answered_as_its_model_has_it():
    assert [name for name in listed() if not seen(name).ok] == []


def test_no_other_was_answered():
    assert [name for name, own in operations.SEEN.items() if own.ok and name not in listed()] == []


def test_each_error_that_its_model_has_and_a_rule_gives_was_given():
    wanted = {name: operations.expected_errors(name) for name in listed()}
    missing = {name: left for name, codes in wanted.items() if (left := sorted(codes - seen(name).errors))}
    assert missing == {}


def test_what_is_said_never_to_be_given_was_not():
    given = {
        name: both
        for name in listed()
        if (both := seen(name).errors & (set(operations.NEVER) | set(operations.NOT_OF.get(name, {}))))
    }
    assert given == {}


def test_each_paginator_of_the_sdk_turned_its_pages():
    assert sorted(name for name in operations.paginated() if not seen(name).paginated) == []


def test_each_request_token_counted_once():
    assert sorted(name for name in operations.with_token() if not seen(name).counted_once) == []
