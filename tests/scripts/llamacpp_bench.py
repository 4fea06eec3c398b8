"""llama.cpp's side of `make bench-engine`, line for line like the engine's `examples/engine_bench.rs`.

    python llamacpp_bench.py MODEL.gguf THREADS
    < decode | prefill | batch8        128 tokens one by one; a prompt of 128; 64 steps of eight sequences
    > {"tokens": 128, "seconds": 0.6}  the time inside llama_decode, logits included; nothing is sampled
"""

import json
import sys
import time

from llamacpp import Model

SEQUENCES = 8
TOKENS = 128
STEPS = 64


def row(position, sequence, logits):
    """Some token, the same for the same place as on the engine's side."""
    return 1000 + (37 * position + 101 * sequence) % 20000, position, sequence, logits


def step(model, rows):
    model.fill(rows)
    began = time.perf_counter()
    model.decode()
    return time.perf_counter() - began


def decode(model):
    return TOKENS, sum(step(model, [row(position, 0, True)]) for position in range(TOKENS))


def prefill(model):
    return TOKENS, step(model, [row(position, 0, position + 1 == TOKENS) for position in range(TOKENS)])


def batch8(model):
    steps = ([row(position, sequence, True) for sequence in range(SEQUENCES)] for position in range(STEPS))
    return STEPS * SEQUENCES, sum(step(model, rows) for rows in steps)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    model = Model(sys.argv[1], int(sys.argv[2]), TOKENS, SEQUENCES)
    works = {work.__name__: work for work in (decode, prefill, batch8)}
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        model.clear()
        tokens, seconds = works[line.strip()](model)
        print(json.dumps({"tokens": tokens, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
