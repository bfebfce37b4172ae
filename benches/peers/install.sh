#!/bin/sh
# Installs what the side-by-side comparisons measure against, into target/peers/venv: 5 GB, most of it the
# libraries for graphics cards without which PyTorch's wheel for Linux is not imported.
# Not for CI: it needs the network, and its figures need a quiet machine.
set -eu
cd "$(dirname "$0")/../.."
python3 -m venv target/peers/venv
target/peers/venv/bin/pip install --quiet --upgrade pip
# The versions that the figures in benches/README.md are of.
target/peers/venv/bin/pip install --quiet \
    numpy==2.4.6 scikit-learn==1.9.1 "jax[cpu]==0.10.2" torch==2.15.0 normflows==1.7.3
target/peers/venv/bin/python - <<'END'
from importlib.metadata import version

print(*(f"{name} {version(name)}" for name in ("jax", "numpy", "scikit-learn", "torch", "normflows")))
END
