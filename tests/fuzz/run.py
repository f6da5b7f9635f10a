"""Fuzz one target, guided by coverage, by hand.

    pip install atheris   (not among the extras: it is large, and has wheels for Linux only)
    python tests/fuzz/run.py config -atheris_runs=100000

The targets are config, pattern, notifier and record; the options are libFuzzer's
(https://llvm.org/docs/LibFuzzer.html#options). It begins with the seeds. Nothing has been found so
far; what is found is put into `tests/fuzz/found/TARGET/`, a file an input, and is from then on
among the seeds, and tried by `test_any_input.py` at every run of the suite.
"""

import sys
import tempfile
from pathlib import Path

import atheris

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

with atheris.instrument_imports(include=["ctwatch", "yaml"]):
    from seeds import SEEDS
    from targets import TARGETS


def main() -> None:
    """Write the seeds to a corpus that lasts as long as the run."""
    name = sys.argv.pop(1)
    corpus = Path(tempfile.mkdtemp(prefix=f"ctwatch-fuzz-{name}-"))
    for number, seed in enumerate(SEEDS[name]):
        (corpus / str(number)).write_bytes(seed)
    atheris.Setup([*sys.argv, "-max_len=8192", str(corpus)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
