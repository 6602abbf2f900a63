"""What deciding costs: milliseconds a frame of one camera with eight tracks and every rule, on one core.

    python benchmarks/policy.py [--frames 20000]

Pictures of 640x360 with a noise of their own, as from a sensor; the tracks come, walk and go.
"""

from __future__ import annotations

import argparse
import json
import time

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track as progress
from rich.table import Table

from surveil.config import Config
from surveil.messages import Box, Frame, Image, Observation, Track
from surveil.trigger.identity import derived_entropy
from surveil.trigger.policy import Policy

CAMERA = {
    "source": "rtsp://h/1",
    "zones": {"yard": {"polygon": [[0.1, 0.4], [0.9, 0.4], [0.9, 1.0], [0.1, 1.0]]}},
    "lines": {"gate": {"from": [0.5, 1.0], "to": [0.5, 0.0]}},
}
RULES: dict[str, dict[str, object]] = {
    "person": {},
    "object": {"labels": ["car"]},
    "intrusion": {"zone": "yard"},
    "line": {"line": "gate"},
    "loiter": {"zone": "yard"},
    "crowd": {"count": 5},
    "speed": {"limit": 2},
    "fall": {},
    "left_object": {},
    "removed_object": {},
    "unusual": {},
    "tamper": {},
}


def scenes(frames: int) -> list[Image]:
    """Return some pictures that differ by noise."""
    dice = np.random.default_rng(0)
    scene = cv2.resize(dice.integers(0, 255, (36, 64, 3), np.uint8), (640, 360))
    noisy = [np.clip(scene + dice.normal(0, 2, scene.shape), 0, 255).astype(np.uint8) for _ in range(min(frames, 16))]
    return [np.asarray(image, np.uint8) for image in noisy]


def cost(rules: list[dict[str, object]], frames: int) -> float:
    """Return the CPU milliseconds a frame of a policy with these rules."""
    config = Config.model_validate_json(json.dumps({"cameras": {"cam": {**CAMERA, "rules": rules}}}))
    policy = Policy(config, assesses=False, entropy=derived_entropy)
    pictures = scenes(frames)
    spent = 0.0
    for n in range(frames):
        image = pictures[n % len(pictures)]
        frame = Frame("cam", n, n / 25, 946_728_000.0 + n / 25, image, lambda image=image: image)  # type: ignore[misc]
        tracks = tuple(Track(n // 500 * 8 + k, "person", 0.9, _walker(n, k)) for k in range(8))
        began = time.process_time()
        policy.observe(Observation(frame, tracks))
        spent += time.process_time() - began
    return 1000 * spent / frames


def _walker(frame: int, number: int) -> Box:
    left = (0.1 * number + frame % 500 / 1500) % 0.9
    return left, 0.4, left + 0.08, 0.8


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=20_000)
    said = parser.parse_args()
    cv2.setNumThreads(1)
    all_rules: list[dict[str, object]] = [{"when": name, **more} for name, more in RULES.items()]
    kinds = {"no rule (the watch over the scene)": [], "all rules": all_rules}
    kinds |= {str(rule["when"]): [rule] for rule in all_rules}
    shown = Table(title=f"deciding, 8 tracks, {said.frames} frames at 25 a second")
    shown.add_column("rules")
    shown.add_column("CPU ms a frame", justify="right")
    for name, rules in progress(kinds.items(), description="deciding", console=Console(stderr=True)):
        shown.add_row(name, f"{cost(rules, said.frames):.3f}")
    Console().print(shown)


if __name__ == "__main__":
    main()
