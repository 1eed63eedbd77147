// swift-tools-version: 6.2
import PackageDescription

// One settings list for every Swift target: strict memory safety is an error, imports are internal unless said otherwise.
let settings: [SwiftSetting] = [
    .strictMemorySafety(),
    .treatWarning("StrictMemorySafety", as: .error),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableExperimentalFeature("Lifetimes"),
]

let ground: [Target.Dependency] = ["Bytes", "Containers", "ConfigFile", "Observability", "Mutants"]

/// One folder under Sources/Protocols each; adding a protocol is one word here.
let protocols = ["Native", "Kafka"]
/// What a protocol needs beyond the seam.
let protocolExtras: [String: [Target.Dependency]] = ["Native": ["NativeCodec"]]

func module(_ name: String, _ dependencies: [Target.Dependency] = [], path: String? = nil, links: [String] = []) -> Target {
    .target(
        name: name, dependencies: dependencies, path: path, exclude: ["README.md"], swiftSettings: settings,
        linkerSettings: links.map { .linkedLibrary($0) })
}

func shim(_ name: String, links: [String] = []) -> Target {
    .target(
        name: name, exclude: ["README.md"], cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-Werror"])],
        linkerSettings: links.map { .linkedLibrary($0) })
}

func tests(_ module: String, _ more: [Target.Dependency] = []) -> Target {
    .testTarget(name: module + "Tests", dependencies: [.byName(name: module)] + more, swiftSettings: settings)
}

let package = Package(
    name: "needletail",
    products: [
        .executable(name: "needletail", targets: ["needletail"]),
        .library(name: "NeedletailClient", targets: ["NeedletailClient"]),
    ],
    targets: [
        // ground
        shim("CChecksum"),
        module("Bytes", ["CChecksum"]),
        module("Containers"),
        .target(name: "Mutants", exclude: ["README.md"], swiftSettings: settings + [.define("MUTANTS", .when(configuration: .debug))]),
        shim("CYAML", links: [":libyaml.a"]),
        module("ConfigFile", ["CYAML"]),
        module("Observability", ["Containers"]),
        shim("CCompression", links: [":libz.a", ":libzstd.a", ":liblz4.a", ":libsnappy.a", "stdc++"]),
        module("Compression", ["CCompression", "Bytes"]),

        // broker
        module("SegmentLog", ["Compression"] + ground),
        module("Routing", ground),
        module("BrokerCore", ["SegmentLog", "Routing"] + ground),

        // seam and protocols
        module("Wire", ["BrokerCore", "SegmentLog"] + ground),
        module("NativeCodec", ["Bytes", "Mutants"]),

        // machine
        shim("CUring", links: [":liburing.a"]),
        shim("CLinux"),
        shim("CLane"),
        module("LinuxSystem", ["CLinux", "CLane", "Bytes"]),
        module("RingBuffers"),
        module("IOUring", ["CUring", "LinuxSystem", "Bytes"]),
        module(
            "ShardRuntime",
            ["Wire", "BrokerCore", "SegmentLog", "Routing", "IOUring", "LinuxSystem", "RingBuffers"] + ground),
        module("Simulation", ["ShardRuntime", "Wire", "BrokerCore", "SegmentLog"] + ground),

        // client and executable
        module("NeedletailClient", ["NativeCodec", "Compression", "Bytes", "LinuxSystem"]),
        .executableTarget(
            name: "needletail",
            dependencies: protocols.map { .byName(name: $0 + "Protocol") } + [
                "ShardRuntime", "Wire", "BrokerCore", "SegmentLog", "Compression", "Routing", "NeedletailClient", "NativeCodec", "LinuxSystem", "IOUring",
            ] + ground,
            exclude: ["README.md"], swiftSettings: settings),

        .executableTarget(
            name: "orders", dependencies: ["NeedletailClient"], path: "docs/examples/orders", exclude: ["README.md"], swiftSettings: settings),
        module(
            "ShardWorkload",
            ["Simulation", "ShardRuntime", "Wire", "NativeProtocol", "KafkaProtocol", "NativeCodec", "BrokerCore", "SegmentLog"] + ground,
            path: "tools/workload"),
        .executableTarget(name: "simulate", dependencies: ["Simulation", "ShardWorkload", "Mutants"], path: "tools/simulate", swiftSettings: settings),

        tests("Bytes"),
        tests("ConfigFile"),
        tests("Simulation", ["ShardWorkload", "ShardRuntime", "Wire", "Observability", "ConfigFile", "BrokerCore", "SegmentLog", "Bytes", "Mutants"]),
        tests("Mutants"),
        tests("Observability"),
        tests("Containers"),
        tests("Compression", ["Bytes"]),
        tests("BrokerCore", ["SegmentLog", "Compression", "Containers", "Bytes"]),
        tests("Routing", ["Bytes"]),
        tests("NativeCodec", ["Bytes"]),
        tests("SegmentLog", ["Bytes", "Compression"]),
        tests("LinuxSystem"),
        tests("RingBuffers", ["LinuxSystem"]),
        tests("IOUring", ["LinuxSystem", "Bytes"]),
        tests(
            "ShardRuntime",
            ["ConfigFile", "NeedletailClient", "NativeProtocol", "Wire", "BrokerCore", "Observability", "LinuxSystem", "SegmentLog", "Bytes"]),
        tests("NativeProtocol", ["NativeCodec", "Wire", "BrokerCore", "SegmentLog", "Bytes"]),
        tests("KafkaProtocol", ["Wire", "BrokerCore", "SegmentLog", "Bytes", "LinuxSystem"]),
        tests("needletail", ["NeedletailClient", "LinuxSystem", "NativeCodec", "Observability", "SegmentLog", "Bytes"]),
        tests("NeedletailClient", ["NativeCodec", "Compression", "SegmentLog", "Bytes", "LinuxSystem"]),
    ]
        + protocols.map {
            module($0 + "Protocol", ["Wire", "BrokerCore", "SegmentLog"] + ground + (protocolExtras[$0] ?? []), path: "Sources/Protocols/" + $0)
        }
)

