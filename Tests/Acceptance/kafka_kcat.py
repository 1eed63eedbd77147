"""kcat as Debian ships it: producing, reading, asking for metadata and offsets."""
import json
import shutil
import subprocess
import time

from broker import Skipped
from kafka_broker import create, kafka, unique
from claims_streaming import real_lines


def kcat(broker, *arguments, input=None, check=True):
    if not shutil.which("kcat"):
        raise Skipped("there is no kcat")
    result = subprocess.run(["kcat", "-b", broker.bootstrap, *arguments], input=input, capture_output=True, timeout=180)
    assert not check or result.returncode == 0, result.stderr.decode(errors="replace")
    return result


def claim_kcat_reads_what_it_wrote_under_every_compression():
    with kafka() as broker:
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            topic = create(broker, "kcat")
            before = int(time.time() * 1000)
            sent = b"".join(b"key %d:value %d %s\n" % (n, n, b"x" * 100) for n in range(500))
            kcat(broker, "-P", "-t", topic, "-p", "0", "-K:", "-z", codec, "-H", "origin=kcat", "-H", "empty=", input=sent)
            lines = [json.loads(line) for line in kcat(broker, "-C", "-t", topic, "-e", "-q", "-J").stdout.splitlines()]
            assert [line["offset"] for line in lines] == list(range(500)), codec
            assert b"".join(f"{line['key']}:{line['payload']}\n".encode() for line in lines) == sent
            assert all(line["headers"] == ["origin", "kcat", "empty", ""] and line["tstype"] == "create" for line in lines), lines[0]
            assert all(before - 1000 <= line["ts"] <= before + 300_000 for line in lines), lines[0]


def claim_kcat_carries_real_logs_byte_for_byte():
    with kafka() as broker:
        topic = create(broker, "kcat-logs")
        sent = b"\n".join(real_lines()[:20_000]) + b"\n"
        kcat(broker, "-P", "-t", topic, "-p", "0", "-z", "lz4", input=sent)
        assert kcat(broker, "-C", "-t", topic, "-p", "0", "-e", "-q").stdout == sent
        return f"{len(sent) >> 10} KiB"


def claim_kcat_lists_brokers_topics_and_partitions():
    with kafka() as broker:
        topic = create(broker, "kcat-listed", 4)
        listed = json.loads(kcat(broker, "-L", "-J").stdout)
        assert listed["brokers"] and listed["controllerid"] in [each["id"] for each in listed["brokers"]], listed
        found = next(each for each in listed["topics"] if each["topic"] == topic)
        assert sorted(each["partition"] for each in found["partitions"]) == [0, 1, 2, 3]
        assert all(each["leader"] in [one["id"] for one in listed["brokers"]] for each in found["partitions"])
        one = json.loads(kcat(broker, "-L", "-J", "-t", topic).stdout)
        assert [each["topic"] for each in one["topics"]] == [topic]


def claim_kcat_finds_offsets_by_time():
    with kafka() as broker:
        topic = create(broker, "kcat-times")
        for n in range(3):
            kcat(broker, "-P", "-t", topic, "-p", "0", input=b"first of %d\nsecond of %d\n" % (n, n))
            time.sleep(0.05)
        stamps = [json.loads(line)["ts"] for line in kcat(broker, "-C", "-t", topic, "-e", "-q", "-J").stdout.splitlines()]

        def query(place):
            return int(kcat(broker, "-Q", "-t", f"{topic}:0:{place}").stdout.split()[-1])

        assert query(-2) == 0 and query(-1) == 6
        for offset, stamp in enumerate(stamps):
            assert query(stamp) == stamps.index(stamp), (offset, stamps)
        assert query(stamps[1] + 1) == 2
        # After the last record there is none: librdkafka says so with the end.
        assert query(stamps[-1] + 1) in (-1, 6)
        part = kcat(broker, "-C", "-t", topic, "-p", "0", "-o", f"s@{stamps[2]}", "-o", f"e@{stamps[4]}", "-q", "-f", "%o ").stdout
        assert part.split() == [b"2", b"3"], part


def claim_kcat_starts_where_it_is_told():
    with kafka() as broker:
        topic = create(broker, "kcat-places")
        kcat(broker, "-P", "-t", topic, "-p", "0", input=b"".join(b"%d\n" % n for n in range(10)))
        for place, expected in (("beginning", range(10)), ("7", range(7, 10)), ("-2", range(8, 10)), ("end", range(0))):
            got = kcat(broker, "-C", "-t", topic, "-p", "0", "-o", place, "-e", "-q").stdout
            assert got.split() == [b"%d" % n for n in expected], (place, got)
        assert kcat(broker, "-C", "-t", topic, "-o", "3", "-c", "2", "-q").stdout == b"3\n4\n"


def claim_kcat_goes_on_in_its_group_where_it_stopped():
    with kafka() as broker:
        topic, group = create(broker, "kcat-group", 3), unique("kcat")
        for first in (0, 100):
            kcat(broker, "-P", "-t", topic, input=b"".join(b"%d\n" % n for n in range(first, first + 100)))
            got = kcat(broker, "-G", group, "-X", "auto.offset.reset=earliest", "-e", "-q", topic).stdout
            assert sorted(map(int, got.split())) == list(range(first, first + 100)), got


def claim_kcat_keeps_null_and_empty_apart():
    with kafka() as broker:
        topic = create(broker, "kcat-null")
        kcat(broker, "-P", "-t", topic, "-p", "0", "-K:", "-Z", input=b"k:\n:v\nk2:v2\n")
        lines = [json.loads(line) for line in kcat(broker, "-C", "-t", topic, "-e", "-q", "-J").stdout.splitlines()]
        assert [(line["key"], line["payload"]) for line in lines] == [("k", None), (None, "v"), ("k2", "v2")], lines


def claim_kcat_is_told_of_an_unknown_topic():
    with kafka() as broker:
        topic = unique("nobody-made-this")
        got = kcat(broker, "-C", "-t", topic, "-e", "-q", "-X", "allow.auto.create.topics=false", check=False)
        assert got.returncode != 0 and b"nknown topic" in got.stderr, got
        assert topic not in [each["topic"] for each in json.loads(kcat(broker, "-L", "-J").stdout)["topics"]]


def claim_kcat_makes_a_topic_by_writing_to_it():
    with kafka() as broker:
        topic = unique("made-by-writing")
        kcat(broker, "-P", "-t", topic, input=b"one\ntwo\n")
        assert kcat(broker, "-C", "-t", topic, "-e", "-q").stdout == b"one\ntwo\n"
