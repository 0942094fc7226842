"""The workloads: what each is called, what the table says of it, and duramen-bench's options."""

from dataclasses import dataclass, field

LARGE = ["--batch-bytes", "256KiB", "--request-bytes", "1MiB", "--linger-ms", "5"]
SMALL = ["--batch-bytes", "16KiB", "--linger-ms", "5"]
KEYED = [*SMALL, "--key", "random"]
SINGLE = ["--partitions", "64", "--producers", "64", "--batch-bytes", "1KiB", "--request-bytes", "1KiB",
          "--linger-ms", "0"]
FOUR = ["--producers", "4"]


# Before each workload, a record for about each partition: every one has its leader before anything counts.
SETTLING = ["produce", "--key", "round-robin", "--records", "10000", "--batch-bytes", "2KiB",
            "--idempotence", "false"]


def produce(partitions, *options):
    return ["produce", "--partitions", str(partitions), *FOUR, *options]


@dataclass(frozen=True)
class Workload:
    name: str
    what: str
    words: list
    # Loads that come before it, not measured: they make the data, or warm what is measured.
    before: list = field(default_factory=list)
    # Names of the systems that it is for; empty: all.
    only: tuple = ()
    # Its topic is deleted behind it.
    deletes: bool = True

    @property
    def partitions(self):
        return self.words[self.words.index("--partitions") + 1]

    @property
    def reads(self):
        return self.words[0] == "consume"


def _read(partitions):
    return ["consume", "--partitions", str(partitions), "--consumers", "4", "--drain"]


# 1.5 GB: in Kafka's page cache, and in the cache that --duramen-options give Duramen.
_FILL = [*produce(100, *LARGE), "--records", "1500000"]

ONE_NODE = [
    Workload("large-100", "100 partitions, 4 producers, 256 KiB batches", produce(100, *LARGE)),
    Workload("large-1", "1 partition, 4 producers, 256 KiB batches", produce(1, *LARGE)),
    Workload("keyed-10", "keyed, 10 partitions, 16 KiB batches", produce(10, *KEYED)),
    Workload("keyed-1000", "keyed, 1,000 partitions, 16 KiB batches", produce(1000, *KEYED)),
    Workload("keyed-10000", "keyed, 10,000 partitions, batches as small as they come",
             produce(10000, *KEYED, "--buffer-bytes", "2MiB"), only=("duramen",)),
    Workload("spread-10", "10 partitions, 16 KiB batches", produce(10, *SMALL), only=("duramen",)),
    Workload("spread-10000", "10,000 partitions, 16 KiB batches", produce(10000, *SMALL), only=("duramen",)),
    Workload("single-batch", "one record a batch, 1,000 partitions, many batches a request",
             produce(1000, "--batch-bytes", "1KiB", "--key", "round-robin", "--linger-ms", "5",
                     "--buffer-bytes", "4MiB"), only=("duramen",)),
    Workload("single-64", "one record a request, 64 connections, closed loop",
             ["produce", *SINGLE, "--in-flight", "1", "--buffer-bytes", "64KiB"]),
    Workload("open-20k", "one record a request, 64 connections, 20,000 records/s",
             ["produce", "--rate", "20000", *SINGLE]),
    Workload("read-cached", "reading what was just written, 100 partitions, 4 consumers", _read(100),
             before=[_FILL, _read(100)]),
    # The last one: Kafka takes minutes to delete so many partitions, and has to make them twice.
    Workload("keyed-9000", "keyed, 9,000 partitions, batches as small as they come",
             produce(9000, *KEYED, "--buffer-bytes", "2MiB"), deletes=False),
]

THREE_NODES = [
    Workload("large-100", "100 partitions, 4 producers, 256 KiB batches", produce(100, *LARGE)),
    Workload("large-1", "1 partition, 4 producers, 256 KiB batches", produce(1, *LARGE)),
    Workload("open-40", "100 partitions, 40 MB/s offered", produce(100, "--rate", "39062")),
    Workload("open-105", "100 partitions, 105 MB/s offered", produce(100, "--rate", "102539")),
    Workload("spread-10", "10 partitions, 16 KiB batches", produce(10, *SMALL), only=("duramen",)),
    Workload("spread-10000", "10,000 partitions, 16 KiB batches", produce(10000, *SMALL), only=("duramen",)),
]

# What Kafka's compiler needs to see before anything counts: small batches, many partitions, reads.
WARM_UP = [
    [*produce(100, *KEYED), "--rate", "150000", "--seconds"],
    [*_read(100)],
]
