#!/bin/sh
# Installs what the side-by-side comparisons measure against, into target/peers/venv.
# Not for CI: it needs the network, and its figures need a quiet machine.
set -eu
cd "$(dirname "$0")/../.."
python3 -m venv target/peers/venv
target/peers/venv/bin/pip install --quiet --upgrade pip
target/peers/venv/bin/pip install --quiet numpy scikit-learn "jax[cpu]"
target/peers/venv/bin/python -c 'import jax, numpy, sklearn; print("jax", jax.__version__, "numpy", numpy.__version__, "scikit-learn", sklearn.__version__)'
