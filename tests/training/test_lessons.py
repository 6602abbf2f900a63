"""Lessons are what the daemon will ask: the same tokens, pictures and places as Qwen's own processor makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surveil.assess import prompt
from surveil.demo.moment import Seen, Thing, Truth
from training.sets import KeyframeSet, keyframe_set

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def some() -> list[KeyframeSet]:
    return [keyframe_set("val", number) for number in range(6)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, some: list[KeyframeSet]) -> Path:
    from training import small_qwen

    folder = tmp_path_factory.mktemp("small") / "model"
    small_qwen.build(folder, some)
    return folder


@pytest.fixture(scope="module")
def processor(built: Path) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(built)


@pytest.fixture(scope="module")
def model(built: Path) -> Any:
    import torch
    from transformers import Qwen2_5_VLForConditionalGeneration

    return Qwen2_5_VLForConditionalGeneration.from_pretrained(built, dtype=torch.float32)


def test_the_tokenizer_loses_nothing_and_is_short(processor: Any, some: list[KeyframeSet]) -> None:
    for text in (prompt.system(None), prompt.question(some[0].request, "en"), "Straße 17 - größer als “alles”"):
        assert processor.tokenizer.decode(processor.tokenizer(text)["input_ids"]) == text
    assert len(processor.tokenizer(prompt.system(None))["input_ids"]) < 150


def test_lessons_agree_with_qwens_own_processor(processor: Any, model: Any, some: list[KeyframeSet]) -> None:
    import torch

    from surveil.assess.qwen_model import _conversation
    from training import patches
    from training.lessons import Teacher, question

    for one in some[:3]:
        lesson = Teacher(processor).lesson(one)
        asked = question(one, None)
        pictures = [np.ascontiguousarray(picture[:, :, ::-1]) for picture in asked.pictures]
        own = processor(text=[_conversation(processor, asked)], images=pictures, return_tensors="pt", do_resize=False)
        length = own["input_ids"].shape[1]
        assert own["input_ids"][0].tolist() == lesson.ids[:length].tolist()
        assert not lesson.weights[:length].any()
        assert lesson.weights[length:].all()
        places, _ = model.model.get_rope_index(
            own["input_ids"], mm_token_type_ids=own["mm_token_type_ids"], image_grid_thw=own["image_grid_thw"]
        )
        assert places[:, 0].tolist() == lesson.positions[:, :length].tolist()
        pixels, grids = patches.batch(list(asked.pictures))
        assert torch.allclose(own["pixel_values"], pixels, atol=1e-5)
        assert own["image_grid_thw"].tolist() == grids.tolist()


def test_what_is_learnt_is_what_the_model_will_say(processor: Any, model: Any, some: list[KeyframeSet]) -> None:
    import torch

    from training.lessons import Teacher
    from training.qwen import _said

    teacher = Teacher(processor)
    long, short = sorted((teacher.lesson(one) for one in some[:2]), key=lambda lesson: -len(lesson.ids))
    with torch.inference_mode():
        together, right, _ = _said(model, teacher.batch([long, short]), teacher.image)
        alone, _, _ = _said(model, teacher.batch([short]), teacher.image)
    # Padding at the end changes nothing.
    assert torch.allclose(together[-len(alone) :], alone, atol=0.05)
    said = processor.tokenizer.decode(right[-len(alone) :])
    assert said.startswith('{"risk_score": ')
    assert said.endswith("}<|im_end|>")


def test_labels_lie_where_somebody_is() -> None:
    from training.squares import KINDS, labels

    person = Seen(Thing("person", 1, 1, 0, 9, activity="running"), (0.5, 0.5, 0.6, 0.9), 1.0)
    whole = labels(Truth((person,), True, False), (448, 812), None)
    assert whole.shape == (16, 29, 3)
    rows, columns = np.nonzero(whole[..., 0] == KINDS.index("running"))
    assert (rows.min(), rows.max()) == (8, 13)
    assert (columns.min(), columns.max()) == (14, 16)
    assert whole[..., 1].all()
    closer = labels(Truth((person,), True, False), (224, 224), (0.45, 0.4, 0.65, 1.0))
    assert closer[..., 0].any()


def test_a_run_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    import torch

    from training.checkpoint import Run

    def weights(path: Path, until: list[int]) -> list[float]:
        for steps in until:
            torch.manual_seed(0)
            line = torch.nn.Linear(2, 1)
            run = Run(path, line, 0.1, 20)
            while run.step < steps:
                run.learn(line(torch.ones(1, 2)).pow(2).sum())
            run.keep()
        return [float(weight) for weight in line.weight.detach().flatten()]

    assert weights(tmp_path / "cut.pt", [7, 20]) == pytest.approx(weights(tmp_path / "whole.pt", [20]))
