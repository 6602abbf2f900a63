"""The model itself, as it lives in the worker process: loaded once, its answers held to a grammar."""

from __future__ import annotations

import copy
import json
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# A hub name is looked up in the local cache only: nothing is downloaded that nobody asked for.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import numpy as np
import torch
import xgrammar
from transformers import (
    AutoConfig,
    AutoProcessor,
    BitsAndBytesConfig,
    Qwen2_5_VLForConditionalGeneration,
    StoppingCriteria,
)
from transformers.utils import is_flash_attn_2_available
from transformers.utils import logging as transformers_logging

from surveil.assess import vlm
from surveil.assess.qwen import Residence
from surveil.assess.vlm import Question, Shape
from surveil.interfaces import AssessorError

_log = logging.getLogger(__name__)
MAX_NEW_TOKENS = 512
"""A backstop only: the grammar's own bounds end an answer, after some 120 tokens of a real model."""
MAX_NEW_BYTES = 2048
"""The same for a small tokenizer, whose tokens are little more than bytes."""
_SMALL_VOCABULARY = 10_000
_LONGEST_PICTURES = ((560, 672),) * 4 + ((392, 392),)
"""The most that a question shows (`trigger.keyframes`): four of 480 tokens and a closer view of 196."""
_TRIAL_TOKENS = 48
_TRIAL_WORDS = 450
"""Two tokens each: the fixed part, the longest incident and a refused answer. A longer question goes without the static
cache, which would have to be made and compiled anew for it."""
_NICE = 10
_MOST_BEGINNINGS = 8
"""Two are in use; a caller with ever new ones must not fill the memory."""

transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()


