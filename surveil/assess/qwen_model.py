"""The model itself, as it lives in the worker process: loaded once, its answer held to a grammar."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

# A hub name is looked up in the local cache only: nothing is downloaded that nobody asked for.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import numpy as np
import torch
import xgrammar
from transformers import AutoConfig, AutoProcessor, Qwen2_5_VLForConditionalGeneration
from transformers.utils import logging as transformers_logging

from surveil.interfaces import AssessorError
from surveil.messages import Image

MAX_NEW_TOKENS = 2048
"""A backstop only: the grammar's own bounds end an answer, after some 120 tokens of a real model."""

transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()


class _Resident:
    """The loaded model and what belongs to it."""

    def __init__(self, folder: str, schema: dict[str, Any]) -> None:
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        # Half precision where the hardware computes in it; on a CPU that would only be slower.
        dtype = torch.bfloat16 if self.device == "cuda" else torch.float32
        self.processor = AutoProcessor.from_pretrained(folder)
        # device_map: straight to the GPU, since the host of a small box has not the memory for a copy.
        self.model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=dtype, device_map=self.device)
        self.model.eval()
        size = self.model.config.get_text_config().vocab_size
        vocabulary = xgrammar.TokenizerInfo.from_huggingface(self.processor.tokenizer, vocab_size=size)
        compiler = xgrammar.GrammarCompiler(vocabulary)
        # any_whitespace: a small model loops on blanks for ever where the grammar lets it.
        self.grammar = compiler.compile_json_schema(json.dumps(schema), any_whitespace=False)


_resident: _Resident | None = None


def load(model: str, schema: dict[str, Any]) -> str:
    """Load and warm up; return the name that answers carry. Raises AssessorError."""
    global _resident  # noqa: PLW0603 - one process, one model; this is where it lives
    try:
        kind = AutoConfig.from_pretrained(model).model_type
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise over a folder is told as one line
        raise AssessorError(_why_not(model, error)) from None
    if kind != "qwen2_5_vl":
        raise AssessorError(f"{model} is a model of the kind {kind}, not Qwen2.5-VL")
    try:
        _resident = _Resident(model, schema)
        generate("Warm up.", "Answer.", [np.zeros((56, 56, 3), np.uint8)], time.monotonic() + 600, max_new_tokens=4)
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise over a folder is told as one line
        raise AssessorError(_why_not(model, error)) from None
    precision = str(_resident.model.dtype).removeprefix("torch.")
    return f"{Path(model).name}@{precision}"


def generate(
    system: str, question: str, images: list[Image], deadline_at: float, max_new_tokens: int = MAX_NEW_TOKENS
) -> str:
    """Return the model's text for one question.

    Args:
        images: in the order in which they are shown; blue first, sides multiples of 28 pixels.
        deadline_at: monotonic seconds, the same in all processes of a machine; nobody waits for an answer after.

    Raises AssessorError. Ends the process after a CUDA fault, which would break every later answer too.
    """
    here = _resident
    if here is None:
        raise AssessorError("the model is not loaded")
    left = deadline_at - time.monotonic()
    if left <= 0:
        raise AssessorError("the deadline was over before the model was free")
    pictures = [np.ascontiguousarray(image[:, :, ::-1]) for image in images]
    inputs = here.processor(
        text=[_conversation(here.processor, system, question, len(pictures))],
        images=pictures or None,
        return_tensors="pt",
        do_resize=False,
    ).to(here.device)
    try:
        with torch.inference_mode():
            tokens = here.model.generate(
                **inputs,
                max_new_tokens=max_new_tokens,
                max_time=left,
                do_sample=False,
                logits_processor=[xgrammar.contrib.hf.LogitsProcessor(here.grammar)],
            )
    except torch.cuda.OutOfMemoryError:
        torch.cuda.empty_cache()
        raise AssessorError("the GPU has not enough free memory for this answer") from None
    except RuntimeError as error:
        if "CUDA error" in str(error):
            os._exit(1)
        raise
    answer = tokens[0, inputs["input_ids"].shape[1] :]
    return str(here.processor.tokenizer.decode(answer, skip_special_tokens=True))


def _conversation(processor: Any, system: str, question: str, pictures: int) -> str:
    """Return the chat in Qwen2.5-VL's own form, which a folder without a chat template does not bring."""
    if processor.chat_template is None:
        vision = "<|vision_start|><|image_pad|><|vision_end|>" * pictures
        return (
            f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{vision}{question}<|im_end|>\n"
            "<|im_start|>assistant\n"
        )
    content = [*({"type": "image"} for _ in range(pictures)), {"type": "text", "text": question}]
    chat = [{"role": "system", "content": [{"type": "text", "text": system}]}, {"role": "user", "content": content}]
    return str(processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))


def _why_not(model: str, error: Exception) -> str:
    if not Path(model).exists() and isinstance(error, OSError):
        return f'the weights of {model} are not on this machine; fetch them once (README, "Your own camera")'
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return f"{model} cannot be loaded: {first[:200]}"
