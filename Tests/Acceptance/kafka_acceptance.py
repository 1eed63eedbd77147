#!/usr/bin/env python3
"""Tries the broker with unmodified Kafka clients: each function is one claim. tools/kafka-clients installs them and runs this.

NEEDLETAIL_KAFKA_TARGET says what is tried (kafka_broker.py). Arguments, if any, select claims by part of their name; `--waiting` in front of
them those that mostly wait, `--working` all others.
"""
import sys

import acceptance
import kafka_admin
import kafka_aio
import kafka_collectors
import kafka_compaction
import kafka_doors
import kafka_groups
import kafka_hostile
import kafka_java
import kafka_kcat
import kafka_librdkafka
import kafka_old
import kafka_pure
import kafka_shards
import kafka_stream

MODULES = (
    kafka_kcat, kafka_librdkafka, kafka_admin, kafka_groups, kafka_compaction, kafka_pure, kafka_aio, kafka_old, kafka_collectors, kafka_java, kafka_doors, kafka_hostile,
    kafka_shards,
    kafka_stream)

# For cleaners, collectors' own clocks, and the patience of the oldest clients.
WAITING = (kafka_compaction, kafka_collectors, kafka_old)
CHOICES = {"--waiting": WAITING, "--working": tuple(module for module in MODULES if module not in WAITING)}

if __name__ == "__main__":
    modules = CHOICES[sys.argv.pop(1)] if sys.argv[1:] and sys.argv[1] in CHOICES else MODULES
    sys.exit(acceptance.main(acceptance.claims(*modules), label="kafka"))