class Beginnings:
    """What the model has read of the fixed parts of its questions: their keys and values, by their tokens.

    A question's fixed part ends with the chat's first turn. In a batch it must stand at the front of every row, so the
    padding of shorter questions moves behind it; the model's positions count no padding, wherever it is.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._read: dict[tuple[int, ...], Any] = {}

    def read(self, inputs: Any, tokenizer: Any, rows: int) -> Any:
        """Return the cache to go on from, a row a question, and move the padding in `inputs`; None without one."""
        # What it remembers of the last batch's positions is of other pictures.
        self._model.model.rope_deltas = None
        fixed = _fixed_part(inputs, tokenizer.convert_tokens_to_ids("<|im_end|>"))
        if fixed is None:
            return None
        if fixed not in self._read:
            if len(self._read) >= _MOST_BEGINNINGS:
                self._read.clear()
            ids = torch.tensor([fixed], device=inputs["input_ids"].device)
            with torch.inference_mode():
                self._read[fixed] = self._model(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values
            self._model.model.rope_deltas = None
        for name in ("input_ids", "attention_mask", "mm_token_type_ids"):
            if name in inputs:
                inputs[name] = _padded_behind(inputs[name], inputs["attention_mask"], len(fixed))
        cache = copy.deepcopy(self._read[fixed])
        cache.batch_repeat_interleave(rows)
        return cache


def _fixed_part(inputs: Any, end: int) -> tuple[int, ...] | None:
    """Return the tokens of the first turn of the chat, where all rows have the same one; else None."""
    parts = set()
    for row, mask in zip(inputs["input_ids"].tolist(), inputs["attention_mask"].tolist(), strict=True):
        tokens = row[mask.index(1) :]
        if end not in tokens:
            return None
        parts.add(tuple(tokens[: tokens.index(end) + 1]))
    return parts.pop() if len(parts) == 1 else None


def _padded_behind(values: Any, mask: Any, fixed: int) -> Any:
    """Return rows (n, length) whose padding on the left has moved behind their first `fixed` values."""
    moved = values.clone()
    for row, (old, known) in enumerate(zip(values, mask, strict=True)):
        padding = int((known == 0).sum())
        moved[row] = torch.cat([old[padding : padding + fixed], old[:padding], old[padding + fixed :]])
    return moved


class _Pulse(StoppingCriteria):  # type: ignore[misc]  # transformers is untyped to us
    """Stops nothing: shows the parent with every token that this process moves."""

    def __init__(self, moved: Any) -> None:
        self._moved = moved

    def __call__(self, input_ids: Any, _scores: Any, **_kwargs: Any) -> Any:
        self.beat()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)

    def beat(self) -> None:
        if self._moved is not None:
            self._moved.value = time.monotonic()


class _Resident:
    """The loaded model and what belongs to it."""

    def __init__(self, residence: Residence, schemas: dict[Shape, Any], moved: Any) -> None:
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        if self.device == "cpu":
            # All cores, but only while nothing else wants them: detection must not lose a frame to an answer.
            torch.set_num_threads(len(os.sched_getaffinity(0)))
            os.nice(_NICE)
        if self.device == "cuda" and residence.ceiling_gb is not None:
            total = torch.cuda.get_device_properties(0).total_memory / 1e9
            torch.cuda.set_per_process_memory_fraction(min(1.0, residence.ceiling_gb / total))
        self.processor = AutoProcessor.from_pretrained(residence.model)
        # Each sequence of a batch must end where its answer begins.
        self.processor.tokenizer.padding_side = "left"
        self.model = _weights(residence, self.device)
        self.model.eval()
        self.pulse = _Pulse(moved)
        self.static_length = 0
        self.beginnings = Beginnings(self.model)
        size = self.model.config.get_text_config().vocab_size
        self.max_new_tokens = MAX_NEW_TOKENS if size > _SMALL_VOCABULARY else MAX_NEW_BYTES
        vocabulary = xgrammar.TokenizerInfo.from_huggingface(self.processor.tokenizer, vocab_size=size)
        compiler = xgrammar.GrammarCompiler(vocabulary)
        # any_whitespace: a small model loops on blanks for ever where the grammar lets it.
        self.grammars = {
            shape: compiler.compile_json_schema(json.dumps(schema), any_whitespace=False)
            for shape, schema in schemas.items()
        }

    @property
    def precision(self) -> str:
        """How the weights are kept, for people."""
        quantized = getattr(self.model, "is_quantized", False)
        return "nf4" if quantized else str(self.model.dtype).removeprefix("torch.")

    def answer(self, questions: Sequence[Question], max_new_tokens: int | None = None) -> list[str]:
        """Return the model's texts; half the batch at a time where the whole does not fit into memory."""
        self.pulse.beat()
        try:
            return self._generated(questions, max_new_tokens or self.max_new_tokens)
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
            if len(questions) == 1:
                raise MemoryError from None
        half = len(questions) // 2
        return [*self.answer(questions[:half], max_new_tokens), *self.answer(questions[half:], max_new_tokens)]

    def _generated(self, questions: Sequence[Question], max_new_tokens: int) -> list[str]:
        inputs = self._inputs(questions)
        read = self.beginnings.read(inputs, self.processor.tokenizer, len(questions))
        left = max(question.deadline_at for question in questions) - time.monotonic()
        grammars = [self.grammars[question.shape] for question in questions]
        # A compiled step is for one size of batch, so several questions go without.
        alone = len(questions) == 1 and inputs["input_ids"].shape[1] <= self.static_length
        how = {"cache_implementation": "static"} if alone else {"past_key_values": read}
        with torch.inference_mode():
            tokens = self.model.generate(
                **inputs,
                **how,
                max_new_tokens=max_new_tokens,
                max_time=max(0.1, left),
                do_sample=False,
                logits_processor=[xgrammar.contrib.hf.LogitsProcessor(grammars)],
                stopping_criteria=[self.pulse],
            )
        said = tokens[:, inputs["input_ids"].shape[1] :]
        return [str(text) for text in self.processor.tokenizer.batch_decode(said, skip_special_tokens=True)]

    def _inputs(self, questions: Sequence[Question]) -> Any:
        pictures = [np.ascontiguousarray(image[:, :, ::-1]) for question in questions for image in question.pictures]
        return self.processor(
            text=[_conversation(self.processor, question) for question in questions],
            images=pictures or None,
            return_tensors="pt",
            padding=True,
            do_resize=False,
        ).to(self.device)

    def warm_up(self) -> None:
        """Answer once, the longest question there can be on a GPU; there keep the static cache if it pays."""
        if self.device != "cuda":
            self.answer([_trial(((56, 56),))], 4)
            return
        longest = _trial(_LONGEST_PICTURES)
        self.answer([longest], _TRIAL_TOKENS)
        dynamic = self._timed(longest)
        try:
            self.static_length = self._inputs([longest])["input_ids"].shape[1]
            self.answer([longest])  # sizes the cache for good
            self.answer([longest], _TRIAL_TOKENS)  # and compiles
            static = self._timed(longest)
        except Exception as error:  # noqa: BLE001 - a compiler that fails in whatever way is one that does not pay
            _log.info("the static cache is left out: %s", type(error).__name__)
            self.static_length = 0
            return
        if static >= dynamic:
            self.static_length = 0
        _log.info("%d tokens take %.2f s with a static cache, %.2f s without", _TRIAL_TOKENS, static, dynamic)

    def _timed(self, question: Question) -> float:
        began = time.monotonic()
        self.answer([question], _TRIAL_TOKENS)
        return time.monotonic() - began


