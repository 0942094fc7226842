"""The table, as Markdown."""

import os
import pathlib
import platform
import statistics

HEAD = ["workload", "system", "MB/s", "× Kafka", "core-s/GB", "broker cores", "client cores",
        "others' cores", "p50 ms", "p99 ms", "p99.9 ms", "batch KiB", "entry KiB", "batches a flush"]


def median_of(rows):
    """Figure by figure; errors of all."""
    errors = {}
    for row in rows:
        for kind, count in row["errors"].items():
            errors[kind] = errors.get(kind, 0) + count
    names = [name for name in rows[0] if name != "errors"]
    return {name: statistics.median(row[name] for row in rows) for name in names} | {"errors": errors}


def cells(workload, system, row, base):
    ratio = f"{row['mb'] / base:.2f}" if base else "–"
    entry = "–"
    if "batches_per_flush" in row:
        flushes, entry = f"{row['batches_per_flush']:.1f}", f"{row['entry_kib']:.0f}"
    else:
        flushes = "–" if workload.reads else {"kafka-flush": "1"}.get(system.name, "no flush")
    times = ["–"] * 3 if workload.reads or not row["p50"] else [
        f"{row['p50']:.2f}", f"{row['p99']:.1f}", f"{row['p999']:.1f}"]
    return [workload.what, system.label, f"{row['mb']:.0f}", ratio, f"{row['core_s_per_gb']:.2f}",
            f"{row['broker_cores']:.2f}", f"{row['tool_cores']:.2f}", f"{row['other_cores']:.2f}",
            *times, f"{row['batch_kib']:.1f}", entry, flushes]


def machine():
    model = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} × {model}, {memory:.0f} GiB, Linux {platform.release()}"


def write(rows, workloads, systems, single, options):
    """`rows`: figures by (workload, system) name; `single`: pairs of what and how much."""
    lines = [f"Machine: {machine()}. {options.nodes} node(s), records of 1 KiB, acks=all, {options.seconds:g} s "
             f"after {options.warmup:g} s of warm-up, median of {options.rounds}; before the first one "
             f"Kafka ran {options.jit_seconds:g} s of mixed load. Duramen: {options.duramen_options}.", ""]
    notes = []
    if rows:
        lines += ["| " + " | ".join(HEAD) + " |", "|---|---|" + "---:|" * (len(HEAD) - 2)]
    for workload in workloads:
        base = rows.get((workload.name, "kafka"), {}).get("mb")
        for system in systems:
            row = rows.get((workload.name, system.name))
            if row:
                lines.append("| " + " | ".join(cells(workload, system, row, base)) + " |")
                notes += [f"- {workload.what}, {system.label}: {count} × {kind}"
                          for kind, count in sorted(row["errors"].items())]
            elif (workload.name, system.name) in options.failed:
                empty = [workload.what, system.label, "no result"] + [""] * (len(HEAD) - 3)
                lines.append("| " + " | ".join(empty) + " |")
    if notes:
        lines += ["", "Errors that were tried again:", "", *notes]
    duramen = [(workload, rows[workload.name, "duramen"]) for workload in workloads
               if "us_per_batch" in rows.get((workload.name, "duramen"), {})]
    if any(workload.name == "single-batch" for workload, _ in duramen):
        row = rows["single-batch", "duramen"]
        single = [("one record a batch: processor time of the broker for each",
                   f"{row['us_per_batch']:.1f} µs"), *single]
    if single:
        lines += ["", "| Duramen alone | |", "|---|---:|"]
        lines += [f"| {what} | {how_much} |" for what, how_much in single]
    options.out.write_text("\n".join(lines) + "\n")
