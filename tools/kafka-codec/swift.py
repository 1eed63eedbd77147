"""Swift for the messages that the facts describe. What it prints passes the formatter and never needs a line of its own by hand."""
import re
from dataclasses import replace

from facts import API, INTEGERS, Field, FactError, Message

TYPES = {
    "int8": "Int8", "int16": "Int16", "uint16": "UInt16", "int32": "Int32", "uint32": "UInt32", "int64": "Int64", "bool": "Bool",
    "float64": "Double", "uuid": "KafkaUUID", "string": "String", "bytes": "[UInt8]", "records": "ByteRange",
}
KEYWORDS = {"protocol", "operator", "default", "internal", "extension", "repeat", "in", "is", "as", "self", "switch", "case"}
HEAD = "// Made by tools/kafka-codec/generate from tools/kafka-codec/messages.facts: change those.\n"
INDENT = "    "


def lower_name(name: str) -> str:
    """`TopicId` as `topicID`."""
    name = re.sub(r"Id(?=s?$|[A-Z])", "ID", name)
    name = name[0].lower() + name[1:]
    return f"`{name}`" if name in KEYWORDS else name


def condition(versions: frozenset[int], around: frozenset[int]) -> str | None:
    """When a field of `versions` is there, inside something of the versions `around`; None for always."""
    if versions >= around:
        return None
    first, last = min(versions), max(versions)
    if versions & around != frozenset(v for v in around if first <= v <= last):
        raise FactError(f"versions with a hole: {sorted(versions)}")
    if first == last and last < max(around):
        return f"version == {first}"
    parts = [f"version >= {first}"] if first > min(around) else []
    parts += [f"version <= {last}"] if last < max(around) else []
    return " && ".join(parts)


def default_value(f: Field) -> str:
    """The default as Swift writes it, with the type where it cannot be inferred."""
    if f.default == "null":
        return "nil"
    if f.default is not None:
        return f.default
    if f.is_array or f.type == "bytes":
        return "[]"
    if f.type == "records":
        return "nil"
    return {"bool": "false", "string": '""', "uuid": "KafkaUUID.zero"}.get(f.type, "0" if f.type in TYPES else f"{f.type}()")


class Struct:
    """A message or a structure inside one: its fields in the order of the wire, the tagged ones apart."""

    def __init__(self, name: str, versions: frozenset[int], flexible: frozenset[int], fields: list[Field]):
        self.name = name
        self.versions = versions
        self.flexible = flexible & versions
        self.fields = fields

    @property
    def plain(self) -> list[Field]:
        return [f for f in self.fields if f.tag is None]

    @property
    def tagged(self) -> list[Field]:
        return sorted((f for f in self.fields if f.tag is not None), key=lambda f: f.tag or 0)

    def compact(self) -> str:
        return "true" if self.flexible == self.versions else "flexible" if self.flexible else "false"

    def carried(self, structs: dict[str, "Struct"]) -> Field | None:
        """The field through which the struct carries records; what stands before and behind it is written apart."""
        found = [f for f in self.plain if f.type == "records" or (f.is_struct and structs[f.type].carried(structs))]
        if len(found) > 1:
            raise FactError(f"{self.name} carries records twice")
        return found[0] if found else None


def collect(fields: list[Field], flexible: frozenset[int], into: dict[str, Struct]) -> None:
    """The structures of a message by name; one that is named twice has the versions of both."""
    for f in fields:
        if not f.is_struct:
            continue
        made = Struct(f.type, f.versions, flexible, f.fields)
        before = into.get(f.type)
        if before:
            if [(a.name, a.type, a.default, a.tag) for a in before.fields] != [(a.name, a.type, a.default, a.tag) for a in made.fields]:
                raise FactError(f"two structures of one name: {f.type}")
            joined = [replace(a, versions=a.versions | b.versions, nullable=a.nullable | b.nullable) for a, b in zip(before.fields, made.fields)]
            made = Struct(f.type, before.versions | f.versions, flexible, joined)
        into[f.type] = made
        collect(f.fields, flexible, into)


