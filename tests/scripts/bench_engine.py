"""Measures the engine beside llama.cpp: prints a table, writes it as JSON, and fails when a bar is missed.

    python bench_engine.py MODEL.gguf [--rounds N] [--threads 1,2] [--kernels avx2] --programs FOLDER --work FOLDER
        --output FILE.json

Both run the same work on the same file with the same number of threads, alternately, in one run: in each round every
row is measured on one side and at once on the other, and the sides take turns at being first. Models stay loaded, a
round of warming up is thrown away, and the ratio of a row is the median of its paired ratios. llama.cpp is the pinned
wheel `xllamacpp` with its own defaults (mapped file, repacking, flash attention as it chooses); only the number of
threads and the sizes are set. Rows that end in -q4_0 run a file of the same weights in Q4_0.

The limit of decoding is the memory: bytes a token reads, by bytes a second. That of a prompt is the arithmetic: byte
products of the layers, by products a second. A batch has the nearer of both. `machine_limits.c` measures them.

FOLDER of programs: the engine's examples `engine_bench` and `requantize`, built with optimisation.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys

SCRIPTS = os.path.dirname(os.path.abspath(__file__))
# What is measured; a row is WORK-tTHREADS.
WORKS = ("decode", "prefill", "batch8")
BARS = {"decode-t2": 2.0, "prefill-t2": 2.5, "batch8-t2": 2.0, "decode-t1": 1.7}
GOALS = {"decode-t2": 2.5, "prefill-t2": 3.5, "batch8-t2": 3.0}
SEQUENCES = 8


class Side:
    """A program that measures what its standard input names and prints one JSON object for each line."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args[0]} ended early")
        return json.loads(line)

    def speed(self, work):
        """Tokens a second."""
        self.process.stdin.write(work + "\n")
        self.process.stdin.flush()
        result = self.read()
        return result["tokens"] / result["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def limits_of(work_folder, threads, size):
    """What the machine can do: bytes read and byte operations a second."""
    program = os.path.join(work_folder, "machine_limits")
    source = os.path.join(SCRIPTS, "machine_limits.c")
    subprocess.run(["gcc", "-O2", "-pthread", source, "-o", program], check=True)
    return json.loads(subprocess.check_output([program, str(threads), str(size)]))


def limit(work, limits, about):
    """The most tokens a second that the machine permits, or None where it is not known."""
    memory = limits["read"] / about["bytes"]
    if work == "decode":
        return memory
    if limits["int8"] is None:
        return None
    if work == "prefill":
        return limits["int8"] / (2 * about["layer_products"])
    arithmetic = limits["int8"] / (2 * (about["layer_products"] + about["head_products"]))
    return min(SEQUENCES * memory, arithmetic)


def alternate(ours, theirs, works, rounds):
    """For each work a list of pairs, ours and theirs, after a round of warming up."""
    pairs = {work: [] for work in works}
    for number in range(rounds + 1):
        for work in works:
            first, second = (ours, theirs) if number % 2 == 0 else (theirs, ours)
            speeds = {first: first.speed(work)}
            speeds[second] = second.speed(work)
            if number > 0:
                pairs[work].append((speeds[ours], speeds[theirs]))
    return pairs


def works_for(threads):
    """One thread decodes and prefills; a batch is for all of them."""
    return [work for work in WORKS if work != "batch8" or threads > 1]


def measure(model, suffix, threads, options):
    """All rows of one file at one number of threads."""
    ours = Side([os.path.join(options.programs, "engine_bench"), model, str(threads), *options.kernels])
    theirs = Side([sys.executable, os.path.join(SCRIPTS, "llamacpp_bench.py"), model, str(threads)])
    limits = limits_of(options.work, threads, ours.about["bytes"])
    rows = []
    for work, pairs in alternate(ours, theirs, works_for(threads), options.rounds).items():
        most = limit(work, limits, ours.about)
        own = [pair[0] for pair in pairs]
        rows.append(
            {
                "name": f"{work}-t{threads}{suffix}",
                "unit": "tokens/s",
                "ours": own,
                "peer": "llama.cpp (xllamacpp)",
                "theirs": [pair[1] for pair in pairs],
                "ratio": statistics.median(pair[0] / pair[1] for pair in pairs),
                "limit": most,
                "share": statistics.median(own) / most if most else None,
                "better": "higher",
            }
        )
    ours.close()
    theirs.close()
    return rows, {**limits, "kernels": ours.about["kernels"]}


def machine():
    """The machine by what matters for speed, never by its name, and how busy others keep it."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
        "limits": {},
    }


def spread(values):
    """How far apart the values lie, as a share of their median."""
    return (max(values) - min(values)) / statistics.median(values)


def print_table(rows):
    header = ("row", "ours", "spread", "llama.cpp", "spread", "ratio", "bar", "goal", "limit", "share")
    table = [header]
    for row in rows:
        bar, goal = BARS.get(row["name"]), GOALS.get(row["name"])
        table.append(
            (
                row["name"],
                f"{statistics.median(row['ours']):.1f}",
                f"{spread(row['ours']):.0%}",
                f"{statistics.median(row['theirs']):.1f}",
                f"{spread(row['theirs']):.0%}",
                f"{row['ratio']:.2f}",
                f"{bar:.1f}" if bar else "",
                f"{goal:.1f}" if goal else "",
                f"{row['limit']:.0f}" if row["limit"] else "",
                f"{row['share']:.0%}" if row["share"] else "",
            )
        )
    widths = [max(len(line[column]) for line in table) for column in range(len(header))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=lambda text: [int(count) for count in text.split(",")], default=[1, 2])
    parser.add_argument("--kernels", nargs=1, default=[], help="ours, in place of the best this machine can run")
    parser.add_argument("--programs", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--output", required=True)
    return parser.parse_args()


def main():
    options = parse()
    os.makedirs(options.work, exist_ok=True)
    os.makedirs(os.path.dirname(os.path.abspath(options.output)), exist_ok=True)
    about = machine()
    q4_0 = os.path.join(options.work, "q4_0.gguf")
    subprocess.run([os.path.join(options.programs, "requantize"), options.model, q4_0], check=True)
    rows = []
    for model, suffix in ((options.model, ""), (q4_0, "-q4_0")):
        for threads in options.threads:
            print(f"measuring {os.path.basename(model)}, {threads} threads, {options.rounds} rounds", file=sys.stderr)
            measured, limits = measure(model, suffix, threads, options)
            rows += measured
            about["limits"].setdefault(f"t{threads}", limits)
    os.remove(q4_0)
    with open(options.output, "w", encoding="utf-8") as file:
        json.dump({"bench": "engine", "machine": about, "rows": rows}, file, indent=1)
    print(json.dumps(about))
    print("tokens a second, medians; ratios are medians of paired ratios")
    print_table(rows)
    missed = [row for row in rows if row["ratio"] < BARS.get(row["name"], 0)]
    for row in missed:
        print(f"MISSED: {row['name']} is {row['ratio']:.2f}, its bar {BARS[row['name']]}", file=sys.stderr)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
