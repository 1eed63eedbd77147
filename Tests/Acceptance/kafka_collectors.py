"""Real log collectors with a Kafka output, shipping this machine's own log files: rsyslog's omkafka and syslog-ng's kafka-c.

Both are Debian's packages, unpacked aside: only one system logger can be installed at a time, and none should be for a test.
"""
import os
import pathlib
import platform
import subprocess
import time

from broker import Skipped
from kafka_broker import CLIENTS, create, folder, kafka, read

LIBRARIES = f"{platform.machine()}-linux-gnu"


def snapshots(home):
    """Copies of the machine's logs as they are now, since somebody may be writing to them."""
    copies = []
    for path in sorted([*pathlib.Path("/var/log").glob("*.log"), *pathlib.Path("/var/log/apt").glob("*.log")]):
        try:
            content = path.read_bytes()
        except OSError:
            continue
        # A line that is still being written belongs to the next round, and lines of nothing are skipped by every collector.
        content = content[: content.rfind(b"\n") + 1]
        if content.strip() and max(map(len, content.split(b"\n"))) < 100_000:
            copies.append((home / path.name, content))
    if not copies:
        raise Skipped("this machine has no logs to ship")
    return copies


def ship(program, configuration, arguments, line_end=b""):
    """Starts the collector on the first half of each file, appends the rest while it runs, and compares what arrived.
    `line_end` is what the collector itself takes for a part of the line's end."""
    binary = CLIENTS / "root/usr/sbin" / program
    if not binary.exists():
        raise Skipped(f"there is no {binary}")
    libraries = CLIENTS / "root/usr/lib"
    environment = {**os.environ, "LD_LIBRARY_PATH": f"{libraries / LIBRARIES}:{libraries / 'syslog-ng'}"}
    with kafka() as broker, folder() as home:
        files = []
        for path, content in snapshots(home):
            half = content.find(b"\n", len(content) // 2) + 1
            path.write_bytes(content[:half])
            files.append((path, create(broker, program), content, half))
        text = configuration(broker, home, [(path, topic) for path, topic, *_ in files])
        settings = home / "collector.conf"
        settings.write_text(text)
        with open(home / "said", "wb") as said:
            process = subprocess.Popen([binary, *arguments(home, settings, libraries)], env=environment, stdout=said, stderr=said, cwd=home)
        try:
            def arrived(upto):
                deadline = time.monotonic() + 120
                while True:
                    missing = []
                    for path, topic, content, half in files:
                        expected = [line.rstrip(line_end) for line in content[: half if upto == "half" else None].split(b"\n") if line.rstrip(line_end)]
                        got = [message.value() for message in read(broker, topic)]
                        for number, (one, other) in enumerate(zip(got, expected)):
                            assert one == other, f"line {number} of {path.name} is {one[:200]!r}, not {other[:200]!r}"
                        assert len(got) <= len(expected), (path.name, got[len(expected):][:3])
                        if len(got) < len(expected):
                            missing.append((path.name, len(got), len(expected)))
                    if not missing:
                        return
                    assert process.poll() is None, (home / "said").read_text(errors="replace")[-3000:]
                    assert time.monotonic() < deadline, (missing, (home / "said").read_text(errors="replace")[-3000:])
                    time.sleep(0.3)

            arrived("half")
            for path, _, content, half in files:
                with open(path, "ab") as file:
                    file.write(content[half:])
            arrived("all")
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
        return f"{len(files)} files, {sum(len(content) for _, _, content, _ in files) >> 10} KiB"


def claim_rsyslog_ships_real_logs_byte_for_byte():
    def configuration(broker, home, files):
        head = f"""
global(workDirectory="{home}" maxMessageSize="256k" parser.escapeControlCharactersOnReceive="off")
module(load="imfile")
module(load="omkafka")
template(name="line" type="string" string="%msg%")
"""
        parts = [f"""
input(type="imfile" file="{path}" tag="shipped" ruleset="{topic}" readMode="0" escapeLF="off")
ruleset(name="{topic}") {{
    action(type="omkafka" broker=["{broker.bootstrap}"] topic="{topic}" template="line" errorFile="{home}/{topic}.errors"
        confParam=["compression.codec=lz4", "queue.buffering.max.ms=50", "acks=all"] resubmitOnFailure="on" keepFailedMessages="off")
}}
""" for path, topic in files]
        return head + "".join(parts)

    return ship("rsyslogd", configuration, lambda home, settings, libraries: [
        "-n", "-f", settings, "-i", home / "pid", "-M", libraries / LIBRARIES / "rsyslog"])


def claim_syslog_ng_ships_real_logs_byte_for_byte():
    def configuration(broker, home, files):
        head = "@version: 3.38\noptions { log-msg-size(262144); stats-freq(0); };\n"
        parts = [f"""
log {{
    source {{ file("{path}" flags(no-parse) follow-freq(0.2)); }};
    destination {{ kafka-c(bootstrap-servers("{broker.bootstrap}") topic("{topic}") message("$MESSAGE") config(queue.buffering.max.ms("50") compression.codec("gzip"))); }};
}};
""" for path, topic in files]
        return head + "".join(parts)

    return ship("syslog-ng", configuration, lambda home, settings, libraries: [
        "-F", "-f", settings, "-R", home / "persist", "-p", home / "pid", "-c", home / "ctl", f"--module-path={libraries / 'syslog-ng/3.38'}", "--no-caps"], line_end=b"\r")
