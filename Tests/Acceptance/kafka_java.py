"""Apache Kafka's own tools, which are the Java client that most users have. Skipped where they are not (NEEDLETAIL_KAFKA names them)."""
import atexit
import functools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

from broker import Skipped, wait_until
from kafka_broker import TOOLS, consumer, create, folder, kafka, only_needletail, produce, producer, read, unique
from confluent_kafka import TopicPartition


def java(broker, tool, *arguments, input=None, check=True, timeout=400):
    """Runs one of Kafka's tools and answers what it printed."""
    result = subprocess.run([*command(broker, tool), *arguments], env=quick(), input=input, capture_output=True, timeout=timeout, text=isinstance(input, str) or input is None)
    assert not check or result.returncode == 0, f"{tool} {arguments}: {result.stdout}{result.stderr}"
    return result


@functools.cache
def quick():
    """An environment in which a tool that lives for a second does not spend two on starting: no second compiler, and the classes of a first start kept.

    The archive lives as long as this run: it holds the times of the very jars that it was made from, and it may not be read while it is written.
    What the machine itself has to say goes to standard error: standard output is the tool's.
    """
    kept = pathlib.Path(tempfile.mkdtemp(prefix="kafka-classes-"))
    atexit.register(shutil.rmtree, kept, ignore_errors=True)
    archive = kept / "kafka.jsa"
    options = "-XX:TieredStopAtLevel=1 -Xlog:disable -Xlog:all=error:stderr"
    subprocess.run([str(TOOLS), "topics", "--version"], env={**os.environ, "JDK_JAVA_OPTIONS": f"{options} -XX:ArchiveClassesAtExit={archive}"}, capture_output=True, timeout=400)
    return {**os.environ, "JDK_JAVA_OPTIONS": f"{options} -XX:SharedArchiveFile={archive} -Xshare:auto" if archive.exists() else options}


def command(broker, tool):
    if not TOOLS.exists() or not shutil.which("java"):
        raise Skipped("there is no Apache Kafka beside the checkout (NEEDLETAIL_KAFKA names its script), or no Java")
    # The performance tools still take the broker as a property of the client.
    return [str(TOOLS), tool] + (["--bootstrap-server", broker.bootstrap] if broker else [])


def start(broker, tool, output, *arguments):
    with open(output, "wb") as file:
        return subprocess.Popen([*command(broker, tool), *arguments], env=quick(), stdout=file, stderr=subprocess.STDOUT)


