"""How many of Qwen's own tokens a question and its answers have.

Qwen2.5's vocabulary comes with the package `dashscope` (Apache-2.0), its reader with `tiktoken`; surveil needs neither:

    pip install --no-deps --target /tmp/tokens dashscope tiktoken
    PYTHONPATH=/tmp/tokens python -m benchmarks.prompt

Prints a table, and writes benchmarks/results/prompt.json.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.table import Table

from surveil.assess import prompt
from surveil.messages import AssessmentRequest, Facts, Keyframe, Level, Subject, Track
from surveil.testing import picture

RESULT = Path(__file__).parent / "results" / "prompt.json"
# How Qwen splits text before it looks for tokens (its tokenizer.json names this pattern).
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TYPICAL = {
    "risk_score": 65, "verdict": "confirmed", "confidence": 85, "seen": ["2 person", "1 car"],
    "summary": "Two people climb over the fence at night; one carries a bag.",
    "activity": "one climbing, one waiting beside a car",
    "evidence": ["one leg over the fence", "face covered by a hood"],
    "recommended_action": "Call the guard and switch on the yard light.", "scene_text": "NO ENTRY",
}  # fmt: skip
LONGEST = {
    **TYPICAL, "seen": ["2 person", "1 car", "1 dog", "3 bicycle"],
    "summary": "Two people in dark clothes climb over the fence at the back of the yard and one hands a bag down.",
    "activity": "one climbing over the fence, one waiting with the engine on",
    "evidence": ["one leg over the fence, a bag on the ground below", "faces covered by hoods, gloves on their hands"],
    "recommended_action": "Call the guard at once and switch on the lights of the yard",
    "scene_text": "PRIVATE PROPERTY - NO ENTRY - KEEP OUT",
}  # fmt: skip


def counter() -> Callable[[str], int]:
    """Return what counts the tokens of a text; exits with one line where the vocabulary is not here."""
    spec = find_spec("dashscope")
    if spec is None or spec.origin is None or find_spec("tiktoken") is None:
        raise SystemExit("the vocabulary is not here: see the first lines of benchmarks/prompt.py")
    import tiktoken

    lines = (Path(spec.origin).parent / "resources" / "qwen.tiktoken").read_bytes().splitlines()
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, lines)}
    encoding = tiktoken.Encoding("qwen", pat_str=SPLIT, mergeable_ranks=ranks, special_tokens={})
    return lambda text: len(encoding.encode_ordinary(text))


def asked() -> str:
    """Return a question of the usual size: two people and a car in four pictures, and a closer view."""
    people = tuple(
        Subject(n, "person", 0.87, (0.1 * n, 0.2, 0.1 * n + 0.1, 0.8), 4.2 + n, ("yard",)) for n in range(1, 3)
    )
    car = Track(7, "car", 0.8, (0.5, 0.5, 0.8, 0.9))
    views = [Keyframe(0.5 * n, picture, people, (car,)) for n in range(4)]
    closer = Keyframe(1.5, picture, people[:1], region=(0.0, 0.0, 0.5, 1.0))
    facts = Facts(
        "Back yard", "Yard of a workshop; nobody works here after six.", "Sunday 22:04",
        ("person in zone yard for 3.2 s outside its hours",),
    )  # fmt: skip
    request = AssessmentRequest("ID", "yard", Level.high, 0.0, 20.0, (*views, closer), facts)
    return prompt.question(request, "en")


def main() -> None:
    """Count, show and store."""
    count = counter()
    line = {"separators": (", ", ": ")}
    figures = {
        "fixed part of the question (system)": count(prompt.system(None)),
        "fixed part of a further view": count(prompt.view_system(None)),
        "what is told of one incident": count(asked()),
        "an answer as they are": count(json.dumps(TYPICAL, **line)),  # type: ignore[arg-type]
        "an answer at its bounds": count(json.dumps(LONGEST, **line)),  # type: ignore[arg-type]
        "a further view": count('{"risk_score": 70, "verdict": "confirmed", "finding": "He looks around and hides."}'),
    }
    table = Table("text", "tokens", title="Qwen2.5's own tokens")
    for name, tokens in figures.items():
        table.add_row(name, str(tokens))
    Console().print(table)
    RESULT.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
