"""Qwen2.5-VL's own classes at two million parameters, and a tokenizer made of the daemon's own prompts and answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from surveil.assess import prompt
from training.answers import answer, view_answer
from training.sets import KeyframeSet

_NAMES = (
    "endoftext im_start im_end object_ref_start object_ref_end box_start box_end quad_start quad_end "
    "vision_start vision_end vision_pad image_pad video_pad"
)
SPECIALS = [f"<|{name}|>" for name in _NAMES.split()]
VOCABULARY = 2048
WINDOW = 224
"""Patches look at each other within squares of so many pixels; beyond them, the language model does."""
SEED = 1


def tokenizer(sets: Iterable[KeyframeSet]) -> PreTrainedTokenizerFast:
    """Return a tokenizer to which a sentence of the prompt is a token or two, and each digit one."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            # Lines, digits and an answer's keys stay apart; words do not: what is always said together is one token.
            pre_tokenizers.Split(Regex(r'\n|\d|, "[a-z_]+": '), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIALS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=64,
        show_progress=False,
    )
    made.train_from_iterator(_texts(sets), trainer)
    ends = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **ends)


def _texts(sets: Iterable[KeyframeSet]) -> Iterator[str]:
    for one in sets:
        yield prompt.system(None)
        yield prompt.question(one.request, "en")
        yield answer(one.right)
        yield prompt.view_system(None)
        for angle, asked in prompt.VIEWS.items():
            yield asked
            yield view_answer(one.right, angle)


def build(folder: Path, sets: Iterable[KeyframeSet]) -> None:
    """Write the untrained model and its processor to a folder, as `save_pretrained` does for the real one."""
    made = tokenizer(sets)
    config = _config(made)
    torch.manual_seed(SEED)
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = made.convert_tokens_to_ids("<|im_end|>")
    model.generation_config.pad_token_id = made.convert_tokens_to_ids("<|endoftext|>")
    model.save_pretrained(folder)
    Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(), tokenizer=made, video_processor=Qwen2VLVideoProcessor()
    ).save_pretrained(folder)


def _config(made: PreTrainedTokenizerFast) -> Any:
    ids = {special: made.convert_tokens_to_ids(special) for special in SPECIALS}
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(made),
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 8192,
            "rope_parameters": {"rope_type": "default", "mrope_section": [4, 6, 6], "rope_theta": 1e4},
            "bos_token_id": ids["<|endoftext|>"],
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": 4,
            "hidden_size": 96,
            "intermediate_size": 256,
            "num_heads": 3,
            "out_hidden_size": 128,
            "fullatt_block_indexes": [],
            "window_size": WINDOW,
        },
        tie_word_embeddings=True,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