def smallest(f: Field, structs: dict[str, Struct], version: int, flexible: bool) -> int:
    """How many bytes the field takes at least."""
    if f.is_array or f.type in ("bytes", "records"):
        return 1 if flexible else 4
    if f.type == "string":
        return 1 if flexible else 2
    if f.is_struct:
        return 1 if version in f.nullable else smallest_struct(structs[f.type], structs, version)
    return {**INTEGERS, "bool": 1, "float64": 8, "uuid": 16}[f.type]


def smallest_struct(s: Struct, structs: dict[str, Struct], version: int) -> int:
    flexible = version in s.flexible
    return sum(smallest(f, structs, version, flexible) for f in s.plain if version in f.versions) + (1 if flexible else 0)


class Writer:
    """Prints one message."""

    def __init__(self, api: API, message: Message):
        self.api = api
        self.message = message
        self.structs: dict[str, Struct] = {}
        collect(message.fields, message.flexible, self.structs)
        self.root = Struct(message.name, frozenset(message.valid), message.flexible, message.fields)
        self.lines: list[str] = []

    def put(self, depth: int, text: str) -> None:
        self.lines.append(INDENT * depth + text if text else "")

    def text(self) -> list[str]:
        self.declare()
        for s in [self.root, *self.structs.values()]:
            self.put(0, "")
            path = s.name if s is self.root else f"{self.root.name}.{s.name}"
            self.put(0, f"extension {path} {{")
            self.read(s)
            self.put(0, "")
            self.encode(s)
            self.put(0, "}")
        return self.lines

    # Declarations

    def conformance(self, s: Struct) -> str:
        role = "KafkaMessage" if s is self.root else "KafkaStruct"
        return f"{role}, Equatable, Sendable" if not s.carried(self.structs) else f"{role}WithRecords, Equatable, Sendable"

    def declare(self) -> None:
        self.put(0, f"struct {self.root.name}: {self.conformance(self.root)} {{")
        self.put(1, f"static let key = KafkaAPIKey.{lower_name(self.api.name)}")
        self.variables(self.root, 1)
        for s in self.structs.values():
            self.put(0, "")
            self.put(1, f"struct {s.name}: {self.conformance(s)} {{")
            self.put(2, f"static let minSize = {min(smallest_struct(s, self.structs, v) for v in s.versions)}")
            self.variables(s, 2)
            self.put(1, "}")
        self.put(0, "}")

    def variables(self, s: Struct, depth: int) -> None:
        for f in s.fields:
            kind = f.type if f.is_struct else TYPES[f.type]
            kind = f"[{kind}]" if f.is_array else kind
            optional = bool(f.nullable)
            if f.default == "null" and not optional:
                raise FactError(f"{s.name}.{f.name}: null by default and not nullable")
            if f.type == "records" and f.nullable != f.versions:
                raise FactError(f"{s.name}.{f.name}: records are nullable")
            written = default_value(f)
            inferred = not optional and not f.is_array and (f.type in ("bool", "string", "uuid") or f.is_struct)
            declared = f" = {written}" if inferred else f": {kind}{'?' if optional else ''}" + ("" if written == "nil" else f" = {written}")
            self.put(depth, f"var {lower_name(f.name)}{declared}")

    # Reading

    def flexible_line(self, s: Struct) -> None:
        if s.flexible and s.flexible != s.versions:
            self.put(2, f"let flexible = {condition(s.flexible, s.versions)}")

    def value(self, f: Field, s: Struct, inside: frozenset[int]) -> str:
        """The call that reads the field."""
        compact = s.compact()
        null = condition(f.nullable, inside) if f.nullable else "false"
        nullable = f", nullable: {null}" if f.nullable and null else ""
        if f.is_array:
            return f"reader.{'nullableArray' if f.nullable else 'array'}(version, compact: {compact}{nullable})"
        if f.type in ("string", "bytes"):
            return f"reader.{'nullable' + f.type.capitalize() if f.nullable else f.type}(compact: {compact}{nullable})"
        if f.type == "records":
            return f"reader.records(compact: {compact})"
        if f.is_struct:
            return f"reader.nullable(version{nullable})" if f.nullable else f"{self.root.name}.{f.type}(from: &reader, version: version)"
        if f.type in INTEGERS:
            return "reader.integer()"
        return {"bool": "reader.bool()", "float64": "reader.double()", "uuid": "reader.uuid()"}[f.type]

    def read(self, s: Struct) -> None:
        self.put(1, "@_lifetime(reader: copy reader)")
        self.put(1, "init(from reader: inout KafkaReader, version: Int16) throws(ByteError) {")
        self.put(2, "self.init()")
        self.flexible_line(s)
        for f in s.plain:
            when = condition(f.versions, s.versions)
            text = f"{lower_name(f.name)} = try {self.value(f, s, f.versions)}"
            self.put(2, f"if {when} {{ {text} }}" if when else text)
        self.read_tags(s)
        self.put(1, "}")

    def guarded(self, s: Struct) -> tuple[str, str, int] | None:
        """What opens and closes the part that flexible versions have alone."""
        if not s.flexible:
            return None
        return ("if flexible {", "}", 3) if s.flexible != s.versions else ("", "", 2)

    def read_tags(self, s: Struct) -> None:
        part = self.guarded(s)
        if not part:
            return
        opened, closed, depth = part
        if not s.tagged:
            self.put(2, "if flexible { try reader.skipTaggedFields() }" if opened else "try reader.skipTaggedFields()")
            return
        if opened:
            self.put(2, opened)
        self.put(depth, "for _ in 0..<(try reader.taggedFieldCount()) {")
        self.put(depth + 1, "let field = try reader.taggedField()")
        self.put(depth + 1, "switch field.tag {")
        for f in s.tagged:
            when = condition(f.versions, s.flexible)
            self.put(depth + 1, f"case {f.tag}{' where ' + when if when else ''}: {lower_name(f.name)} = try {self.value(f, s, f.versions)}")
        self.put(depth + 1, "default: try reader.skip(field)")
        self.put(depth + 1, "}")
        self.put(depth + 1, "try reader.finish(field)")
        self.put(depth, "}")
        if closed:
            self.put(2, closed)

    # Writing

    def written(self, f: Field, s: Struct, inside: frozenset[int], buffer: str = "buffer") -> str:
        compact = s.compact()
        name = lower_name(f.name)
        null = condition(f.nullable, inside) if f.nullable else "false"
        nullable = f", nullable: {null}" if f.nullable and null else ""
        if f.is_array:
            return f"{buffer}.append({'nullableArray' if f.nullable else 'array'}: {name}, version, compact: {compact}{nullable})"
        if f.type in ("string", "bytes"):
            return f"{buffer}.append({'nullable' + f.type.capitalize() if f.nullable else f.type}: {name}, compact: {compact}{nullable})"
        if f.is_struct:
            return f"{buffer}.append(nullable: {name}, version{nullable})" if f.nullable else f"{name}.encode(to: &{buffer}, version: version)"
        if f.type in INTEGERS:
            return f"{buffer}.append(big: {name})"
        return f"{buffer}.append({'double' if f.type == 'float64' else f.type}: {name})"

    def put_fields(self, s: Struct, fields: list[Field]) -> None:
        for f in fields:
            when = condition(f.versions, s.versions)
            text = self.written(f, s, f.versions)
            self.put(2, f"if {when} {{ {text} }}" if when else text)

    def encode(self, s: Struct) -> None:
        carried = s.carried(self.structs)
        if carried:
            self.encode_around(s, carried)
            return
        self.put(1, "func encode(to buffer: inout ByteBuffer, version: Int16) {")
        self.flexible_line(s)
        self.put_fields(s, s.plain)
        self.put_tags(s)
        self.put(1, "}")

    def put_tags(self, s: Struct) -> None:
        part = self.guarded(s)
        if not part:
            return
        opened, closed, depth = part
        if not s.tagged:
            self.put(2, "if flexible { buffer.appendNoTaggedFields() }" if opened else "buffer.appendNoTaggedFields()")
            return
        if opened:
            self.put(2, opened)
        self.put(depth, "var tagged = TaggedFields()")
        for f in s.tagged:
            when = condition(f.versions, s.flexible)
            name = lower_name(f.name)
            default = f"{self.root.name}.{f.type}()" if f.is_struct and not f.is_array and not f.nullable else default_value(f)
            there = f"!{name}.isEmpty" if default in ("[]", '""') and not f.nullable else name if default == "false" else f"{name} != {default}"
            # What is null in a version that has no null is left out, like a default.
            test = f"{when} && {there}" if when else there
            self.put(depth, f"if {test} {{ tagged.add({f.tag}) {{ {self.written(f, s, f.versions, '$0')} }} }}")
        self.put(depth, "tagged.write(to: &buffer)")
        if closed:
            self.put(2, closed)

    def encode_around(self, s: Struct, carried: Field) -> None:
        at = s.plain.index(carried)
        before, behind = s.plain[:at], s.plain[at + 1:]
        name = lower_name(carried.name)
        if carried.versions != s.versions or (carried.is_array and carried.nullable):
            raise FactError(f"{s.name}.{carried.name} must be there in all versions")
        compact = s.compact()
        if carried.is_array:
            self.put(1, f"/// Everything before the elements of `{name}`, which are `count`.")
            self.put(1, "func encodeHead(to buffer: inout ByteBuffer, version: Int16, count: Int) {")
        else:
            self.put(1, f"/// Everything before the bytes of `{name}`; no bytes and nil are different things.")
            self.put(1, "func encodeHead(to buffer: inout ByteBuffer, version: Int16, recordsByteCount: Int?) {")
        self.flexible_line(s)
        self.put_fields(s, before)
        if carried.is_array:
            self.put(2, f"buffer.append(arrayCount: count, compact: {compact})")
        else:
            self.put(2, f"buffer.append(recordsByteCount: recordsByteCount, compact: {compact})")
        self.put(1, "}")
        self.put(0, "")
        self.put(1, f"/// Everything behind `{name}`.")
        self.put(1, "func encodeTail(to buffer: inout ByteBuffer, version: Int16) {")
        self.flexible_line(s)
        self.put_fields(s, behind)
        self.put_tags(s)
        self.put(1, "}")
        self.put(0, "")
        self.put(1, "func encode(to buffer: inout ByteBuffer, version: Int16, recordsIn input: RawSpan) {")
        if carried.is_array:
            self.put(2, f"encodeHead(to: &buffer, version: version, count: {name}.count)")
            self.put(2, f"for element in {name} {{ element.encode(to: &buffer, version: version, recordsIn: input) }}")
        else:
            self.put(2, f"encodeHead(to: &buffer, version: version, recordsByteCount: {name}?.count)")
            self.put(2, f"if let {name} {{ buffer.append(input.extracting({name}.indices)) }}")
        self.put(2, "encodeTail(to: &buffer, version: version)")
        self.put(1, "}")


