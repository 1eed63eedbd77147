"""librdkafka's administrator: topics, partitions, settings, offsets, groups, each with its refusals."""
import contextlib

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ConfigSource, NewPartitions, NewTopic, OffsetSpec, ResourceType

from broker import wait_until
from kafka_broker import admin, consumer, create, kafka, poll_until, produce, producer, read, refusal, unique


def settings_of(broker, topic):
    resource = ConfigResource(ResourceType.TOPIC, topic)
    return admin(broker).describe_configs([resource])[resource].result(90)


def described(broker, topic):
    return admin(broker).describe_topics(TopicCollection([topic]))[topic].result(90)


def alter(broker, topic, *entries):
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[ConfigEntry(name, value, incremental_operation=operation) for name, value, operation in entries])
    return admin(broker).incremental_alter_configs([resource])[resource].result(90)


def claim_topics_are_created_described_and_deleted():
    with kafka() as broker:
        client = admin(broker)
        topic = create(broker, "made", 5, retention_ms=3_600_000)
        found = described(broker, topic)
        assert found.name == topic and len(found.partitions) == 5 and not found.is_internal
        assert all(partition.leader and partition.replicas and partition.isr for partition in found.partitions)
        first = str(found.topic_id)
        assert refusal(lambda: client.create_topics([NewTopic(topic, 1, 1)])[topic].result(90)) == "TOPIC_ALREADY_EXISTS"
        produce(broker, topic, [b"gone with it"] * 10)
        client.delete_topics([topic])[topic].result(90)
        wait_until(lambda: topic not in client.list_topics(timeout=90).topics, 60, "the topic is gone")
        assert refusal(lambda: client.delete_topics([topic])[topic].result(90)) == "UNKNOWN_TOPIC_OR_PART"
        assert refusal(lambda: described(broker, topic)) == "UNKNOWN_TOPIC_OR_PART"
        client.create_topics([NewTopic(topic, 2, 1)])[topic].result(90)
        wait_until(lambda: topic in client.list_topics(timeout=90).topics, 60, "the topic is there again")
        again = described(broker, topic)
        assert len(again.partitions) == 2 and str(again.topic_id) != first
        assert read(broker, topic, 2) == []


def claim_topics_that_cannot_be_are_refused():
    with kafka() as broker:
        client = admin(broker)
        cases = [
            (NewTopic(unique("none"), 0, 1), "INVALID_PARTITIONS"),
            (NewTopic(unique("copies"), 1, 7), "INVALID_REPLICATION_FACTOR"),
            (NewTopic("what a name?", 1, 1), "TOPIC_EXCEPTION"),
            (NewTopic("n" * 250, 1, 1), "TOPIC_EXCEPTION"),
            (NewTopic(".", 1, 1), "TOPIC_EXCEPTION"),
            (NewTopic(unique("setting"), 1, 1, config={"no.such.setting": "1"}), "INVALID_CONFIG"),
            (NewTopic(unique("value"), 1, 1, config={"retention.ms": "a while"}), "INVALID_CONFIG"),
            (NewTopic(unique("policy"), 1, 1, config={"cleanup.policy": "incinerate"}), "INVALID_CONFIG"),
        ]
        for topic, name in cases:
            assert refusal(lambda: client.create_topics([topic])[topic.topic].result(90)) == name, (topic, name)
            assert topic.topic not in client.list_topics(timeout=90).topics
        # Only asked whether it could be.
        topic = unique("asked")
        client.create_topics([NewTopic(topic, 3, 1)], validate_only=True)[topic].result(90)
        assert topic not in client.list_topics(timeout=90).topics


def claim_partitions_are_added_and_never_taken_away():
    with kafka() as broker:
        client, topic = admin(broker), create(broker, "growing", 2)
        client.create_partitions([NewPartitions(topic, 4)], validate_only=True)[topic].result(90)
        assert len(described(broker, topic).partitions) == 2
        client.create_partitions([NewPartitions(topic, 4)])[topic].result(90)
        wait_until(lambda: len(client.list_topics(topic, timeout=90).topics[topic].partitions) == 4, 60, "four partitions")
        produce(broker, topic, [b"in the new one"], partition=3)
        assert [message.value() for message in read(broker, topic, 4)] == [b"in the new one"]
        for count in (4, 3):
            assert refusal(lambda: client.create_partitions([NewPartitions(topic, count)])[topic].result(90)) == "INVALID_PARTITIONS"
        missing = unique("missing")
        assert refusal(lambda: client.create_partitions([NewPartitions(missing, 4)])[missing].result(90)) == "UNKNOWN_TOPIC_OR_PART"


