"""The order-processing example of docs/examples/orders, step by step."""
import pathlib
import subprocess

from broker import BINARY, Broker

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "docs/examples/orders/run"


def claim_the_order_processing_example_does_what_it_says():
    with Broker() as broker:
        result = subprocess.run([str(SCRIPT), BINARY, broker.server], capture_output=True, timeout=120)
        text = result.stdout.decode()
        assert result.returncode == 0, text + result.stderr.decode()
        assert "everything happened as told" in text