_resident: _Resident | None = None


def load(residence: Residence, schemas: dict[Shape, Any], moved: Any = None) -> str:
    """Load and warm up; return the name that answers carry. Raises AssessorError."""
    global _resident  # noqa: PLW0603 - one process, one model; this is where it lives
    model = residence.model
    try:
        kind = AutoConfig.from_pretrained(model).model_type
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise over a folder is told as one line
        raise AssessorError(_why_not(model, error)) from None
    if kind != "qwen2_5_vl":
        raise AssessorError(f"{model} is a model of the kind {kind}, not Qwen2.5-VL")
    try:
        _resident = _Resident(residence, schemas, moved)
        _resident.warm_up()
    except (torch.cuda.OutOfMemoryError, MemoryError):
        raise AssessorError(
            f"{model} does not fit into the free GPU memory; free some, or say assessor.quantize: nf4"
        ) from None
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise over a folder is told as one line
        raise AssessorError(_why_not(model, error)) from None
    return f"{Path(model).name}@{_resident.precision}"


def generate(questions: Sequence[Question]) -> list[str]:
    """Return the model's texts, one a question; all are cut off at the latest deadline of them.

    Raises AssessorError, and MemoryError where not even one question fits. Ends the process after a CUDA fault, which
    would break every later answer too.
    """
    if _resident is None:
        raise AssessorError("the model is not loaded")
    try:
        return _resident.answer(questions)
    except RuntimeError as error:
        if "CUDA error" in str(error):
            os._exit(1)
        raise


def _weights(residence: Residence, device: str) -> Any:
    # Half precision where the hardware computes in it; on a CPU that would only be slower.
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    four_bits = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype,
        # What sees and what speaks stays exact: the vision tower suffers most from four bits, and the head is small.
        llm_int8_skip_modules=["model.visual", "lm_head"],
    )
    return Qwen2_5_VLForConditionalGeneration.from_pretrained(
        residence.model,
        dtype=dtype,
        # Straight to the GPU, since the host of a small box has not the memory for a copy.
        device_map=device,
        attn_implementation="flash_attention_2" if device == "cuda" and is_flash_attn_2_available() else "sdpa",
        quantization_config=four_bits if residence.precision == "nf4" else None,
    )


def _trial(sides: Sequence[tuple[int, int]]) -> Question:
    pictures = tuple(np.zeros((*side, 3), np.uint8) for side in sides)
    return Question("Warm up.", pictures, "Answer. " * _TRIAL_WORDS, "answer", time.monotonic() + 600)


def _conversation(processor: Any, question: Question) -> str:
    """Return the chat in Qwen2.5-VL's own form, which a folder without a chat template does not bring."""
    if processor.chat_template is None:
        return _plain_conversation(question)
    content = [*({"type": "image"} for _ in question.pictures), {"type": "text", "text": question.text}]
    chat = [
        {"role": "system", "content": [{"type": "text", "text": question.system}]},
        {"role": "user", "content": content},
    ]
    if question.refused is not None:
        said, why = question.refused
        chat += [
            {"role": "assistant", "content": [{"type": "text", "text": said}]},
            {"role": "user", "content": [{"type": "text", "text": vlm.complaint(why)}]},
        ]
    return str(processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))


def _plain_conversation(question: Question) -> str:
    vision = "<|vision_start|><|image_pad|><|vision_end|>" * len(question.pictures)
    turns = [("system", question.system), ("user", vision + question.text)]
    if question.refused is not None:
        said, why = question.refused
        turns += [("assistant", said), ("user", vlm.complaint(why))]
    spoken = "".join(f"<|im_start|>{who}\n{what}<|im_end|>\n" for who, what in turns)
    return f"{spoken}<|im_start|>assistant\n"


def _why_not(model: str, error: Exception) -> str:
    if not Path(model).exists() and isinstance(error, OSError):
        return f'the weights of {model} are not on this machine; fetch them once (README, "Your own camera")'
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return f"{model} cannot be loaded: {first[:200]}"