def claim_settings_go_both_ways_under_kafkas_names():
    with kafka() as broker:
        settings = {
            "retention.ms": "3600000", "retention.bytes": "123456789", "segment.bytes": "2097152", "segment.ms": "600000", "max.message.bytes": "500000",
            "message.timestamp.type": "LogAppendTime", "cleanup.policy": "delete", "min.insync.replicas": "1", "flush.messages": "1",
        }
        topic = create(broker, "set", **{name.replace(".", "_"): value for name, value in settings.items()})
        found = settings_of(broker, topic)
        for name, value in settings.items():
            assert found[name].value == value, (name, found[name].value)
        assert found["retention.ms"].source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value and not found["retention.ms"].is_default
        plain = settings_of(broker, create(broker, "unset"))
        assert set(settings) <= set(plain) and plain["cleanup.policy"].value == "delete" and plain["message.timestamp.type"].value == "CreateTime"
        assert plain["retention.ms"].source != ConfigSource.DYNAMIC_TOPIC_CONFIG.value


def claim_settings_are_altered_one_by_one_or_all_at_once():
    with kafka() as broker:
        topic = create(broker, "altered", retention_ms=1_000_000, max_message_bytes=300_000)
        alter(broker, topic, ("retention.ms", "2000000", AlterConfigOpType.SET), ("max.message.bytes", None, AlterConfigOpType.DELETE))
        found = settings_of(broker, topic)
        assert found["retention.ms"].value == "2000000" and found["max.message.bytes"].value != "300000"
        alter(broker, topic, ("cleanup.policy", "compact", AlterConfigOpType.APPEND))
        assert sorted(settings_of(broker, topic)["cleanup.policy"].value.split(",")) == ["compact", "delete"]
        alter(broker, topic, ("cleanup.policy", "compact", AlterConfigOpType.SUBTRACT))
        assert settings_of(broker, topic)["cleanup.policy"].value == "delete"
        for name, value in (("no.such.setting", "1"), ("retention.ms", "soon"), ("max.message.bytes", "-5")):
            assert refusal(lambda: alter(broker, topic, (name, value, AlterConfigOpType.SET))) == "INVALID_CONFIG", (name, value)
        assert settings_of(broker, topic)["retention.ms"].value == "2000000"
        missing = unique("missing")
        assert refusal(lambda: alter(broker, missing, ("retention.ms", "5", AlterConfigOpType.SET))) == "UNKNOWN_TOPIC_OR_PART"
        # The old request replaces everything that was said.
        resource = ConfigResource(ResourceType.TOPIC, topic, set_config={"segment.ms": "700000"})
        admin(broker).alter_configs([resource])[resource].result(90)
        found = settings_of(broker, topic)
        assert found["segment.ms"].value == "700000" and found["retention.ms"].value != "2000000"


def claim_the_cluster_describes_itself():
    with kafka() as broker:
        client = admin(broker)
        cluster = client.describe_cluster().result(90)
        assert cluster.cluster_id and cluster.controller and broker.kafka_port in [node.port for node in cluster.nodes], cluster
        assert client.list_topics(timeout=90).cluster_id == cluster.cluster_id
        node = cluster.nodes[0]
        resource = ConfigResource(ResourceType.BROKER, str(node.id))
        found = client.describe_configs([resource])[resource].result(90)
        assert found, "a broker without settings"


def claim_offsets_are_listed_from_every_end():
    with kafka() as broker:
        client, topic = admin(broker), create(broker, "listed")
        place = TopicPartition(topic, 0)

        def find(spec):
            return client.list_offsets({place: spec}, isolation_level=IsolationLevel.READ_UNCOMMITTED)[place].result(90)

        assert find(OffsetSpec.earliest()).offset == 0 and find(OffsetSpec.latest()).offset == 0 and find(OffsetSpec.max_timestamp()).offset == -1
        writer = producer(broker)
        stamps = [1_700_000_000_000, 1_700_000_005_000, 1_700_000_003_000, 1_700_000_004_000]
        for stamp in stamps:
            writer.produce(topic, b"x", timestamp=stamp, partition=0)
            writer.flush(120)
        assert find(OffsetSpec.earliest()).offset == 0 and find(OffsetSpec.latest()).offset == 4
        latest = find(OffsetSpec.max_timestamp())
        assert (latest.offset, latest.timestamp) == (1, stamps[1]), latest
        for stamp, offset in ((stamps[0], 0), (stamps[0] + 1, 1), (stamps[1], 1), (stamps[1] + 1, -1), (0, 0)):
            assert find(OffsetSpec.for_timestamp(stamp)).offset == offset, stamp
        missing = TopicPartition(unique("missing"), 0)
        assert refusal(lambda: client.list_offsets({missing: OffsetSpec.latest()})[missing].result(90)) in ("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_NOENT")


