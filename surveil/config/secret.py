"""A secret in the config: where its value is, and never its value in any text."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from surveil.interfaces import SurveilError
from surveil.redaction import register

Where = Literal["plain", "env", "file", "credential"]
_SHAPE = "must be text, or one of {env: NAME}, {file: PATH}, {credential: NAME}"


class SecretError(SurveilError):
    """A secret's value is not where the config says."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Says where a value is; `reveal` reads it and registers it for redaction."""

    where: Where
    _what: str

    def reveal(self) -> str:
        """Return the value. Raises SecretError with one line that does not hold it."""
        value = self._read()
        register(value)
        return value

    def _read(self) -> str:
        if self.where == "plain":
            return self._what
        if self.where == "env":
            if self._what not in os.environ:
                raise SecretError(f"the environment variable {self._what} is not set")
            return os.environ[self._what]
        folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
        if self.where == "credential" and not folder:
            raise SecretError(f"no credential {self._what}: CREDENTIALS_DIRECTORY is not set (systemd LoadCredential=)")
        path = Path(folder, self._what) if self.where == "credential" else Path(self._what)
        try:
            return path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise SecretError(f"the secret file {path} cannot be read: {reason}") from None

    def __repr__(self) -> str:
        return f"Secret({self.where})"

    __str__ = __repr__

    @classmethod
    def _validate(cls, value: Any) -> Secret:
        if isinstance(value, str):
            register(value)
            return cls("plain", value)
        if isinstance(value, dict) and len(value) == 1:
            where, what = next(iter(value.items()))
            if where in {"env", "file", "credential"} and isinstance(what, str) and what:
                if where == "credential" and Path(what).name != what:
                    raise PydanticCustomError("secret", "a credential's name holds no folder")
                return cls(where, what)
        raise PydanticCustomError("secret", _SHAPE)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(cls._validate)

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: core_schema.CoreSchema, _h: GetJsonSchemaHandler) -> dict[str, Any]:
        places = [
            {"type": "object", "properties": {w: {"type": "string"}}, "required": [w], "additionalProperties": False}
            for w in ("env", "file", "credential")
        ]
        return {"anyOf": [{"type": "string"}, *places]}
