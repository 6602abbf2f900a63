"""What in an answer contradicts the detections, or repeats writing that talks to the model: told, never believed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from surveil.messages import Flag, Keyframe

SURE = 0.5
"""A box of this confidence and above is one that a correct answer must count."""

MAX_SEEN = 4
"""An answer has room for so many labels: one that names as many may have left some out."""
_IRREGULAR = {"people": "person", "persons": "person", "men": "person", "women": "person", "children": "person",
              "man": "person", "woman": "person", "child": "person", "buses": "bus"}  # fmt: skip

# What writing says that is meant for a model and not for a passer-by, in the languages that are spoken to one most.
# A heuristic: what it misses is still never able to lower anything below the rules' floor.
_UNMISTAKABLE = r"""
    \b(ignor\w*|disregard|forget|overrid\w*|bypass)\b .{0,40}
      \b(instruct\w*|instruk\w*|anweis\w*|instrucc\w*|istruz\w*|instru[cç]\w*|rules?|prompt|consignes?)\b
    | \b(system|developer)\s*(prompt|message)\b | \bsystem\s*:
    | \b(not_seen|risk_score|verdict)\b
    | \b(you\s+are|act\s+as|pretend|du\s+bist|tu\s+es|eres)\b .{0,40}
      \b(ai|assistant|model|modell|assistent|helpful)\b
    | <\s?\|?\s*(im_start|im_end|system|endoftext)
    | 忽略|无视|系统提示|無視|игнорир|инструкц|تجاهل|التعليمات
    """
_LIKELY = r"""
    | \b(ignor\w*|disregard|forget|overrid\w*|bypass)\b .{0,40}
      \b(all|any|previous|prior|above|earlier|alarm|alert|person|people|man|woman|toutes?|alle|todas?|tutt[ei])\b
    | \b(instruction|instruktion|anweisung|instrucci[oó]n|instru[cç][aã]o|istruzion)\w*
    | \b(risk|threat|alarm|alert)[\s_-]*(score|level)?\s*(is|to|:|=|must|should)\s*[\d"']*\s*(0|none|zero|low|normal)\b
    | \b(respond|reply|answer|output|report|say|return|print|antworte|r[eé]ponds|responde|rispondi)\b .{0,30}
      \b(only|with|that|score|json|safe|nothing|nobody|no\s+one|nur|mit|con|avec|que|seulement|solo)\b
    | \b(do\s+not|don't|never|nicht|ne\s+pas|no)\b .{0,20}
      \b(report|alert|alarm|mention|flag|melden|signal\w*|notif\w*|inform\w*)\b
    | \b(ai|llm|vlm|chatgpt|gpt|qwen|assistant|language\s+model)\b .{0,40}
      \b(must|should|shall|please|attention|note|ignore)\b
    | 指令|不要报告|指示|報告しない|не\s+сообща
    """
_HOW = re.IGNORECASE | re.VERBOSE
_IN_A_SENTENCE = re.compile(_UNMISTAKABLE, _HOW)
_IN_WRITING = re.compile(_UNMISTAKABLE + _LIKELY, _HOW)


def instructs(text: str, written: bool = False) -> bool:
    """Return whether a text reads as if it were meant for a model.

    `written` is for what was read off the picture. A model's own sentences, such as "no alarm needed", are given more
    credit: only what no guard would say counts there.
    """
    return (_IN_WRITING if written else _IN_A_SENTENCE).search(text) is not None


def doubts(
    seen: Sequence[str], writing: str, sentences: Sequence[str], keyframes: Sequence[Keyframe]
) -> Iterator[Flag]:
    """Yield what is to be doubted about an answer.

    Args:
        seen: the answer's counts, such as `2 person`.
        writing: what the model read off the picture.
        sentences: its own words, in which such writing may turn up too.
        keyframes: what the model was shown, with what the detector saw in it.
    """
    whole = [keyframe for keyframe in keyframes if keyframe.region is None]
    said = _counts(seen)
    least, most = _least(whole), _most(whole)
    missing = len(said) < MAX_SEEN and any(label not in said for label in least)
    if missing or any(not least.get(label, 0) <= said[label] <= most[label] for label in said if label in most):
        yield "counts_differ"
    if any(count and label not in most for label, count in said.items()):
        yield "not_detected"
    if instructs(writing, written=True) or any(map(instructs, sentences)):
        yield "text_instructs"


def _counts(seen: Sequence[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for entry in seen:
        number, _, label = entry.partition(" ")
        counts[_singular(label)] += int(number)
    return counts


def _singular(label: str) -> str:
    label = label.strip().lower()
    known = _IRREGULAR.get(label)
    if known is not None:
        return known
    return label[:-1] if label.endswith("s") and not label.endswith("ss") and label != "bus" else label


def _things(keyframe: Keyframe) -> Iterator[tuple[str, int, float]]:
    """Yield label, track and confidence of all that was detected; what has no track is no thing of the detector's."""
    for subject in keyframe.subjects:
        if subject.track >= 0:
            yield _singular(subject.label), subject.track, subject.confidence
    for track in keyframe.others:
        yield _singular(track.label), track.id, track.confidence


def _least(keyframes: Sequence[Keyframe]) -> dict[str, int]:
    """Return by label how many are surely seen in that keyframe which shows the most of them at once."""
    least: Counter[str] = Counter()
    for keyframe in keyframes:
        least |= Counter(label for label, _, confidence in _things(keyframe) if confidence >= SURE)
    return dict(least)


def _most(keyframes: Sequence[Keyframe]) -> dict[str, int]:
    """Return by label how many different ones are seen in all keyframes together, however unsure."""
    tracks: dict[str, set[int]] = {}
    for keyframe in keyframes:
        for label, number, _ in _things(keyframe):
            tracks.setdefault(label, set()).add(number)
    return {label: len(numbers) for label, numbers in tracks.items()}