def claim_records_are_deleted_up_to_an_offset():
    with kafka() as broker:
        client, topic = admin(broker), create(broker, "shortened")
        produce(broker, topic, [b"%d" % n for n in range(100)], partition=0)

        def delete(offset):
            place = TopicPartition(topic, 0, offset)
            return client.delete_records([place])[place].result(90).low_watermark

        assert delete(30) == 30
        assert [message.offset() for message in read(broker, topic)] == list(range(30, 100))
        assert delete(20) == 30
        assert refusal(delete, 101) == "OFFSET_OUT_OF_RANGE"
        assert delete(-1) == 100
        assert read(broker, topic, start=-2) == []
        produce(broker, topic, [b"after"], partition=0)
        assert [(message.offset(), message.value()) for message in read(broker, topic, start=-2)] == [(100, b"after")]


@contextlib.contextmanager
def member(broker, topic, group, count):
    """A member that has read and committed `count` messages, and stays."""
    client = consumer(broker, group_id=group)
    client.subscribe([topic])
    poll_until(client, count)
    client.commit(asynchronous=False)
    try:
        yield client
    finally:
        client.close()


def offsets_of(broker, group, partitions=None):
    request = ConsumerGroupTopicPartitions(group, partitions)
    found = admin(broker).list_consumer_group_offsets([request])[group].result(90)
    return {(place.topic, place.partition): place.offset for place in found.topic_partitions}


def claim_groups_are_listed_described_and_deleted():
    with kafka() as broker:
        client, topic, group = admin(broker), create(broker, "followed", 2), unique("followers")
        for partition in (0, 1):
            produce(broker, topic, [b"x"] * 50, partition=partition)
        with member(broker, topic, group, 100) as reader:
            found = client.describe_consumer_groups([group])[group].result(90)
            assert found.group_id == group and found.state.name == "STABLE" and len(found.members) == 1 and found.coordinator, found
            one = found.members[0]
            assert one.member_id == reader.memberid() and one.client_id == "rdkafka" and one.host, one
            assert sorted((place.topic, place.partition) for place in one.assignment.topic_partitions) == [(topic, 0), (topic, 1)]
            assert found.partition_assignor == "range", found.partition_assignor
            listed = {each.group_id: each for each in client.list_consumer_groups().result(90).valid}
            assert listed[group].state.name == "STABLE"
            assert offsets_of(broker, group) == {(topic, 0): 50, (topic, 1): 50}
            assert refusal(lambda: client.delete_consumer_groups([group])[group].result(90)) == "NON_EMPTY_GROUP"
            changed = [ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 7)])]
            refused = client.alter_consumer_group_offsets(changed)[group].result(90).topic_partitions[0]
            assert refused.error.name() == "UNKNOWN_MEMBER_ID", refused
        assert client.describe_consumer_groups([group])[group].result(90).state.name == "EMPTY"
        altered = client.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 7)])])[group].result(90)
        assert altered.topic_partitions[0].error is None
        assert offsets_of(broker, group) == {(topic, 0): 7, (topic, 1): 50}
        with member(broker, topic, group, 43):
            pass
        assert offsets_of(broker, group) == {(topic, 0): 50, (topic, 1): 50}
        client.delete_consumer_groups([group])[group].result(90)
        assert group not in {each.group_id for each in client.list_consumer_groups().result(90).valid}
        assert client.describe_consumer_groups([group])[group].result(90).state.name == "DEAD"
        assert refusal(lambda: client.delete_consumer_groups([group])[group].result(90)) == "GROUP_ID_NOT_FOUND"
        nothing = offsets_of(broker, group, [TopicPartition(topic, 0)])
        assert list(nothing.values()) == [-1001], nothing


def claim_offsets_of_a_group_without_members_can_be_written():
    with kafka() as broker:
        client, topic, group = admin(broker), create(broker, "placed"), unique("placed")
        produce(broker, topic, [b"%d" % n for n in range(10)], partition=0)
        client.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 4)])])[group].result(90)
        with member(broker, topic, group, 6):
            pass
        reader = consumer(broker, group_id=group)
        assert reader.committed([TopicPartition(topic, 0)], timeout=90)[0].offset == 10
        reader.commit(offsets=[TopicPartition(topic, 0, 3, metadata="why not")], asynchronous=False)
        found = reader.committed([TopicPartition(topic, 0)], timeout=90)[0]
        assert (found.offset, found.metadata) == (3, "why not"), found
        reader.close()


def claim_a_strange_group_is_described_as_dead():
    with kafka() as broker:
        group = unique("nobody")
        try:
            found = admin(broker).describe_consumer_groups([group])[group].result(90)
            assert found.state.name == "DEAD" and not found.members
        except KafkaException as error:
            assert error.args[0].name() == "GROUP_ID_NOT_FOUND", error
