"""How many instructions one iteration of each row takes, counted by callgrind: nearly the same in every run, on every machine of a kind.

    python3 instructions.py PROGRAM [PART …]

Each row goes through so many iterations, and through twice as many; the difference is what the iterations took, without what stands around.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ITERATIONS = 50


def rows(program):
    """Name: items and bytes of one iteration."""
    listed = subprocess.run([program, "--names"], capture_output=True, text=True, check=True).stdout
    return {name: (int(items), int(size)) for name, items, size in (line.split("\t") for line in listed.splitlines())}


def count(program, parts=()):
    """Instructions of one iteration, by row."""
    with tempfile.TemporaryDirectory(prefix="micro-") as directory:
        out = pathlib.Path(directory) / "out"
        # Debian's valgrind does not read the debugging information of Swift's compiler.
        bare = pathlib.Path(directory) / "micro"
        subprocess.run(["objcopy", "--strip-debug", program, bare], check=True)
        # The order of what is hashed is the same in every run. A copy by `rep movsb` would count each byte as an instruction.
        environment = {**os.environ, "SWIFT_DETERMINISTIC_HASHING": "1", "GLIBC_TUNABLES": "glibc.cpu.x86_rep_movsb_threshold=1000000000"}
        words = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", bare, "--count", str(ITERATIONS), *parts]
        ended = subprocess.run(words, capture_output=True, text=True, env=environment)
        if ended.returncode != 0:
            raise RuntimeError(ended.stderr.strip()[-1000:])
        counted = {}
        for path in pathlib.Path(directory).glob("out*"):
            text = path.read_text()
            named = re.search(r"^desc: Trigger: Client Request: (.*)/([12])$", text, re.MULTILINE)
            total = re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
            if named and total:
                counted.setdefault(named[1], {})[named[2]] = int(total[1])
    return {name: (counts["2"] - counts["1"]) / ITERATIONS for name, counts in counted.items()}


def main():
    program, parts = sys.argv[1], sys.argv[2:]
    known = rows(program)
    counted = count(program, parts)
    width = max(map(len, counted), default=0)
    for name in known:
        if name not in counted:
            continue
        items, size = known[name]
        each = f"{counted[name] / items:10,.1f} an item" if items else ""
        each += f"  {counted[name] / size:8,.2f} a byte" if size else ""
        print(f"{name:{width}}  {counted[name]:14,.0f}  {each}")
    return 0 if counted else 1


if __name__ == "__main__":
    sys.exit(main())
