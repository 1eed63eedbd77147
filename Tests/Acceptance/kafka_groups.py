"""Consumer groups of librdkafka: members that come, go, die and return, under every way of sharing; the broker dies too."""
import time

from confluent_kafka import KafkaException, TopicPartition

from broker import wait_until
from kafka_broker import Acknowledged, admin, consumer, create, folder, kafka, poll_until, produce, producer, refusal, unique
from kafka_ledger import Group

PARTITIONS = 6


def numbered(first, count):
    return [n.to_bytes(8, "big") + b" some more" for n in range(first, first + count)]


def fill(broker, topic, first, count):
    client, report = producer(broker, enable_idempotence=True), Acknowledged()
    for value in numbered(first, count):
        for partition in range(PARTITIONS):
            client.produce(topic, value, partition=partition, on_delivery=report)
        client.poll(0)
    assert client.flush(120) == 0 and not report.errors, report.errors[:3]


def claim_a_group_shares_and_shares_again_when_members_die_and_join():
    with kafka() as broker, folder() as home:
        groups = []
        for strategy in ("range", "roundrobin", "cooperative-sticky"):
            topic = create(broker, strategy, PARTITIONS)
            groups.append(Group(broker, topic, unique(strategy), home, **{"partition_assignment_strategy": strategy}))
        # All three at a time: most of this claim is waiting for a dead member's session to end.
        try:
            for group in groups:
                fill(broker, group.topic, 0, 500)
                for _ in range(3):
                    group.join()
            for group in groups:
                group.wait_until_settled(PARTITIONS)
                group.wait_until_read(dict.fromkeys(range(PARTITIONS), 500))
                group.members[0].kill()
            for group in groups:
                fill(broker, group.topic, 500, 500)
                group.wait_until_settled(PARTITIONS)
                group.wait_until_read(dict.fromkeys(range(PARTITIONS), 1000))
                group.join()
            for group in groups:
                group.wait_until_settled(PARTITIONS)
                assert len(group.living()) == 3
                fill(broker, group.topic, 1000, 500)
                group.members[1].leave()
                group.wait_until_settled(PARTITIONS)
                group.wait_until_read(dict.fromkeys(range(PARTITIONS), 1500))
                for member in group.living():
                    member.leave()
            return ", ".join(f"{group.settings['partition_assignment_strategy']}: {group.judge()[1]} again" for group in groups)
        finally:
            for group in groups:
                group.close()


def claim_cooperative_members_keep_what_they_have():
    with kafka() as broker, folder() as home:
        topic = create(broker, "sticky", PARTITIONS)
        with Group(broker, topic, unique("sticky"), home, partition_assignment_strategy="cooperative-sticky") as group:
            first = group.join()
            group.wait_until_settled(PARTITIONS)
            group.join()
            group.wait_until_settled(PARTITIONS)
            revoked = [partition for event in first.events() for partition in event.get("revoked", ())]
            assert len(revoked) == PARTITIONS // 2 and len(first.partitions()) == PARTITIONS // 2, revoked


def claim_a_static_member_returns_without_disturbing_the_others():
    with kafka() as broker, folder() as home:
        topic = create(broker, "static", PARTITIONS)
        fill(broker, topic, 0, 100)
        with Group(broker, topic, unique("static"), home, session_timeout_ms=60_000) as group:
            members = [group.join(group_instance_id=f"instance-{n}") for n in range(3)]
            group.wait_until_settled(PARTITIONS)
            group.wait_until_read(dict.fromkeys(range(PARTITIONS), 100))
            held, seen = [member.partitions() for member in members], [member.assignments() for member in members]
            group.wait_until_committed(dict.fromkeys(range(PARTITIONS), 100))
            members[0].kill()
            again = group.join(group_instance_id="instance-0")
            wait_until(lambda: again.partitions() == held[0], 50, "the same partitions for the same instance")
            fill(broker, topic, 100, 100)
            group.wait_until_read(dict.fromkeys(range(PARTITIONS), 200))
            assert [member.assignments() for member in members[1:]] == seen[1:], "the others were disturbed"
            # A second one under the same name throws the first one out.
            thief = group.join(group_instance_id="instance-0")
            wait_until(lambda: again.process.poll() is not None, 60, "the older one is fenced")
            assert any("fenced" in event.get("why", "") for event in again.events()), again.events()[-3:]
            wait_until(lambda: thief.partitions() == held[0], 60, "its partitions are the newer one's")
            assert [member.assignments() for member in members[1:]] == seen[1:], "the others were disturbed"


