"""The brokers: started, asked how they are, stopped."""

import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent.parent
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 20


class Kafka:
    """Kafka under the script beside `compare`. It goes on running from workload to workload, so that
    what its compiler has made is kept; each workload has a topic of its own, deleted behind it."""

    # Space comes back soon after a topic is deleted.
    SETTINGS = ["log.segment.delete.delay.ms=500", "log.retention.check.interval.ms=2000"]

    def __init__(self, options):
        self.nodes, self.brokers, self.is_warm = options.nodes, None, False
        self.environment = {**os.environ, "PEERS_DIR": str(options.work)}

    def script(self, *words):
        done = subprocess.run([str(HERE / "kafka" / "kafka"), *words], env=self.environment,
                              stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"kafka {' '.join(words)}: exit code {done.returncode}")
        return done.stdout

    def start(self):
        self.brokers = self.script("start", str(self.nodes), *self.SETTINGS).strip()
        return self.brokers

    def pids(self):
        return [int(pid) for pid in self.script("pids").split()]

    def delete(self, topic):
        self.script("delete", topic)

    def stop(self):
        self.script("stop")
        self.brokers, self.is_warm = None, False


class KafkaWith:
    """Kafka with topics of certain settings: one row of the table."""

    def __init__(self, kafka, name, label, settings):
        self.kafka, self.name, self.label = kafka, name, label
        self.topic_options = [word for setting in settings for word in ("--topic-config", setting)]
        self.run = 0

    def begin(self):
        """(brokers, topic) for one workload."""
        self.run += 1
        return self.kafka.brokers, f"{self.name}-{self.run}"

    def pids(self):
        return self.kafka.pids()

    def end(self, topic):
        if topic:
            self.kafka.delete(topic)
        # What was written and deleted is not written to the disk under the next one.
        os.sync()

    def flushes(self):
        return None


class Duramen:
    """The workspace's own broker, one process or three, with fresh folders for each workload."""

    name, topic_options = "duramen", []
    label = "Duramen, fdatasync before each ack"

    def __init__(self, options):
        self.options, self.processes = options, []
        self.folder = options.work / "duramen"

    def listen(self, node):
        return f"127.0.0.1:{self.options.port + 100 * node}"

    def http(self, node):
        return f"127.0.0.1:{self.options.port + 100 * node + 90}"

    def command(self, node):
        words = [str(self.options.duramen), "start", "--data-dir", str(self.folder / f"data-{node}"),
                 "--listen", self.listen(node), "--http-listen", self.http(node)]
        words += self.options.duramen_options.split()
        if self.options.nodes > 1:
            peers = [f"{i + 1}=127.0.0.1:{self.options.port + 100 * i + 50}" for i in range(self.options.nodes)]
            words += ["--node-id", str(node + 1), "--peers", ",".join(peers)]
        return words

    def begin(self):
        self.stop()
        self.clear()
        self.folder.mkdir(parents=True)
        self.start()
        return self.listen(0), "compared"

    def start(self):
        """Seconds until clients are answered by all."""
        begun = time.monotonic()
        for node in range(self.options.nodes):
            log = open(self.folder / f"log-{node}", "a")
            self.processes.append(subprocess.Popen(self.command(node), stdout=log, stderr=log,
                                                   stdin=subprocess.DEVNULL))
        for node, process in enumerate(self.processes):
            while not self.page(node, "/readyz"):
                if process.poll() is not None or time.monotonic() > begun + START_SECONDS_MAX:
                    sys.exit(f"duramen does not start; see {self.folder}/log-{node}")
                time.sleep(0.002)
        return time.monotonic() - begun

    def page(self, node, path):
        try:
            with urllib.request.urlopen(f"http://{self.http(node)}{path}", timeout=5) as answer:
                return answer.read().decode() or "-"
        except OSError:
            return None

    def pids(self):
        return [process.pid for process in self.processes]

    def kill(self):
        """As kill -9 does it; the folders stay."""
        for process in self.processes:
            process.kill()
            process.wait()
        self.processes = []

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []

    def clear(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def end(self, _topic):
        self.stop()
        self.clear()

    def counters(self, *names):
        """Sums over all journals and nodes since the start."""
        sums = dict.fromkeys(names, 0)
        for node in range(self.options.nodes):
            for line in (self.page(node, "/metrics") or "").splitlines():
                name = line.split("{")[0].removesuffix("_total")
                if name in sums and not line.startswith("#"):
                    sums[name] += int(float(line.split()[-1]))
        return [sums[name] for name in names]

    def flushes(self):
        """(batches, entries, flushes) since the start; on several nodes all their copies."""
        return self.counters("duramen_journal_batches", "duramen_journal_entries", "duramen_journal_syncs")
