"""Programs that take turns on one machine, and tables of what they took, as text.

Every program stays up and measures when told to, one at a time, so that whatever else the machine does
meets all alike.
"""

import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = ROOT / "benches/peers"
PYTHON = ROOT / "target/peers/venv/bin/python"


class Program:
    """A program that measures what it is told on its standard input."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def measure(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args[0]} ended without measuring {what}")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def program(name):
    """Where a program of ours is."""
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / name


def detfree(name, *arguments):
    return Program([program(name), *arguments])


def script(name, *arguments):
    """A peer's script."""
    return Program([PYTHON, PEERS / name, *arguments])


def common(options):
    return ["--threads", str(options.threads), "--seconds", str(options.seconds)]


def median(values, key=None):
    return statistics.median(v[key] if key else v for v in values)


def quartiles(values):
    if len(values) < 4:
        return f"{min(values):.2f} to {max(values):.2f}"
    low, _, high = statistics.quantiles(values, n=4)
    return f"{low:.2f} to {high:.2f}"


def at_best(mine, theirs):
    return f"{min(b['low_ms'] for b in theirs) / min(a['low_ms'] for a in mine):.2f}"


def rounds(count, measurements):
    """Turns of several measurements, in an order that is reversed every other time."""
    # Preparation, and the choice of a variant: ours last, when the others no longer start up.
    for measure in reversed(measurements):
        measure()
    rows = []
    for turn in range(count):
        order = range(len(measurements))
        row = {i: measurements[i]() for i in (order if turn % 2 == 0 else reversed(order))}
        rows.append(tuple(row[i] for i in order))
    return rows


def table(title, head, rows):
    print(f"\n{title}\n", flush=True)
    widths = [len(h) for h in head]
    print("  ".join(head), flush=True)
    print("  ".join("-" * w for w in widths), flush=True)
    for row in rows:
        cells = (str(cell).rjust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells), flush=True)


def machine():
    model = "an unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    today = datetime.date.today().isoformat()
    load = os.getloadavg()[0]
    return f"{today}, {os.cpu_count()} cores of {model}, load {load:.1f} at the start"
