"""A broker with several shards is several brokers to Kafka's clients: each partition has one, on a port of its own."""
import json

from confluent_kafka import TopicPartition

from kafka_broker import admin, create, folder, kafka, only_needletail, produce, read, unique
from kafka_groups import PARTITIONS, fill
from kafka_java import java
from kafka_kcat import kcat
from kafka_ledger import Group


def claim_each_shard_is_a_broker_of_its_own():
    only_needletail("it has shards")
    with kafka("--shards", "2") as broker:
        listed = json.loads(kcat(broker, "-L", "-J").stdout)
        assert {each["name"] for each in listed["brokers"]} == {f"127.0.0.1:{broker.kafka_port + shard}" for shard in (0, 1)}, listed["brokers"]
        topics = [create(broker, "sharded", PARTITIONS) for _ in range(4)]
        listed = json.loads(kcat(broker, "-L", "-J").stdout)
        leaders = {partition["leader"] for topic in listed["topics"] if topic["topic"] in topics for partition in topic["partitions"]}
        assert leaders == {each["id"] for each in listed["brokers"]}, f"partitions are with {leaders} only"
        for topic in topics:
            fill(broker, topic, 0, 300)
            messages = read(broker, topic, PARTITIONS)
            assert [(message.partition(), message.offset()) for message in messages] == [(partition, n) for partition in range(PARTITIONS) for n in range(300)]
        # Whoever connects to the other one first is served as well.
        topic = unique("made-at-the-second")
        kcat(broker, "-b", f"127.0.0.1:{broker.kafka_port + 1}", "-P", "-t", topic, input=b"one\ntwo\n")
        assert kcat(broker, "-C", "-t", topic, "-e", "-q").stdout == b"one\ntwo\n"


def claim_groups_share_what_several_shards_have():
    only_needletail("it has shards")
    with kafka("--shards", "2", own=True) as broker, folder() as home:
        topic = create(broker, "sharded", PARTITIONS)
        with Group(broker, topic, unique("sharded"), home) as group:
            for _ in range(3):
                group.join()
            group.wait_until_settled(PARTITIONS)
            fill(broker, topic, 0, 500)
            group.wait_until_read(dict.fromkeys(range(PARTITIONS), 500))
            group.wait_until_committed(dict.fromkeys(range(PARTITIONS), 500))
            broker.kill()
            broker.start()
            fill(broker, topic, 500, 500)
            group.wait_until_read(dict.fromkeys(range(PARTITIONS), 1000))
            for member in group.living():
                member.leave()
            group.judge()


def claim_administration_reaches_every_shard():
    only_needletail("it has shards")
    with kafka("--shards", "2") as broker:
        topic = create(broker, "sharded", 4)
        for partition in range(4):
            produce(broker, topic, [b"%d" % n for n in range(10)], partition=partition)
        places = [TopicPartition(topic, partition, 4) for partition in range(4)]
        for place, future in admin(broker).delete_records(places).items():
            assert future.result(90).low_watermark == 4, place
        assert len(read(broker, topic, 4, start=-2)) == 24
        text = java(broker, "get-offsets", "--topic", topic, "--time", "earliest").stdout
        assert sorted(text.split()) == [f"{topic}:{partition}:4" for partition in range(4)], text
        # The native protocol shows all of it too, whichever shard it is spoken with.
        assert len(broker.json("topic", "describe", topic)[0]["partitions"]) == 4
        assert sum(1 for _ in broker.json("consume", topic, "--from", "earliest")) == 24