def drop_unused_flexible(lines: list[str]) -> list[str]:
    """Leaves `let flexible` out of functions that never look at it."""
    kept: list[str] = []
    for at, line in enumerate(lines):
        if line.strip().startswith("let flexible ="):
            end = next(i for i in range(at, len(lines)) if lines[i] == INDENT + "}")
            if not any("flexible" in inner for inner in lines[at + 1:end]):
                continue
        kept.append(line)
    return kept


def key_file(apis: list[API]) -> str:
    lines = [HEAD + "", "/// The APIs of Kafka's protocol that this codec knows, by their numbers on the wire."]
    lines.append("enum KafkaAPIKey: Int16, CaseIterable, Sendable {")
    lines += [f"    case {lower_name(api.name)} = {api.key}" for api in apis]
    lines += ["", "    /// The versions that the codec reads and writes."]
    lines += ["    var validVersions: ClosedRange<Int16> {", "        switch self {"]
    lines += [f"        case .{lower_name(api.name)}: {api.valid.start}...{api.valid.stop - 1}" for api in apis]
    lines += ["        }", "    }", "", "    /// The first version with compact lengths and tagged fields; nil when none has them."]
    lines += ["    var flexibleFrom: Int16? {", "        switch self {"]
    for api in apis:
        lines.append(f"        case .{lower_name(api.name)}: {min(api.flexible) if api.flexible else 'nil'}")
    lines += ["        }", "    }", "", "    /// Kafka's own name.", "    var name: String {", "        switch self {"]
    lines += [f'        case .{lower_name(api.name)}: "{api.name}"' for api in apis]
    lines += ["        }", "    }", "}"]
    return "\n".join(lines) + "\n"


