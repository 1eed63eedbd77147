"""The facts of Kafka's messages: a reader of messages.facts, and one of Kafka's own definitions to compare them with.

Both give the same model, so that comparing is comparing lines. A definition's versions are cut to those that the facts list.
"""
import json
import pathlib
import re
from dataclasses import dataclass, field, replace

INTEGERS = {"int8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8}
SCALARS = {**INTEGERS, "bool": 1, "float64": 8, "uuid": 16, "string": None, "bytes": None, "records": None}


class FactError(Exception):
    pass


def parse_versions(text: str, valid: range) -> frozenset[int]:
    """`3+`, `0-4`, `2` or `none`, cut to the valid versions."""
    if text == "none":
        return frozenset()
    match = re.fullmatch(r"(\d+)(\+|-(\d+))?", text)
    if not match:
        raise FactError(f"not versions: {text}")
    first = int(match[1])
    last = int(match[3]) if match[3] else valid.stop - 1 if match[2] else first
    return frozenset(v for v in valid if first <= v <= last)


def print_versions(versions: frozenset[int], valid: range) -> str:
    first, last = min(versions), max(versions)
    if versions != frozenset(range(first, last + 1)):
        raise FactError(f"versions with a hole: {sorted(versions)}")
    if last == valid.stop - 1:
        return f"{first}+"
    return f"{first}" if first == last else f"{first}-{last}"


@dataclass
class Field:
    name: str
    type: str  # a scalar or the name of a structure
    is_array: bool
    versions: frozenset[int]
    nullable: frozenset[int]
    tag: int | None
    default: str | None
    fields: list["Field"] = field(default_factory=list)

    @property
    def is_struct(self) -> bool:
        return self.type not in SCALARS

    def line(self, valid: range, around: frozenset[int], named: bool = True) -> str:
        """The field as the facts write it; versions are left out when they are those of the structure round it."""
        kind = self.type if named or not self.is_struct else "{}"
        words = [self.name, f"[{kind}]" if self.is_array else kind]
        if self.versions != around:
            words.append(print_versions(self.versions, valid))
        if self.nullable:
            words.append("nullable")
            if self.nullable != self.versions:
                words.append(print_versions(self.nullable, valid))
        if self.tag is not None:
            words += ["tag", str(self.tag)]
        if self.default is not None:
            words += ["=", self.default]
        return " ".join(words)

    def lines(self, valid: range, around: frozenset[int], indent: int, named: bool = True) -> list[str]:
        inside = [text for inner in self.fields for text in inner.lines(valid, self.versions, indent + 1, named)]
        return ["  " * indent + self.line(valid, around, named)] + inside

    def cut(self, versions: frozenset[int]) -> "Field | None":
        """The field in those versions alone; None when they do not have it."""
        if not self.versions & versions:
            return None
        inside = [inner for inner in (f.cut(versions) for f in self.fields) if inner]
        return replace(self, versions=self.versions & versions, nullable=self.nullable & versions, fields=inside)


@dataclass
class Message:
    name: str  # with Request or Response
    valid: range
    flexible: frozenset[int]
    fields: list[Field]

    def lines(self, named: bool = True) -> list[str]:
        return [text for inner in self.fields for text in inner.lines(self.valid, frozenset(self.valid), 1, named)]

    def cut(self, valid: range) -> "Message":
        versions = frozenset(valid)
        return Message(self.name, valid, self.flexible & versions, [inner for inner in (f.cut(versions) for f in self.fields) if inner])


@dataclass
class API:
    key: int
    name: str
    valid: range
    flexible: frozenset[int]
    request: Message
    response: Message
    # The first version that the compared definitions still have; older ones are from elsewhere.
    compared: int

    def head(self) -> str:
        flexible = print_versions(self.flexible, self.valid) if self.flexible else "none"
        older = f" compared {self.compared}+" if self.compared != self.valid.start else ""
        return f"api {self.key} {self.name} {print_range(self.valid)} flexible {flexible}{older}"


def print_range(valid: range) -> str:
    return f"{valid.start}-{valid.stop - 1}" if len(valid) > 1 else f"{valid.start}"


def parse_range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def parse_field(text: str, valid: range, around: frozenset[int]) -> Field:
    text, _, default = text.partition(" = ")
    words = text.split()
    name, kind, rest = words[0], words[1], words[2:]
    is_array = kind.startswith("[")
    versions = around
    if rest and re.match(r"\d", rest[0]):
        versions = parse_versions(rest.pop(0), valid) & around
    nullable: frozenset[int] = frozenset()
    if rest and rest[0] == "nullable":
        rest.pop(0)
        nullable = versions
        if rest and re.match(r"\d", rest[0]):
            nullable = parse_versions(rest.pop(0), valid) & versions
    tag = None
    if rest and rest[0] == "tag":
        tag = int(rest[1])
        rest = rest[2:]
    if rest:
        raise FactError(f"not understood: {' '.join(rest)}")
    return Field(name, kind.strip("[]"), is_array, versions, nullable, tag, default or None)


def read_facts(path: pathlib.Path) -> list[API]:
    apis: list[API] = []
    # The lists that fields of each depth go to, with the versions of the structure that they belong to.
    open_lists: list[tuple[list[Field], frozenset[int]]] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        text = line.split("#")[0].rstrip()
        if not text:
            continue
        try:
            if text.startswith("api "):
                words = text.split()
                valid = parse_range(words[3])
                flexible = parse_versions(words[words.index("flexible") + 1], valid)
                compared = int(words[words.index("compared") + 1].rstrip("+")) if "compared" in words else valid.start
                messages = [Message(words[2] + side, valid, flexible, []) for side in ("Request", "Response")]
                apis.append(API(int(words[1]), words[2], valid, flexible, messages[0], messages[1], compared))
            elif text in ("request", "response"):
                message = apis[-1].request if text == "request" else apis[-1].response
                open_lists = [(message.fields, frozenset(message.valid))]
            else:
                depth = (len(text) - len(text.lstrip())) // 2
                del open_lists[depth:]
                into, around = open_lists[-1]
                parsed = parse_field(text.strip(), apis[-1].valid, around)
                if not parsed.versions:
                    raise FactError("a field of no version")
                into.append(parsed)
                open_lists.append((parsed.fields, parsed.versions))
        except (FactError, IndexError, ValueError) as error:
            raise SystemExit(f"{path}:{number}: {error}: {text}")
    return apis


def normal_default(kind: str, is_array: bool, value: object) -> str | None:
    """A default as the facts write it; None for the type's own."""
    text = str(value).strip()
    if is_array or text == "":
        return "null" if text == "null" else None
    if kind in INTEGERS:
        number = int(text, 0)
        return None if number == 0 else str(number)
    if kind == "bool":
        return "true" if text.lower() == "true" else None
    return text


def singular(name: str) -> str:
    for end, instead in (("ies", "y"), ("sses", "ss"), ("s", "")):
        if name.endswith(end):
            return name[: -len(end)] + instead
    return name


def read_json(folder: pathlib.Path, name: str, valid: range) -> Message | None:
    path = folder / (name + ".json")
    if not path.exists():
        return None
    text = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("//"))
    definition = json.loads(text)

    def convert(source: dict, around: frozenset[int]) -> Field | None:
        versions = parse_versions(source["versions"], valid) & around
        if not versions:
            return None
        kind = source["type"].removeprefix("[]")
        is_array = source["type"].startswith("[]")
        tag = None
        if "tag" in source:
            if parse_versions(source["taggedVersions"], valid) & versions != versions:
                raise FactError(f"{name}.{source['name']} is tagged in some of its versions only")
            tag = source["tag"]
        made = Field(
            source["name"], kind, is_array, versions, parse_versions(source.get("nullableVersions", "none"), valid) & versions, tag,
            normal_default(kind, is_array, source.get("default", "")))
        made.fields = [inner for inner in (convert(f, versions) for f in source.get("fields", [])) if inner]
        if made.is_struct:
            made.type = singular(source["name"]) if is_array else source["name"]
        return made

    everything = frozenset(valid)
    fields = [made for made in (convert(f, everything) for f in definition["fields"]) if made]
    return Message(name, valid, parse_versions(definition["flexibleVersions"], valid), fields)


def json_valid_versions(folder: pathlib.Path, name: str) -> tuple[int, range]:
    text = (folder / (name + ".json")).read_text()
    match = re.search(r'"validVersions": "([^"]+)"', text)
    key = re.search(r'"apiKey": (\d+)', text)
    assert match and key
    return int(key[1]), parse_range(match[1])
