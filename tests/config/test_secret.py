from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from surveil.config.secret import Secret, SecretError
from surveil.redaction import redact

ADAPTER = TypeAdapter(Secret)


def test_a_secret_is_found_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", "from-the-environment")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "front").write_text("from-a-file\n")
    for value, revealed in (
        ("plain-text-secret", "plain-text-secret"),
        ({"env": "CAMERA_PASSWORD"}, "from-the-environment"),
        ({"file": str(tmp_path / "front")}, "from-a-file"),
        ({"credential": "front"}, "from-a-file"),
    ):
        secret = ADAPTER.validate_python(value)
        assert secret.reveal() == revealed
        assert revealed not in repr(secret) + str(secret) + f"{secret}"
        assert revealed not in redact(f"a log line with {revealed}")


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"env": "SURELY_NOT_SET"}, "the environment variable SURELY_NOT_SET is not set"),
        ({"file": "/no/such/file"}, "the secret file /no/such/file cannot be read: No such file or directory"),
        ({"credential": "front"}, "CREDENTIALS_DIRECTORY is not set"),
    ],
)
def test_a_secret_that_is_not_there_is_told(
    value: dict[str, str], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(SecretError, match=complaint):
        ADAPTER.validate_python(value).reveal()


@pytest.mark.parametrize("value", [1, [], {}, {"env": ""}, {"vault": "x"}, {"env": "A", "file": "B"}, {"env": 3},
                                   {"credential": "../../etc/passwd"}])  # fmt: skip
def test_other_shapes_are_refused_without_telling_them(value: object) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(value)
