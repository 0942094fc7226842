"""What is measured of Duramen alone on one node: starting, idling, and reading what no memory holds;
and fio's figures of the same disk, without which the others say little."""

import json
import os
import pathlib
import shutil
import subprocess
import time

from .measure import busy_seconds, load
from .workloads import LARGE, SMALL, produce

IDLE_SECONDS = 5
FIO_SECONDS = 5
STARTS = 3
# Records of 1 KiB: 10 GiB, and as much of 10,000 partitions as gives each some batches.
KEPT_RECORDS = 10 << 20
THIN_RECORDS = 6 << 20


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0


def starts_and_idling(duramen):
    """Starts on empty folders, then an idle broker."""
    taken = []
    for _ in range(STARTS):
        duramen.stop()
        duramen.clear()
        duramen.folder.mkdir(parents=True)
        taken.append(duramen.start())
    time.sleep(1)
    before = busy_seconds(duramen.pids())
    time.sleep(IDLE_SECONDS)
    idle_cores = (busy_seconds(duramen.pids()) - before) / IDLE_SECONDS
    shards = len(duramen.page(0, "/metrics").split("duramen_cache_bytes{")) - 1
    resident = resident_mib(duramen.pids()[0])
    duramen.end(None)
    return [("start on an empty folder", f"{sorted(taken)[STARTS // 2] * 1e3:.0f} ms"),
            ("idle: resident memory", f"{resident:.0f} MiB at {shards} shards"),
            ("idle: processor", f"{idle_cores / max(shards, 1) * 100:.2f} % of a core a shard")]


def restarts_and_cold_reads(duramen, options, disk):
    """10 GiB are written, the broker is killed with -9 and started again: what is read then is in
    no cache."""
    brokers, topic = duramen.begin()
    load(duramen, options, brokers, topic, [*produce(100, *LARGE), "--records", str(KEPT_RECORDS)])
    duramen.kill()
    started = duramen.start()
    rows = [("start after kill -9 with 10 GiB kept", f"{started * 1e3:.0f} ms")]
    words = ["consume", "--partitions", "100", "--consumers", "4", "--drain"]
    row = load(duramen, options, brokers, topic, words)
    of_disk = f", {row['mb'] / disk['read_mb']:.2f} of fio" if disk else ""
    rows.append(("reading 10 GiB uncached, 100 partitions, 4 consumers",
                 f"{row['mb']:.0f} MB/s{of_disk}, {row['core_s_per_gb']:.2f} core-s/GB, "
                 f"{amplification(row)} bytes read for each given"))
    duramen.end(None)
    return rows


def one_of_many(duramen, options):
    """One partition of 10,000 that were written together."""
    brokers, topic = duramen.begin()
    load(duramen, options, brokers, topic, [*produce(10000, *SMALL), "--records", str(THIN_RECORDS)])
    duramen.kill()
    duramen.start()
    row = load(duramen, options, brokers, topic, ["consume", "--partitions", "1", "--drain"])
    duramen.end(None)
    return [("reading one partition of 10,000 alone, uncached",
             f"{row['mb']:.1f} MB/s ({row['counted_bytes'] / 1e3:.0f} KB in batches of "
             f"{row['batch_kib']:.1f} KiB), {amplification(row)} bytes read for each given")]


def amplification(row):
    return f"{row['disk_read_bytes'] / max(row['counted_bytes'], 1):.1f}"


def fio(options):
    """Figures of the disk under --work, or nothing where there is no fio."""
    if not shutil.which("fio"):
        return None
    folder = options.work / "fio"
    folder.mkdir(parents=True, exist_ok=True)
    common = ["fio", "--output-format=json", f"--directory={folder}", "--direct=1", "--ioengine=io_uring",
              "--time_based", f"--runtime={FIO_SECONDS}"]
    jobs = {
        "write": ["--name=large", "--rw=write", "--bs=1M", "--iodepth=8", "--size=4G"],
        "read": ["--name=large", "--rw=read", "--bs=1M", "--iodepth=8", "--size=4G"],
        "sync": ["--name=small", "--rw=write", "--bs=4k", "--iodepth=1", "--size=256M", "--fdatasync=1"],
    }
    try:
        done = {name: run_fio([*common, *words]) for name, words in jobs.items()}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sync = done["sync"]
    latency = sum(sync[kind]["clat_ns" if kind == "write" else "lat_ns"]["percentile"]["50.000000"]
                  for kind in ("write", "sync"))
    return {"write_mb": done["write"]["write"]["bw_bytes"] / 1e6,
            "read_mb": done["read"]["read"]["bw_bytes"] / 1e6,
            "sync_us": latency / 1e3}


def run_fio(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)["jobs"][0]


def fio_rows(disk):
    if not disk:
        return [("fio", "skipped: fio is missing, so the disk's own figures are not known")]
    return [("fio: sequential writes, O_DIRECT, 1 MiB, 8 deep", f"{disk['write_mb']:.0f} MB/s"),
            ("fio: sequential reads, O_DIRECT, 1 MiB, 8 deep", f"{disk['read_mb']:.0f} MB/s"),
            ("fio: one 4 KiB write + fdatasync, p50", f"{disk['sync_us']:.0f} µs")]
