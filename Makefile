# The whole developer interface. PYTHON picks the interpreter that makes .venv (3.11 or later).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install demo test check format demo-models clean
help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

install: $(VENV)/.installed ## make .venv with everything that is pinned

$(VENV)/.installed: pyproject.toml constraints.txt scripts/debian-packages
	scripts/debian-packages libgl1 libglib2.0-0
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: install ## show the whole job on a yard of our own (ARGS="--seconds 60 --json" passes options)
	$(BIN)/surveil demo $(ARGS)

test: install ## install what the tests need, and run them (ARGS="-k mqtt" passes options to pytest)
	scripts/debian-packages ffmpeg mosquitto gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base \
		gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav
	$(BIN)/python -m pytest $(ARGS)

check: install ## lint, format and types, all strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install ## mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Where frames, keyframe sets and checkpoints are kept: some 3 GB.
TRAINING ?= training/work

demo-models: install ## train the demo's two models again: hours, and it goes on where it was cut off (training/README.md)
	$(BIN)/python -m training.yolo train $(TRAINING)
	$(BIN)/python -m training.yolo measure $(TRAINING)
	$(BIN)/python -m training.yolo publish $(TRAINING) surveil/demo/models/yard.pt
	$(BIN)/python -m training.qwen train $(TRAINING)
	$(BIN)/python -m training.qwen measure $(TRAINING)
	$(BIN)/python -m training.qwen publish $(TRAINING) surveil/demo/models/qwen

clean: ## remove .venv and what the tools left
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
