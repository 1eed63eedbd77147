#!/usr/bin/env python3
"""One member of a consumer group, as a process that may be killed: tells what it read and committed, a JSON object a line.

Arguments: BOOTSTRAP GROUP TOPIC and settings as NAME=VALUE. What it read is written before it is committed, so that whatever counts as
done is in the ledger. A record begins with its number in 8 bytes; in a partition without loss or duplicates that is its offset.
"""
import json
import os
import signal
import sys
import time

from confluent_kafka import Consumer, KafkaError, KafkaException

COMMIT_SECONDS = 0.5


def main():
    bootstrap, group, topic, *settings = sys.argv[1:]
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))

    def say(**event):
        # One write a line, into the file itself: what was said survives a kill.
        os.write(1, json.dumps({"time": time.monotonic(), **event}).encode() + b"\n")

    # From here on it leaves when it is asked to.
    say(began=True)
    client = Consumer({
        "bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False, "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 500, "log_level": 2, **dict(setting.split("=", 1) for setting in settings)})

    def commit():
        if not read:
            return
        try:
            places = client.commit(asynchronous=False)
            say(committed={place.partition: place.offset for place in places if not place.error and place.offset >= 0})
        except KafkaException as error:
            # A generation that is over, or nothing to commit: whoever has the partition now starts from the last commit.
            say(refused=error.args[0].name())
        read.clear()

    def on_assign(_, places):
        say(assigned=[place.partition for place in places])

    def on_revoke(_, places):
        commit()
        say(revoked=[place.partition for place in places])

    def on_lost(_, places):
        read.clear()
        say(lost=[place.partition for place in places])

    read = {}
    client.subscribe([topic], on_assign=on_assign, on_revoke=on_revoke, on_lost=on_lost)
    due = time.monotonic() + COMMIT_SECONDS
    while not ended:
        ranges = []
        for message in client.consume(2000, 0.2):
            if message.error():
                if message.error().code() != KafkaError._PARTITION_EOF:
                    say(error=message.error().name(), why=message.error().str())
                    if message.error().code() in (KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID):
                        os._exit(3)
                continue
            partition, offset, number = message.partition(), message.offset(), int.from_bytes(message.value()[:8], "big")
            last = ranges[-1] if ranges else None
            if last and last[0] == partition and last[1] + last[3] == offset and last[2] + last[3] == number:
                last[3] += 1
            else:
                # Partition, first offset, first number, count.
                ranges.append([partition, offset, number, 1])
        if ranges:
            say(read=ranges)
            read.update((each[0], True) for each in ranges)
        if time.monotonic() >= due:
            commit()
            due = time.monotonic() + COMMIT_SECONDS
    commit()
    client.close()
    say(closed=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
