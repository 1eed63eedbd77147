#!/usr/bin/env python3
"""Tries the real binary as a new user would: each function is one claim. Closes with `N passed, N failed, N skipped`.

NEEDLETAIL_BINARY names the binary, NEEDLETAIL_DRIVER the driver (io_uring or epoll), NEEDLETAIL_SHARDS how many
shards it runs and NEEDLETAIL_WAIT how they wait (where a claim does not say), NEEDLETAIL_STREAM_BYTES how much is streamed.
Arguments, if any, select claims by part of their name.
"""
import sys
import time
import traceback

from broker import DRIVER, Skipped
import claims_churn
import claims_damage
import claims_disk
import claims_drivers
import claims_hostile
import claims_lane
import claims_limits
import claims_operating
import claims_orders
import claims_overload
import claims_protocol
import claims_scale
import claims_streaming
import claims_tracing
import claims_waiting

MODULES = (
    claims_operating, claims_disk, claims_damage, claims_hostile, claims_limits, claims_lane, claims_protocol, claims_orders, claims_streaming, claims_scale,
    claims_overload, claims_churn, claims_drivers, claims_waiting, claims_tracing)


def claims(*modules):
    """The claims of these modules, in the order of their names."""
    return [
        function
        for module in modules
        for name, function in sorted(vars(module).items())
        if name.startswith("claim_") and function.__module__ == module.__name__
    ]


def main(tried, label=DRIVER):
    chosen = [claim for claim in tried if not sys.argv[1:] or any(part in claim.__name__ for part in sys.argv[1:])]
    failed = skipped = 0
    for claim in chosen:
        began = time.monotonic()
        try:
            note = claim()
            print(f"ok    {label} {claim.__name__[6:]} ({time.monotonic() - began:.1f} s){': ' + note if note else ''}", flush=True)
        except Skipped as reason:
            skipped += 1
            print(f"skip  {label} {claim.__name__[6:]}: {reason}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED {label} {claim.__name__[6:]}\n{traceback.format_exc()}", flush=True)
    passed = len(chosen) - failed - skipped
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(claims(*MODULES)))
