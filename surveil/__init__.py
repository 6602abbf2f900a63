"""surveil: YOLOv8 sees every frame, Qwen2.5-VL says what and why, alerts go out over MQTT."""

__version__ = "0.1.0"
