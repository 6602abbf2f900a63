from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from surveil.config.document import ConfigError, parse

FILE = Path("c.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("Yes", "Yes"), ("true", True), ("false", False), ("null", None), ("~", None),
        ("", None), ("22:30:00", "22:30:00"), ("0123", "0123"), ("0x1f", "0x1f"), ("1_000", "1_000"), ("12", 12),
        ("-3", -3), ("1.5", 1.5), ("1e3", 1000.0), (".nan", ".nan"), (".inf", ".inf"), ("2026-11-22", "2026-11-22"),
        ("'12'", "12"), ('"true"', "true"), ("p@ss", "p@ss"), ("9" * 5000, "9" * 5000),
    ],
)  # fmt: skip
def test_only_what_plainly_is_a_number_or_a_truth_is_one(text: str, value: Any) -> None:
    read = parse(FILE, f"key: {text}\n").data["key"]
    assert read == value
    assert type(read) is type(value)


def test_every_value_knows_its_line() -> None:
    document = parse(FILE, "a:\n  b: 1\n  c:\n    - x\n    - d: 2\ne: 3\n")
    assert document.line(("a",)) == 1
    assert document.line(("a", "b")) == 2
    assert document.line(("a", "c", 1, "d")) == 5
    assert document.line(("e",)) == 6
    assert document.line(("a", "b", "missing", "deeper")) == 2


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        ("a: 1\na: 2", 2, "the key a stands here twice"),
        ("a: !!python/object/apply:os.system [ls]", 1, "a tag is not allowed"),
        ("a: 1\n---\nb: 2", 2, "second document"),
        ("a: [1\nb: 2", 2, "expected"),
        ("[" * 2000, 1, "deeper than"),
        ("? [a, b]\n: 1", 1, "plain text"),
        ("a: *b", 1, "alias of an anchor"),
        ("a: &x [*x]", 1, "alias of an anchor"),
        ("k: " + "x" * 1_100_000, 1, "larger than 1 MiB"),
        ("a: \x01", 1, "not allowed"),
        ("\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" if i else "a0: &a0 [1, 2]" for i in range(9)),
         6, "more than 50000 values"),
    ],
)  # fmt: skip
def test_traps_are_refused_with_their_line(text: str, line: int, complaint: str) -> None:
    with pytest.raises(ConfigError, match=f"^c.yaml:{line}: yaml: .*{complaint}"):
        parse(FILE, text)


def test_anchors_that_stay_small_are_welcome() -> None:
    document = parse(FILE, "a: &rules [1, 2]\nb: *rules\n")
    assert document.data == {"a": [1, 2], "b": [1, 2]}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text("abcäöü no:#-[]{}\"'\n\t", max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcd", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text("abcdef", min_size=1), PLAIN, max_size=5))
def test_what_yaml_writes_is_read_back(data: dict[str, Any]) -> None:
    assert parse(FILE, yaml.safe_dump(data, allow_unicode=True)).data == (data or {})


@given(st.text(max_size=300))
def test_any_text_gives_data_or_a_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        parse(FILE, text)