def recoding_file(apis: list[API]) -> str:
    lines = [HEAD + "internal import Bytes", "", "extension KafkaAPIKey {"]
    for side in ("request", "response"):
        lines.append(f"    /// Reads a {side} and writes what was understood.")
        lines.append(f"    func recode({side} input: RawSpan, version: Int16, to buffer: inout ByteBuffer) throws(ByteError) {{")
        lines.append("        switch self {")
        for api in apis:
            lines.append(f"        case .{lower_name(api.name)}: try buffer.recode({api.name}{side.capitalize()}.self, input, version)")
        lines += ["        }", "    }"]
        if side == "request":
            lines.append("")
    lines.append("}")
    return "\n".join(lines) + "\n"


def span(versions: frozenset[int]) -> str:
    return f"{min(versions)}...{max(versions)}"


def described(f: Field, depth: int) -> list[str]:
    """The field as a value of `KafkaField`, one line and, for a structure, one for each field inside."""
    kind = f".{f.type}" if f.type in SCALARS_NAMED else f".integer({INTEGERS[f.type]})" if f.type in INTEGERS else ".structure"
    parts = [f'"{f.name}"', kind, span(f.versions)]
    parts += ["isArray: true"] if f.is_array else []
    parts += [f"nullable: {span(f.nullable)}"] if f.nullable else []
    parts += [f"tag: {f.tag}"] if f.tag is not None else []
    text = ", ".join(parts)
    if not f.is_struct:
        return [INDENT * depth + f"KafkaField({text}),"]
    inside = listed(f.fields, depth + 2)
    return [INDENT * depth + "KafkaField(", INDENT * (depth + 1) + text + ",", INDENT * (depth + 1) + "fields: [", *inside, INDENT * (depth + 1) + "]),"]


