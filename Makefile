# LoRun. `make run` and `make test` do all set-up themselves; the next call finds it done.
#
#   make run            the window on the built-in sample; without a display, the sample restored into ./lorun-demo/
#   make test           linting and the test suite, without the slow tests and those that need a GPU
#   make lint           linting alone
#   make gpu-check      what a CUDA device must give, as a table; says so where there is none
#   make fuzz           damaged files and senseless command lines, 20,000 and 5,000: hours; none may give a traceback
#   make bench          measurements of speed
#   make screenshots    the pictures of the documentation
#   make package        the program as a folder that needs no Python: dist/lorun/
#
# TORCH_INDEX=URL is one more package index, for a build of PyTorch of your choice; VENV=FOLDER another environment.

VENV ?= .venv
BIN := $(VENV)/bin
RUN_READY := $(VENV)/run-ready
TEST_READY := $(VENV)/test-ready
QT_READY := $(VENV)/qt-ready
QT_LIBRARIES := libegl1 libgl1 libglib2.0-0 libdbus-1-3 libfontconfig1 libxkbcommon0 libxkbcommon-x11-0 libxcb-cursor0 \
	libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xkb1 \
	fonts-dejavu-core

.PHONY: run test lint gpu-check fuzz bench screenshots package
.DELETE_ON_ERROR:

run: $(RUN_READY) $(QT_READY)
	@$(BIN)/lorun demo

test: lint $(QT_READY)
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 8 --dist worksteal

lint: $(TEST_READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

gpu-check: $(TEST_READY)
	@$(BIN)/python -m tests.gpu_check

fuzz: $(TEST_READY)
	@$(BIN)/python -m tests.fuzz 20000 5000

bench: $(TEST_READY) $(QT_READY)
	@$(BIN)/python -m pytest tests/benchmarks -m benchmark -s

screenshots: $(TEST_READY) $(QT_READY)
	@$(BIN)/python -m tests.screenshots

package: $(TEST_READY) $(QT_READY)
	@$(BIN)/python -m PyInstaller --noconfirm lorun.spec

# ---- set-up ------------------------------------------------------------------------------------------------------

PIP_INSTALL = $(if $(TORCH_INDEX),PIP_EXTRA_INDEX_URL="$(TORCH_INDEX)") $(BIN)/python -m pip install --quiet -c constraints.txt

$(BIN)/python:
	@for python in python3.11 python3.12 python3.13 python3; do \
		if $$python -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then \
			echo "Setting up $(VENV) with $$($$python --version)"; \
			exec $$python -m venv $(VENV); \
		fi; \
	done; \
	echo "LoRun needs Python 3.11, 3.12 or 3.13 with its venv module: install it (Debian, Ubuntu: python3-venv), then run make again." >&2; \
	exit 1

$(RUN_READY): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing LoRun and what it needs into $(VENV) (PyTorch is the largest part)"
	@$(PIP_INSTALL) -e .
	@touch $@

$(TEST_READY): $(RUN_READY)
	@echo "Installing what the tests need into $(VENV)"
	@$(PIP_INSTALL) -e '.[test]'
	@touch $@

# Qt comes with pip, the system libraries it loads do not. Whatever works is left alone.
QT_LOADS = QT_QPA_PLATFORM=offscreen $(BIN)/python -c 'from PySide6.QtGui import QFontDatabase, QGuiApplication; \
	application = QGuiApplication([]); raise SystemExit(not QFontDatabase.families())' 2>/dev/null && \
	! ldd $(VENV)/lib/python3.*/site-packages/PySide6/Qt/plugins/platforms/libqxcb.so 2>/dev/null | grep -q 'not found'

$(QT_READY): | $(RUN_READY)
	@if ! { $(QT_LOADS); } && command -v apt-get >/dev/null; then \
		as_root=; [ "$$(id -u)" = 0 ] || as_root="sudo -n"; \
		if $$as_root true 2>/dev/null; then \
			echo "Installing the system libraries of Qt"; \
			$$as_root apt-get -qq update && \
			$$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $(QT_LIBRARIES) >/dev/null; \
		fi; \
	fi; \
	if { $(QT_LOADS); }; then touch $@; \
	else echo "Qt lacks system libraries for the window; install them, by Debian's names: $(QT_LIBRARIES)" >&2; fi
