"""Prints what llama.cpp predicts at each position of some sequences: the expectation of the engine's tests.

    python llamacpp_logits.py JOBS.json > RESULTS.json

JOBS.json is an array of {"model": path of a GGUF file, "sequences": arrays of token ids, "logits": true or false}.
RESULTS.json has, in the same order, {"top1": for each sequence and position the likeliest next token, "logits": the
same in full where they are asked for, else null}. Of equal logits the lowest token id counts as the likeliest.
"""

import json
import os
import sys

from llamacpp import Model


def predictions(model, sequence):
    """Every position's logits, of one sequence computed as a prompt."""
    model.clear()
    model.fill([(token, position, 0, True) for position, token in enumerate(sequence)])
    model.decode()
    for position in range(len(sequence)):
        yield model.logits(position)


def run(job):
    positions = max(len(sequence) for sequence in job["sequences"])
    model = Model(job["model"], os.cpu_count() or 1, positions)
    top1, logits = [], []
    for sequence in job["sequences"]:
        rows = [(row.index(max(row)), row if job["logits"] else None) for row in predictions(model, sequence)]
        top1.append([best for best, _ in rows])
        logits.append([row for _, row in rows])
    model.close()
    return {"top1": top1, "logits": logits if job["logits"] else None}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        jobs = json.load(file)
    json.dump([run(job) for job in jobs], sys.stdout)


if __name__ == "__main__":
    main()