def end(process, how=signal.SIGTERM):
    """The script waits for its JVM, so that is the one to be told."""
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True).stdout.split()
    for child in children:
        subprocess.run(["kill", f"-{int(how)}", child])
    try:
        process.wait(120)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def events(path):
    """The JSON lines of a verifiable tool."""
    found = []
    for line in path.read_text(errors="replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            pass
    return found


def claim_java_topics_are_made_described_altered_and_deleted():
    with kafka() as broker:
        topic = unique("java-topic")
        java(broker, "topics", "--create", "--topic", topic, "--partitions", "2", "--replication-factor", "1", "--config", "retention.ms=3600000")
        assert topic in java(broker, "topics", "--list").stdout.split()
        java(broker, "topics", "--alter", "--topic", topic, "--partitions", "3")
        text = java(broker, "topics", "--describe", "--topic", topic).stdout
        assert "PartitionCount: 3" in text and "retention.ms=3600000" in text and len(re.findall(r"Partition: \d\tLeader: \d+", text)) == 3, text
        again = java(broker, "topics", "--create", "--topic", topic, check=False)
        assert again.returncode != 0 and "already exists" in again.stdout + again.stderr, again
        java(broker, "topics", "--delete", "--topic", topic)
        wait_until(lambda: topic not in java(broker, "topics", "--list").stdout.split(), 60, "the topic is gone")


def claim_java_settings_are_described_and_altered():
    with kafka() as broker:
        topic = create(broker, "java-settings")
        where = ("--entity-type", "topics", "--entity-name", topic)
        java(broker, "configs", "--alter", *where, "--add-config", "retention.ms=7200000,max.message.bytes=123456,cleanup.policy=[compact,delete]")
        text = java(broker, "configs", "--describe", *where).stdout
        assert "retention.ms=7200000" in text and "max.message.bytes=123456" in text and re.search(r"cleanup.policy=(compact,delete|delete,compact)", text), text
        java(broker, "configs", "--alter", *where, "--delete-config", "max.message.bytes")
        text = java(broker, "configs", "--describe", "--all", *where).stdout
        assert "max.message.bytes=123456" not in text and "retention.ms=7200000" in text and "segment.bytes=" in text, text
        wrong = java(broker, "configs", "--alter", *where, "--add-config", "retention.ms=soon", check=False)
        assert wrong.returncode != 0 and "retention.ms" in wrong.stdout + wrong.stderr, wrong


def claim_java_groups_are_listed_described_reset_and_deleted():
    with kafka() as broker:
        topic, group = create(broker, "java-group"), unique("java")
        stamps = []
        for n in range(10):
            stamps.append(produce(broker, topic, [b"%d" % n], partition=0)[0].timestamp()[1])
            time.sleep(0.01)
        # Nobody polls it while the tools run.
        reader = consumer(broker, group_id=group, max_poll_interval_ms=3_600_000)
        reader.subscribe([topic])
        while not reader.assignment():
            reader.poll(0.2)
        reader.commit(offsets=[TopicPartition(topic, 0, 8)], asynchronous=False)
        where = ("--group", group)
        text = java(broker, "consumer-groups", "--describe", *where).stdout
        row = next(line.split() for line in text.splitlines() if topic in line)
        assert row[:6] == [group, topic, "0", "8", "10", "2"] and "rdkafka" in row[-1], text
        busy = java(broker, "consumer-groups", "--reset-offsets", *where, "--topic", topic, "--to-earliest", "--execute", check=False)
        assert "inactive" in busy.stdout + busy.stderr or "Error" in busy.stdout + busy.stderr, busy
        kept = java(broker, "consumer-groups", "--delete", *where, check=False)
        assert "not empty" in (kept.stdout + kept.stderr).lower() or "NonEmpty" in kept.stdout + kept.stderr, kept
        assert "Stable" in java(broker, "consumer-groups", "--describe", *where, "--state").stdout
        assert "rdkafka" in java(broker, "consumer-groups", "--describe", *where, "--members").stdout
        reader.close()
        assert group in java(broker, "consumer-groups", "--list").stdout.split()
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(stamps[4] / 1000)) + f".{stamps[4] % 1000:03}"
        for how, expected in ((("--to-earliest",), 0), (("--to-offset", "6"), 6), (("--shift-by", "-2"), 4), (("--to-latest",), 10), (("--to-datetime", moment), 4)):
            java(broker, "consumer-groups", "--reset-offsets", *where, "--topic", topic, *how, "--execute")
            place = consumer(broker, group_id=group)
            assert place.committed([TopicPartition(topic, 0)], timeout=90)[0].offset == expected, (how, expected)
            place.close()
        java(broker, "consumer-groups", "--delete-offsets", *where, "--topic", topic)
        java(broker, "consumer-groups", "--delete", *where)
        assert group not in java(broker, "consumer-groups", "--list").stdout.split()


def claim_java_finds_offsets_and_deletes_records():
    with kafka() as broker, folder() as home:
        topic = create(broker, "java-offsets")
        writer = producer(broker)
        for stamp in (1_700_000_000_000, 1_700_000_009_000, 1_700_000_005_000):
            writer.produce(topic, b"x", timestamp=stamp, partition=0)
            writer.flush(120)

        def find(place):
            return java(broker, "get-offsets", "--topic", topic, "--time", str(place)).stdout.strip()

        for place, offset in (("earliest", 0), ("latest", 3), ("max-timestamp", 1), (1_700_000_000_001, 1), (1_700_000_009_000, 1)):
            assert find(place) == f"{topic}:0:{offset}", (place, find(place))
        request = home / "delete.json"
        request.write_text(json.dumps({"version": 1, "partitions": [{"topic": topic, "partition": 0, "offset": 2}]}))
        text = java(broker, "delete-records", "--offset-json-file", str(request)).stdout
        assert "low_watermark: 2" in text, text
        assert [message.offset() for message in read(broker, topic, start=-2)] == [2]


def claim_java_sees_the_cluster():
    with kafka() as broker:
        topic = create(broker, "java-cluster")
        produce(broker, topic, [b"x" * 1000] * 100)
        text = java(broker, "broker-api-versions").stdout
        for request in ("Produce(0)", "Fetch(1)", "ListOffsets(2)", "Metadata(3)", "JoinGroup(11)", "ApiVersions(18)", "InitProducerId(22)", "DescribeCluster(60)", "DescribeTopicPartitions(75)"):
            assert re.search(re.escape(request) + r": \d+( to \d+)? \[usable", text), (request, text)
        sizes = java(broker, "log-dirs", "--describe", "--topic-list", topic).stdout
        found = json.loads(sizes[sizes.index("{"):].splitlines()[0])
        size = next(each["size"] for one in found["brokers"] for log in one["logDirs"] for each in log["partitions"] if each["partition"] == f"{topic}-0")
        assert size > 0, sizes
        assert "Cluster ID: " in java(None, "cluster", "cluster-id", "--bootstrap-server", broker.bootstrap).stdout


