"""Qwen2.5-VL-7B on a GPU: surveil's worker against the plain `generate` loop, and the detector beside it.

    python -m benchmarks.vlm_gpu [--toy] [--detector WEIGHTS.pt] [--rounds 20]

The real 7B architecture with random weights in bfloat16, since speed does not depend on the values; three keyframes of
480 tokens each and some 400 tokens of text, an answer fixed at 60 tokens. Measured in one run: the plain loop (a
request at a time, dynamic cache, no grammar), and surveil's resident model at 1, 4 and 16 requests that wait together;
with `--detector`, the time of a detection alone and while the VLM is busy on the same card. `--toy` is the same at toy
size, to try the script on a CPU. Writes vlm-NAME.json, named after the device.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track as progress
from rich.table import Table
from transformers import AutoProcessor, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from surveil.assess import answer, qwen_model
from surveil.assess.qwen import Residence
from surveil.assess.vlm import Question
from tests.real import toy_qwen

ANSWER_TOKENS = 60
PICTURES = 3
SIDES = (560, 672)
"""A picture of 480 tokens: 20 by 24 squares of 28 pixels."""
AT_ONCE = (1, 4, 16)
OUT = Path(__file__).parent / "results"


class Resident(qwen_model._Resident):
    """surveil's own resident model, with the answer fixed at ANSWER_TOKENS."""

    def _generated(self, questions: Any, _max_new_tokens: int) -> list[str]:
        self.model.generation_config.min_new_tokens = ANSWER_TOKENS
        return super()._generated(questions, ANSWER_TOKENS)


def weights_7b(folder: str) -> Any:
    """Return the 7B architecture with random weights on the GPU; its processor is the toy's, whose tokens are bytes."""
    processor = AutoProcessor.from_pretrained(folder)
    known = processor.tokenizer.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        image_token_id=known("<|image_pad|>"),
        video_token_id=known("<|video_pad|>"),
        vision_start_token_id=known("<|vision_start|>"),
        vision_end_token_id=known("<|vision_end|>"),
        text_config={
            "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
            "num_key_value_heads": 4, "vocab_size": 152_064, "max_position_embeddings": 32_768,
            "rope_parameters": {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1e6},
            "eos_token_id": known("<|im_end|>"), "pad_token_id": known("<|endoftext|>"),
        },
        vision_config={
            "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584,
            "fullatt_block_indexes": [7, 15, 23, 31], "window_size": 112,
        },
    )  # fmt: skip
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("cuda"):
            model = Qwen2_5_VLForConditionalGeneration._from_config(config, attn_implementation="sdpa")
    finally:
        torch.set_default_dtype(before)
    model.generation_config.eos_token_id = known("<|im_end|>")
    model.generation_config.pad_token_id = known("<|endoftext|>")
    return model


def questions(count: int) -> list[Question]:
    """Return questions of the usual size."""
    dice = np.random.default_rng(0)
    pictures = tuple(dice.integers(0, 255, (*SIDES, 3), np.uint8).astype(np.uint8) for _ in range(PICTURES))
    return [Question("s" * 240, pictures, "q" * 170, "answer", time.monotonic() + 600) for _ in range(count)]


def plain(resident: Resident) -> Callable[[], None]:
    """Return one turn of the tutorials' loop: one request, everything at its default."""

    def turn() -> None:
        (question,) = questions(1)
        inputs = resident._inputs([question])
        with torch.inference_mode():
            resident.model.generate(
                **inputs, max_new_tokens=ANSWER_TOKENS, min_new_tokens=ANSWER_TOKENS, do_sample=False
            )

    return turn


def _turn(resident: Resident, count: int) -> None:
    resident.answer(questions(count))


def measured(name: str, turn: Callable[[], None], requests: int, rounds: int) -> dict[str, float]:
    """Return latency and requests a second of so many turns; the first two warm up."""
    for _ in range(2):
        turn()
    took = []
    for _ in progress(range(rounds), description=name, console=Console(stderr=True)):
        began = time.monotonic()
        turn()
        took.append(time.monotonic() - began)
    return {**centiles(took), "requests_a_second": round(requests * rounds / sum(took), 2)}


def centiles(took: list[float]) -> dict[str, float]:
    """Return p50, p95 and p99 in seconds, of all that was measured."""
    cuts = quantiles(took, n=100, method="inclusive")
    return {"p50_s": round(cuts[49], 4), "p95_s": round(cuts[94], 4), "p99_s": round(cuts[98], 4)}


def detector_beside(weights: Path, resident: Resident, seconds: float = 20.0) -> dict[str, Any]:
    """Return the time of a detection alone, and while the VLM answers on the same card."""
    from surveil.detect import backend

    detector = backend.load(weights, imgsz=640, confidence=0.25, device="auto")
    picture = np.random.default_rng(0).integers(0, 255, (384, 640, 3), np.uint8).astype(np.uint8)

    def detect() -> list[float]:
        took, until = [], time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.monotonic()
            detector.start([picture])()
            took.append(time.monotonic() - began)
        return took

    alone = centiles(detect()[10:])
    over = threading.Event()

    def answer_on() -> None:
        while not over.is_set():
            resident.answer(questions(4))

    busy = threading.Thread(target=answer_on)
    busy.start()
    beside = centiles(detect())
    over.set()
    busy.join(120)
    return {"alone": alone, "beside_the_vlm": beside, "p99_times": round(beside["p99_s"] / alone["p99_s"], 2)}


def main() -> None:
    """Measure, show and store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--toy", action="store_true", help="toy size, to try the script without a GPU")
    parser.add_argument("--detector", type=Path, help="YOLOv8 weights; needs ultralytics")
    parser.add_argument("--rounds", type=int, default=20)
    said = parser.parse_args()
    if not (said.toy or torch.cuda.is_available()):
        raise SystemExit("there is no NVIDIA GPU here; --toy tries the script without one")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    with tempfile.TemporaryDirectory() as folder:
        toy_qwen.build(Path(folder))
        if not said.toy:
            qwen_model._weights = lambda residence, device: weights_7b(residence.model)  # noqa: ARG005
        resident = Resident(Residence(folder), {shape: answer.schema(shape) for shape in answer.SHAPES}, None)
    result: dict[str, Any] = {"device": device, "model": "toy" if said.toy else "Qwen2.5-VL-7B, random, bfloat16"}
    result["plain"] = measured("plain loop", plain(resident), 1, said.rounds)
    resident.warm_up()
    result["static_cache"] = resident.static_length > 0
    for count in AT_ONCE:
        turn = partial(_turn, resident, count)
        result[f"{count}_at_once"] = measured(f"{count} at once", turn, count, said.rounds)
    one, most = result["plain"]["requests_a_second"], result[f"{AT_ONCE[-1]}_at_once"]["requests_a_second"]
    result["times_the_plain_loop"] = round(most / one, 2)
    if said.detector is not None:
        result["detector"] = detector_beside(said.detector, resident)
    show(result)
    name = "vlm-" + re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
    OUT.mkdir(exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    table = Table("", "p50 s", "p95 s", "p99 s", "requests/s", title=f"{result['model']}, {result['device']}")
    for name, row in result.items():
        if isinstance(row, dict) and "requests_a_second" in row:
            table.add_row(name.replace("_", " "), *(str(value) for value in row.values()))
    Console().print(table)
    Console().print(f"{result['times_the_plain_loop']} times the plain loop's throughput", result.get("detector", ""))


if __name__ == "__main__":
    main()
