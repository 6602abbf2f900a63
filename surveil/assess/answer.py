"""The shape of a model's answer, and how its text becomes one: nothing out of bounds ever gets through."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from surveil.interfaces import AssessorError
from surveil.messages import Answer

# A grammar lets control characters through inside strings, which JSON refuses; quotes and backslashes are left
# out too, so that a decoder cannot leave a string half escaped. `{0,n}` bounds the length: without a bound a
# small model never ends. (maxLength beside a pattern is ignored by xgrammar 0.2.8, and n above 128 refused.)
_CHARACTER = r'[^"\\\u0000-\u001f\u007f-\u009f]'
MAX_ANSWER_BYTES = 20_000


def _line(most: int) -> Any:
    """Return a text of at most `most` characters: by pattern for the decoder, by length for what was cleaned."""

    def check(text: str) -> str:
        if len(text) > most:
            raise ValueError(f"longer than {most} characters")
        return text

    pattern = {"type": "string", "pattern": f"^{_CHARACTER}{{0,{most}}}$"}
    return Annotated[str, AfterValidator(check), WithJsonSchema(pattern)]


class SecurityAnswer(BaseModel):
    """What the model is asked for: the score and verdict first, since what follows costs time.

    The lengths hold the whole to about 120 tokens of Qwen's own tokenizer (four characters of English each).
    """

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    risk_score: Annotated[int, Field(ge=0, le=100)]
    verdict: Literal["confirmed", "unclear", "not_seen"]
    confidence: Annotated[int, Field(ge=0, le=100)]
    summary: _line(120)  # type: ignore[valid-type]
    activity: _line(60)  # type: ignore[valid-type]
    evidence: Annotated[list[_line(50)], Field(max_length=2)]  # type: ignore[valid-type]
    recommended_action: _line(70)  # type: ignore[valid-type]
    scene_text: _line(40)  # type: ignore[valid-type]


def schema() -> dict[str, Any]:
    """Return the JSON Schema that a decoder is held to."""
    return SecurityAnswer.model_json_schema()


def read(text: str, model: str) -> Answer:
    """Return the answer in a model's text; raises AssessorError with what is wrong with it."""
    if len(text) > MAX_ANSWER_BYTES:
        raise AssessorError("the answer is far too long")
    try:
        data = json.loads(_object_in(text), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise AssessorError("the answer is no JSON object") from None
    if isinstance(data, dict):
        data = {key: _cleaned(value) for key, value in data.items()}
    try:
        said = SecurityAnswer.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = clean(".".join(str(key) for key in first["loc"])) or "answer"
        raise AssessorError(f"the answer is out of its bounds: {place[:60]}: {first['msg'][:100]}") from None
    return Answer(
        score=said.risk_score,
        verdict=said.verdict,
        summary=said.summary,
        activity=said.activity,
        evidence=tuple(line for line in said.evidence if line),
        recommended_action=said.recommended_action,
        scene_text=said.scene_text,
        confidence=said.confidence / 100,
        model=model,
    )


def clean(text: str) -> str:
    """Return `text` without control, direction and other invisible characters, white space folded."""
    # Categories of Unicode: Cc control, Cf format (direction marks among them), Cs surrogate, Co private, Cn none.
    visible = "".join(" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    return re.sub(r" {2,}", " ", visible).strip()


def _object_in(text: str) -> str:
    """Return the part from the first to the last brace: models without a grammar like to add fences and words."""
    begin, end = text.find("{"), text.rfind("}")
    if begin < 0 or end < begin:
        raise ValueError("no object")
    # Raw control characters inside strings are refused by JSON, and mean nothing outside of them.
    return re.sub(r"[\x00-\x1f]", " ", text[begin : end + 1])


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    return [_cleaned(item) for item in value] if isinstance(value, list) else value