def claim_java_producers_and_consumers_measure_themselves():
    with kafka() as broker:
        topic = create(broker, "java-perf", 3)
        for codec in ("none", "zstd"):
            text = java(None, "producer-perf", "--topic", topic, "--num-records", "20000", "--record-size", "500", "--throughput", "-1", "--producer-props",
                        f"bootstrap.servers={broker.bootstrap}", "acks=all", f"compression.type={codec}").stdout
            assert "20000 records sent" in text, text
        text = java(broker, "consumer-perf", "--topic", topic, "--messages", "40000", "--timeout", "180000").stdout
        row = text.strip().splitlines()[-1].split(", ")
        assert int(row[4]) == 40000, text
        return f"read at {row[5]} records/s"


def claim_java_reads_every_record_that_was_acknowledged_to_java():
    with kafka() as broker, folder() as home:
        topic, group, count = create(broker, "java-verified", 4), unique("verified"), 5000
        consumers = [start(broker, "verifiable-consumer", home / f"consumer-{n}", "--topic", topic, "--group-id", group, "--verbose", "--reset-policy", "earliest",
                           "--session-timeout", "30000", *(("--enable-autocommit",) if n else ())) for n in range(2)]
        try:
            done = subprocess.run([*command(broker, "verifiable-producer"), "--topic", topic, "--max-messages", str(count), "--acks", "-1"], env=quick(), capture_output=True, text=True, timeout=400)
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
            sent = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
            acknowledged = {(each["topic"], each["partition"], each["offset"], each["value"]) for each in sent if each["name"] == "producer_send_success"}
            assert len(acknowledged) == count, len(acknowledged)

            def consumed():
                found = [each for n in range(2) for each in events(home / f"consumer-{n}")]
                return {(each["topic"], each["partition"], each["offset"], each["value"]) for each in found if each["name"] == "record_data"}

            wait_until(lambda: consumed() >= acknowledged, 300, f"all {count} are read")
            assert consumed() == acknowledged
        finally:
            for process in consumers:
                end(process)
        assert any(each["name"] == "shutdown_complete" for each in events(home / "consumer-0")), (home / "consumer-0").read_text()[-1000:]
        # With what was committed a third one finds nothing.
        place = consumer(broker, group_id=group)
        offsets = [each.offset for each in place.committed([TopicPartition(topic, partition) for partition in range(4)], timeout=90)]
        assert sum(offset for offset in offsets if offset > 0) == count, offsets
        place.close()


def claim_java_consoles_carry_text_keys_and_headers():
    with kafka() as broker:
        topic, group = create(broker, "java-console"), unique("console")
        lines = [f"h:v{n}\tkey{n}\tvalue {n} ü" for n in range(100)]
        java(broker, "producer", "--topic", topic, "--property", "parse.key=true", "--property", "parse.headers=true", "--compression-codec", "snappy", input="\n".join(lines) + "\n")
        text = java(broker, "consumer", "--topic", topic, "--group", group, "--from-beginning", "--max-messages", "100", "--timeout-ms", "180000",
                    "--property", "print.key=true", "--property", "print.headers=true").stdout
        assert text.splitlines() == lines, text[:500]
        produce(broker, topic, [b"one more"], partition=0)
        text = java(broker, "consumer", "--topic", topic, "--group", group, "--max-messages", "1", "--timeout-ms", "180000").stdout
        assert text == "one more\n", text


def claim_javas_own_decoder_reads_our_segments():
    only_needletail("Kafka's decoder reads Kafka's segments")
    with kafka() as broker:
        topic = create(broker, "java-segments")
        command(broker, "dump-log")
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            produce(broker, topic, [b"%s %d" % (codec.encode(), n) for n in range(200)], partition=0, compression_type=codec, enable_idempotence=True)
        paths = broker.segments(topic)
        broker.terminate()
        text = "".join(java(None, "dump-log", "--files", str(path), "--print-data-log").stdout for path in paths)
        batches = [line for line in text.splitlines() if line.startswith("baseOffset:")]
        assert len(batches) >= 5 and all("isvalid: true" in line and "isTransactional: false" in line for line in batches), batches
        values = [line.rsplit("payload: ", 1)[1] for line in text.splitlines() if line.startswith("| offset:")]
        assert values == [f"{codec} {n}" for codec in ("none", "gzip", "snappy", "lz4", "zstd") for n in range(200)], values[:3]
        return f"{len(batches)} batches in {len(paths)} segments"
