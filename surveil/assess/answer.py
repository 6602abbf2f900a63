"""The shape of a model's answer, and how its text becomes one: nothing out of bounds ever gets through."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from surveil.assess.vlm import Shape
from surveil.interfaces import AssessorError

# A grammar lets control characters through inside strings, which JSON refuses; quotes and backslashes are left
# out too, so that a decoder cannot leave a string half escaped. `{0,n}` bounds the length: without a bound a
# small model never ends. (maxLength beside a pattern is ignored by xgrammar 0.2.8, and n above 128 refused.)
_CHARACTER = r'[^"\\\u0000-\u001f\u007f-\u009f]'
_COUNT_DECODED = "^[1-9][0-9]? [a-z][a-z ]{0,18}$"
_COUNT_ACCEPTED = re.compile(r"\d{1,3} \S.{0,30}")
MAX_ANSWER_BYTES = 20_000
_OBJECTS_TRIED = 20

Model = TypeVar("Model", bound=BaseModel)


def _line(most: int) -> Any:
    """Return a text of at most `most` characters: by pattern for the decoder, cut where no decoder was held to it."""
    pattern = {"type": "string", "pattern": f"^{_CHARACTER}{{0,{most}}}$"}
    return Annotated[str, BeforeValidator(lambda text: _cut(text, most)), WithJsonSchema(pattern)]


def _first(most: int) -> Any:
    """Return what cuts a list to its first `most` entries."""
    return BeforeValidator(lambda entries: entries[:most] if isinstance(entries, list) else entries)


def _cut(text: Any, most: int) -> Any:
    if not isinstance(text, str) or len(text) <= most:
        return text
    at = text.rfind(" ", most // 2, most - 1)
    return text[: at if at > 0 else most - 1].rstrip(" ,;") + "…"


def _counted(text: str) -> str:
    if not _COUNT_ACCEPTED.fullmatch(text):
        raise ValueError('is no number and label, such as "2 person"')
    return text.lower()


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


_Score = Annotated[int, Field(ge=0, le=100)]
_Verdict = Literal["confirmed", "unclear", "not_seen"]
_Count = Annotated[str, AfterValidator(_counted), WithJsonSchema({"type": "string", "pattern": _COUNT_DECODED})]


class SecurityAnswer(_Said):
    """What the model is asked for: the score and verdict first, since what follows costs time.

    `seen` counts who and what is visible at most at once, such as "2 person". The lengths hold the whole to about 120
    tokens of Qwen's own tokenizer (`benchmarks/prompt.py` counts them).
    """

    risk_score: _Score
    verdict: _Verdict
    confidence: _Score
    seen: Annotated[list[_Count], _first(4), Field(max_length=4)]
    summary: _line(100)  # type: ignore[valid-type]
    activity: _line(60)  # type: ignore[valid-type]
    evidence: Annotated[list[_line(50)], _first(2), Field(max_length=2)]  # type: ignore[valid-type]
    recommended_action: _line(60)  # type: ignore[valid-type]
    scene_text: _line(40)  # type: ignore[valid-type]


class ViewAnswer(_Said):
    """What the model is asked for from one more angle: a score, a verdict, and one sentence."""

    risk_score: _Score
    verdict: _Verdict
    finding: _line(80)  # type: ignore[valid-type]


SHAPES: dict[Shape, type[BaseModel]] = {"answer": SecurityAnswer, "view": ViewAnswer}


def schema(shape: Shape = "answer") -> dict[str, Any]:
    """Return the JSON Schema that a decoder is held to."""
    return SHAPES[shape].model_json_schema()


def read(text: str, kind: type[Model]) -> Model:
    """Return the answer in a model's text; raises AssessorError with what is wrong with it."""
    if len(text) > MAX_ANSWER_BYTES:
        raise AssessorError("the answer is far too long")
    # The last: some models think aloud, and some repeat the question first.
    *_, last = (None, *_objects_in(text))
    if last is None:
        raise AssessorError("the answer is no JSON object")
    try:
        return kind.model_validate(_cleaned(last))
    except RecursionError:
        raise AssessorError("the answer is nested without end") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = clean(".".join(str(key) for key in first["loc"])) or "answer"
        raise AssessorError(f"the answer is out of its bounds: {place[:60]}: {first['msg'][:100]}") from None


def clean(text: str) -> str:
    """Return `text` without control, direction and other invisible characters, white space folded."""
    # Categories of Unicode: Cc control, Cf format (direction marks among them), Cs surrogate, Co private, Cn none.
    visible = "".join(" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    return re.sub(r" {2,}", " ", visible).strip()


def _objects_in(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects in a text: models without a grammar like to add fences and words."""
    # Raw control characters inside strings are refused by JSON, and mean nothing outside of them.
    text = re.sub(r"[\x00-\x1f]", " ", text)
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    at = text.find("{")
    for _ in range(_OBJECTS_TRIED):
        if at < 0:
            return
        try:
            data, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield data
        at = text.find("{", end)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {key: _cleaned(item) for key, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, list) else value
