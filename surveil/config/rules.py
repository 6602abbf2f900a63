"""The rules of CONTRACT section 3.1 as they stand in the config: each with its own validated keys."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from surveil.messages import Level

NAME_PATTERN = r"^[a-z0-9]+([_-][a-z0-9]+)*$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=64)]
Severity = Literal["none", "low", "medium", "high", "critical"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Strict(BaseModel):
    """Unknown keys are errors, nothing is coerced, nothing changes, nothing secret stands in an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, allow_inf_nan=False,
        validate_default=False,
    )  # fmt: skip


def _window(text: str) -> str:
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", text)
    if not match or text[:5] == text[6:]:
        raise PydanticCustomError("window", 'must be a window such as "22:00-06:00" that is not empty')
    return text


Window = Annotated[str, AfterValidator(_window)]


def _several(value: Any) -> Any:
    """Take one text for a list of one."""
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


Windows = Annotated[
    tuple[Window, ...],
    Field(max_length=24),
    BeforeValidator(_several, json_schema_input_type=Window | tuple[Window, ...]),
]
Modes = Annotated[
    tuple[Name, ...], Field(max_length=32), BeforeValidator(_several, json_schema_input_type=Name | tuple[Name, ...])
]


class _Base(Strict):
    """What every rule may say. `severity` null is the rule's own default."""

    usual: ClassVar[Severity] = "low"

    name: Name | None = None
    severity: Severity | None = None
    cooldown: Seconds | None = None
    schedule: Windows = ()
    modes: Modes = ()

    @property
    def title(self) -> str:
        """The rule's name as alerts tell it: its own, or what it is and where."""
        kind = str(self.when)  # type: ignore[attr-defined]
        where = getattr(self, "zone", None) or getattr(self, "line", None)
        return self.name or (f"{kind}:{where}" if where else kind)

    @property
    def level(self) -> Level:
        """The rule's severity."""
        return Level[self.severity or self.usual]

    @property
    def about(self) -> frozenset[str]:
        """The labels that it is about, which the model must know; none where it does not ask the model."""
        return frozenset(getattr(self, "labels", ()))


class _Seen(_Base):
    """What every rule about detected things may say."""

    zone: Name | None = None
    min_score: Fraction = 0.5
    threshold: Fraction = 0.7


class PersonSettings(_Seen):
    """A person is in view."""

    when: Literal["person"] = "person"

    @property
    def about(self) -> frozenset[str]:
        """The labels that it is about."""
        return frozenset({"person"})


class ObjectSettings(_Seen):
    """Something with one of `labels` is in view."""

    usual: ClassVar[Severity] = "none"

    when: Literal["object"]
    labels: Annotated[tuple[Label, ...], Field(min_length=1)]


class IntrusionSettings(_Seen):
    """Somebody is in `zone`, within the rule's schedule."""

    usual: ClassVar[Severity] = "high"

    when: Literal["intrusion"]
    zone: Name | None = Field(...)
    labels: tuple[Label, ...] = ("person",)
    for_: Seconds = Field(0.0, alias="for")


class LineSettings(_Seen):
    """Something crosses `line`."""

    when: Literal["line"]
    line: Name
    labels: tuple[Label, ...] = ("person",)
    direction: Literal["any", "in", "out"] = "any"


class LoiterSettings(_Seen):
    """Somebody stays longer than `for` seconds."""

    usual: ClassVar[Severity] = "medium"

    when: Literal["loiter"]
    labels: tuple[Label, ...] = ("person",)
    for_: Seconds = Field(60.0, alias="for")


class CrowdSettings(_Seen):
    """At least `count` are there for `for` seconds."""

    usual: ClassVar[Severity] = "medium"

    when: Literal["crowd"]
    labels: tuple[Label, ...] = ("person",)
    count: Annotated[int, Field(ge=2, le=1000)]
    for_: Seconds = Field(3.0, alias="for")


class SpeedSettings(_Seen):
    """Something moves faster than `limit` body heights a second."""

    usual: ClassVar[Severity] = "medium"

    when: Literal["speed"]
    labels: tuple[Label, ...] = ("person",)
    limit: Annotated[float, Field(gt=0, le=100)]


class FallSettings(_Seen):
    """A person lies after having stood, for `for` seconds."""

    usual: ClassVar[Severity] = "high"

    when: Literal["fall"]
    for_: Seconds = Field(3.0, alias="for")

    @property
    def about(self) -> frozenset[str]:
        """The labels that it is about."""
        return frozenset({"person"})


class _StaticSettings(_Base):
    zone: Name | None = None
    for_: Seconds = Field(30.0, alias="for")


class LeftObjectSettings(_StaticSettings):
    """Something was left and stays for `for` seconds."""

    usual: ClassVar[Severity] = "medium"

    when: Literal["left_object"]


class RemovedObjectSettings(_StaticSettings):
    """Something that stood there is gone for `for` seconds."""

    usual: ClassVar[Severity] = "medium"

    when: Literal["removed_object"]


class UnusualSettings(_Seen):
    """Something is where or when this camera has not learnt it to be."""

    when: Literal["unusual"]
    labels: tuple[Label, ...] = ()


class TamperSettings(_Base):
    """The camera is covered, moved, blurred, frozen, flooded by light or gone for `for` seconds."""

    usual: ClassVar[Severity] = "high"

    when: Literal["tamper"]
    for_: Annotated[float, Field(ge=0, le=86_400)] | None = Field(None, alias="for")


RuleSettings = Annotated[
    PersonSettings
    | ObjectSettings
    | IntrusionSettings
    | LineSettings
    | LoiterSettings
    | CrowdSettings
    | SpeedSettings
    | FallSettings
    | LeftObjectSettings
    | RemovedObjectSettings
    | UnusualSettings
    | TamperSettings,
    Field(discriminator="when"),
]