// Under libFuzzer (tools/fuzz) the executable is a library without its main.swift, and the fuzzer stands above it.
if Context.environment["NEEDLETAIL_FUZZ"] != nil {
    package.products = []
    let dependencies = package.targets.first { $0.name == "needletail" }?.dependencies ?? []
    package.targets.removeAll { $0.isTest || ["needletail", "orders", "simulate"].contains($0.name) }
    package.targets += [
        .target(name: "needletail", dependencies: dependencies, exclude: ["README.md", "main.swift"], swiftSettings: settings),
        .target(name: "CFuzzWatch", path: "tools/fuzzer/watch"),
        .executableTarget(
            name: "fuzz", dependencies: ["needletail", "CFuzzWatch", "Bytes"], path: "tools/fuzzer", exclude: ["corpora", "watch", "README.md", "record.py"],
            swiftSettings: settings,
            linkerSettings: ["cmp", "const_cmp"].flatMap { kind in
                [1, 2, 4, 8].map { .unsafeFlags(["-Xlinker", "--wrap=__sanitizer_cov_trace_\(kind)\($0)"]) }
            }),
    ]
}

// The micro-benchmarks (Benchmarks/micro) use what only this package sees, so they are targets of it; as they need Google Benchmark they
// are there only where they are asked for.
if Context.environment["NEEDLETAIL_MICRO"] != nil {
    package.targets += [
        .target(name: "CGoogleBenchmark", path: "Benchmarks/micro/shim", linkerSettings: [.linkedLibrary("benchmark")]),
        .executableTarget(
            name: "micro",
            dependencies: [
                "CGoogleBenchmark", "NativeProtocol", "KafkaProtocol", "NativeCodec", "Wire", "BrokerCore", "Routing", "SegmentLog", "RingBuffers",
                "LinuxSystem",
            ] + ground,
            path: "Benchmarks/micro/rows", swiftSettings: settings),
    ]
}
