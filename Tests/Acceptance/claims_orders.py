"""The order-processing example of docs/examples/orders, as a user runs it."""
import os
import pathlib
import subprocess

from broker import BINARY, Broker

EXAMPLE = os.environ.get("NEEDLETAIL_ORDERS") or str(pathlib.Path(BINARY).with_name("orders"))


def claim_the_order_processing_example_does_what_it_says():
    with Broker() as broker:
        result = subprocess.run([EXAMPLE, broker.server], capture_output=True, timeout=300)
        text = result.stdout.decode()
        assert result.returncode == 0, text + result.stderr.decode()
        for customer in ("ada", "grace", "mallory"):
            assert f"order of {customer}: stored in 4 logs" in text
        for queue in ("orders.payment", "orders.stock", "orders.notify"):
            assert f"{queue}: done: one teapot for ada" in text
        for attempt in (1, 2, 3):
            assert f"orders.payment: attempt {attempt} failed: one teapot for mallory" in text
        assert "orders.payment: done: one teapot for mallory" not in text
        assert "dead letter: one teapot for mallory" in text
        for header in ("x-death-reason: delivery-limit", "x-origin-topic: orders.payment", "x-origin-offset: 2", "x-delivery-count: 3"):
            assert header in text, text
        assert "analytics: 3 orders since the beginning" in text
