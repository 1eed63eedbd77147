"""`needletail trace`: where one message's microseconds went."""
import json

from broker import Broker, wait_until

STAGES = ["receive", "route", "append", "durable", "acknowledge", "deliver"]


def follow(broker, *words):
    """A `trace` that is waiting for its message."""
    return broker.spawn("trace", "t", "--timeout", "60s", *words)


def figure(broker, name):
    return json.loads(broker.cli("stats", "--json", "--all").stdout.splitlines()[-1])[f"needletail_{name}"]


def traced(broker, *words, publish):
    """What `trace` prints of a message that is published while it waits: again and again, because nobody can see when it does."""
    waiting = follow(broker, *words)
    wait_until(lambda: (publish(), waiting.poll() is not None)[1], 90, "the message that is followed")
    output, errors = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, errors.decode()
    return output.decode()


def claim_a_message_is_followed_from_its_receipt_to_its_delivery():
    with Broker() as broker:
        broker.cli("topic", "create", "t", "--durability", "group")
        reader = broker.spawn("consume", "t", "--follow")
        publish = lambda: broker.cli("produce", "t", input=b"hello\n")
        try:
            # Delivered is only what somebody waits for.
            wait_until(lambda: figure(broker, "consumers") == 1, 60, "the reader")
            shown = traced(broker, publish=publish)
            told = json.loads(traced(broker, "--json", publish=publish))
        finally:
            reader.terminate()
            reader.wait(timeout=120)
        assert [line.split()[0] for line in shown.splitlines()[1:]] == [*STAGES, "acknowledged"], shown
        assert "delivered after" in shown and "t, partition 0, offset" in shown, shown
        times = [told[f"{stage}_microseconds"] for stage in STAGES]
        # Each stage is a part of the whole, which is less than the wait.
        assert all(time >= 0 for time in times) and times[2] > 0 and times[3] > 0, told
        to_answer = sum(times[:5])
        assert abs(to_answer - told["acknowledged_microseconds"]) < 1 and to_answer < 60e6, told
        assert abs(sum(times[:4]) + times[5] - told["delivered_microseconds"]) < 1, told
        return f"{to_answer:.0f} us in the broker"


def claim_a_message_is_followed_on_another_shard():
    with Broker("--shards", "3", "--durability", "none") as broker:
        for name in ("a", "b", "t"):
            broker.cli("topic", "create", name)
        told = json.loads(traced(broker, "--json", publish=lambda: broker.cli("produce", "t", input=b"hello\n")))
        assert "durable_microseconds" not in told and "deliver_microseconds" not in told, told
        assert told["acknowledged_microseconds"] > 0, told


def claim_following_nothing_ends_with_an_answer():
    with Broker() as broker:
        broker.cli("topic", "create", "t")
        result = broker.cli("trace", "t", "--timeout", "100ms", check=False)
        assert result.returncode == 4 and b"nothing was published" in result.stderr, result
        assert broker.cli("trace", "nothing", check=False).returncode == 4
        # Who waits, for a minute, does not keep the broker from its end.
        waiting = follow(broker)
        wait_until(lambda: figure(broker, "sessions") >= 2, 60, "the one who waits")
        code, seconds = broker.terminate()
        assert code == 0 and seconds < 30, (code, seconds)
        waiting.kill()
        waiting.wait()