def listed(fields: list[Field], depth: int) -> list[str]:
    lines = [line for f in fields for line in described(f, depth)]
    # The formatter wants no comma behind an element that is alone.
    return lines if len(fields) != 1 else [*lines[:-1], lines[-1].removesuffix(",")]


SCALARS_NAMED = {"bool", "float64", "uuid", "string", "bytes", "records"}


def fields_file(apis: list[API]) -> str:
    lines = [HEAD, "extension KafkaAPIKey {", "    /// What a request consists of, in the order of the wire.", "    var requestFields: [KafkaField] {"]
    lines.append("        switch self {")
    lines += [f"        case .{lower_name(api.name)}: Self.fieldsOf{api.name}()" for api in apis]
    lines += ["        }", "    }"]
    for api in apis:
        lines += ["", f"    private static func fieldsOf{api.name}() -> [KafkaField] {{"]
        inner = listed(api.request.fields, 3)
        lines += ["        [", *inner, "        ]"] if inner else ["        []"]
        lines.append("    }")
    lines.append("}")
    return "\n".join(lines) + "\n"


def generated_files(apis: list[API]) -> dict[str, str]:
    apis = sorted(apis, key=lambda api: api.key)
    files = {"KafkaAPIKey.swift": key_file(apis), "Recoding.swift": recoding_file(apis), "RequestFields.swift": fields_file(apis)}
    for api in apis:
        lines = Writer(api, api.request).text() + [""] + Writer(api, api.response).text()
        files[api.name + ".swift"] = HEAD + "internal import Bytes\n\n" + "\n".join(drop_unused_flexible(lines)) + "\n"
    return files