def claim_a_group_outlives_a_kill_of_the_broker():
    with kafka(own=True) as broker, folder() as home:
        topic = create(broker, "restart", PARTITIONS)
        fill(broker, topic, 0, 500)
        with Group(broker, topic, unique("restart"), home) as group:
            for _ in range(3):
                group.join()
            group.wait_until_settled(PARTITIONS)
            group.wait_until_read(dict.fromkeys(range(PARTITIONS), 500))
            group.wait_until_committed(dict.fromkeys(range(PARTITIONS), 500))
            broker.kill()
            time.sleep(0.5)
            broker.start()
            fill(broker, topic, 500, 500)
            group.wait_until_read(dict.fromkeys(range(PARTITIONS), 1000))
            for member in group.living():
                member.leave()
            _, again = group.judge()
        # What was committed last is known after another kill too.
        broker.kill()
        broker.start()
        reader = consumer(broker, group_id=group.name)
        places = reader.committed([TopicPartition(topic, partition) for partition in range(PARTITIONS)], timeout=90)
        assert [place.offset for place in places] == [1000] * PARTITIONS, places
        reader.close()
        return f"{again} came again"


def claim_strangers_cannot_commit_for_a_group():
    with kafka() as broker:
        topic, group = create(broker, "strangers"), unique("strangers")
        produce(broker, topic, numbered(0, 10), partition=0)
        inside = consumer(broker, group_id=group)
        inside.subscribe([topic])
        poll_until(inside, 10)
        inside.commit(asynchronous=False)
        outside = consumer(broker, group_id=group)
        name = refusal(lambda: outside.commit(offsets=[TopicPartition(topic, 0, 3)], asynchronous=False))
        assert name == "UNKNOWN_MEMBER_ID", name
        assert inside.committed([TopicPartition(topic, 0)], timeout=90)[0].offset == 10
        inside.close()
        # Without members anybody may.
        outside.commit(offsets=[TopicPartition(topic, 0, 3)], asynchronous=False)
        assert outside.committed([TopicPartition(topic, 0)], timeout=90)[0].offset == 3
        outside.close()


def claim_a_session_shorter_than_the_broker_allows_is_refused():
    with kafka() as broker:
        topic = create(broker, "hasty")
        reader = consumer(broker, session_timeout_ms=1000, heartbeat_interval_ms=300)
        reader.subscribe([topic])
        deadline, name = time.monotonic() + 120, None
        while name is None and time.monotonic() < deadline:
            message = reader.poll(1)
            name = message and message.error() and message.error().name()
        reader.close()
        assert name == "INVALID_SESSION_TIMEOUT", name


def claim_members_of_one_group_may_read_different_topics():
    with kafka() as broker:
        topics, group = [create(broker, "mixed", 2) for _ in range(2)], unique("mixed")
        for topic in topics:
            for partition in (0, 1):
                produce(broker, topic, numbered(0, 10), partition=partition)
        one, both = consumer(broker, group_id=group), consumer(broker, group_id=group)
        one.subscribe(topics[:1])
        both.subscribe(["^" + topic.replace(".", "\\.") + "$" for topic in topics])

        def settled():
            for reader in (one, both):
                message = reader.poll(0.2)
                assert not (message and message.error() and message.error().retriable() is False and message.error().name() not in ("_PARTITION_EOF",)), message.error()
            held = [{(place.topic, place.partition) for place in reader.assignment()} for reader in (one, both)]
            return not held[0] & held[1] and len(held[0] | held[1]) == 4 and len(held[0]) == 1

        wait_until(settled, 180, "both have their share")
        one.close()
        both.close()


def claim_two_groups_read_the_same_topic_each_for_itself():
    with kafka() as broker:
        topic = create(broker, "twice")
        produce(broker, topic, numbered(0, 100), partition=0)
        for _ in range(2):
            reader = consumer(broker, group_id=unique("each"))
            reader.subscribe([topic])
            assert len(poll_until(reader, 100)) == 100
            reader.commit(asynchronous=False)
            reader.close()
        listed = admin(broker).list_consumer_groups().result(90)
        assert not listed.errors, listed.errors


def claim_offsets_of_unknown_topics_are_refused():
    with kafka() as broker:
        reader, missing = consumer(broker), unique("missing")
        try:
            places = reader.commit(offsets=[TopicPartition(missing, 0, 3)], asynchronous=False)
            assert places[0].error, places
        except KafkaException as error:
            assert error.args[0].name() == "UNKNOWN_TOPIC_OR_PART", error
        reader.close()
