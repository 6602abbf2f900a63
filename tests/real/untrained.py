"""YOLOv8n's real architecture with random weights that see many things: speed and agreement need no training."""

from __future__ import annotations

from pathlib import Path

from surveil.detect.quiet import quieten


def write(path: Path, model: str = "yolov8n.yaml", bias: float = 3.0, gain: float = 1.0) -> Path:
    """Write .pt weights, the same every time; `bias` lifts the scores until some hundred places pass the floor."""
    quieten()
    import torch
    from ultralytics import YOLO

    torch.manual_seed(0)
    yolo = YOLO(model)
    with torch.no_grad():
        # Random convolutions nearly lose the picture on its way: batch norm is told what really comes out of them.
        for layer in yolo.model.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = None
                layer.reset_running_stats()
        blocks = torch.rand(8, 3, 12, 20).repeat_interleave(32, dim=2).repeat_interleave(32, dim=3)
        yolo.model.train()
        yolo.model(blocks)
        yolo.model.eval()
        for scores in yolo.model.model[-1].cv3:
            scores[-1].bias += bias
            scores[-1].weight *= gain
    yolo.model.names = {number: f"thing {number}" if number else "person" for number in range(80)}
    yolo.save(str(path))
    return path
