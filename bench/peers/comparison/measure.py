"""One run of duramen-bench, and what brokers and machine used meanwhile."""

import json
import os
import pathlib
import subprocess
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")
# A load may take this much longer than it was asked to: what waits is sent, what was read is drained.
OVERTIME_SECONDS = 25
LOAD_SECONDS_MAX = 150


class Failed(Exception):
    """A run that came to no result."""


def busy_seconds(pids):
    """utime + stime of these processes, with all threads they ever had."""
    ticks = 0
    for pid in pids:
        stat = pathlib.Path(f"/proc/{pid}/stat")
        if not stat.exists():
            raise Failed("a broker has ended")
        fields = stat.read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


def machine_busy_seconds():
    """Processor time of the whole machine, idle and waiting aside."""
    fields = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    user, nice, system, _idle, _wait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / TICKS


def disk_read_bytes(pids):
    """What these processes had read from disks."""
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines():
            if line.startswith("read_bytes:"):
                total += int(line.split()[1])
    return total


class Sample:
    """What the brokers and the machine had used at one moment."""

    def __init__(self, system, pids):
        self.at = time.monotonic()
        self.broker, self.machine = busy_seconds(pids), machine_busy_seconds()
        self.read = disk_read_bytes(pids)
        self.flushes = system.flushes()


def load(system, options, brokers, topic, words, times=None):
    """Runs duramen-bench; gives its figures with what the brokers used in the measured seconds.
    `times`: (seconds, warm-up); None for a load that ends by itself."""
    pids = system.pids()
    command = [str(options.bench), *words, "--brokers", brokers, "--json", "-", "--quiet",
               "--topic", topic, "--replication-factor", str(options.nodes), *system.topic_options]
    seconds_max = LOAD_SECONDS_MAX
    if times:
        seconds_max = sum(times) + OVERTIME_SECONDS
        command += ["--seconds", str(times[0]), "--warmup-seconds", str(times[1])]
    run = Run(system, pids, command, seconds_max, words[0] == "consume")
    return run.figures()


class Run:
    def __init__(self, system, pids, command, seconds_max, reads):
        self.reads, self.result, self.end, self.copies = reads, None, None, len(pids)
        self.counted, self.errors = 0, []
        self.begin = Sample(system, pids)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        drain = threading.Thread(target=lambda: self.errors.extend(process.stderr))
        drain.start()
        limit = threading.Timer(seconds_max, process.kill)
        limit.start()
        try:
            for line in map(json.loads, process.stdout):
                self.take(line, system, pids)
        finally:
            limit.cancel()
            process.kill()
            process.wait()
            drain.join()
        if self.end is None:
            raise Failed("".join(self.errors).strip().splitlines()[-1:] or [f"exit code {process.returncode}"])

    def take(self, line, system, pids):
        if line["type"] == "result":
            self.result = line
            if self.reads or self.end is None:
                self.end = Sample(system, pids)
                self.counted = line["consumed" if self.reads else "produced"]["record_bytes"]
        elif line["warmup"]:
            self.begin = Sample(system, pids)
        elif line["seconds"] > 0.5 and not self.reads:
            self.end = Sample(system, pids)
            self.counted += line["produced"]["record_bytes"]

    def figures(self):
        begin, end = self.begin, self.end
        elapsed = end.at - begin.at
        # A run that did not come to its end in time has the figures of its seconds.
        result = self.result or {}
        flow = result.get("consumed" if self.reads else "produced") or {}
        latency = result.get("end_to_end_us" if self.reads else "latency_us") or {}
        tool = result["tool_cpu_seconds"] / result["seconds"] if result else 0
        broker = (end.broker - begin.broker) / elapsed
        row = {
            "mb": flow.get("mb_per_second", self.counted / 1e6 / elapsed),
            "core_s_per_gb": (end.broker - begin.broker) / max(self.counted / 1e9, 1e-9),
            "broker_cores": broker,
            "tool_cores": tool,
            "other_cores": max(0.0, (end.machine - begin.machine) / elapsed - broker - tool),
            "batch_kib": flow.get("batch_bytes_mean", 0) / 1024,
            "disk_read_bytes": end.read - begin.read,
            "counted_bytes": self.counted,
        }
        row |= {name: latency.get(name, 0) / 1e3 for name in ("p50", "p99", "p999")}
        if end.flushes and not self.reads:
            batches, entries, flushes = (late - early for late, early in zip(end.flushes, begin.flushes))
            # A leader counts its batches, every node its entries and flushes.
            row["batches_per_flush"] = batches * self.copies / max(flushes, 1)
            row["entry_kib"] = batches * self.copies * row["batch_kib"] / max(entries, 1)
            row["us_per_batch"] = (end.broker - begin.broker) * 1e6 / max(batches, 1)
        row["errors"] = result.get("errors", {}) if result else {"it did not end in time": 1}
        return row
