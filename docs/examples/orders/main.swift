// An order-processing system in one file; see README.md beside it.

import NeedletailClient

let address = CommandLine.arguments.dropFirst().first ?? Client.defaultAddress
let client = try await Client.connect(to: address)

// Topology. Everything may exist already, from an earlier run.
func ensure(_ create: () async throws(ClientError) -> Void) async throws(ClientError) {
    do {
        try await create()
    } catch .refused(let refusal) where refusal.code == .alreadyExists {}
}

try await ensure { () async throws(ClientError) in try await client.createTopic("orders.dead", .queue()) }
for queue in ["orders.payment", "orders.stock", "orders.notify"] {
    try await ensure { () async throws(ClientError) in
        try await client.createTopic(queue, .queue(lease: .seconds(30), deliveryLimit: 3, deadLetterTopic: "orders.dead"))
    }
}
try await ensure { () async throws(ClientError) in try await client.createTopic("orders.history") }
try await ensure { () async throws(ClientError) in try await client.createExchange("orders", .topic) }
for (queue, pattern) in [
    ("orders.payment", "order.placed"), ("orders.stock", "order.placed"), ("orders.notify", "order.*"), ("orders.history", "#"),
] {
    try await client.bind(Binding(from: "orders", to: .topic(queue), matching: pattern))
}

// Publish.
let customers = ["ada", "grace", "mallory"]
let producer = try await client.producer(exchange: "orders")
for customer in customers {
    let receipt = try await producer.send("one teapot for \(customer)", key: customer, routingKey: "order.placed")
    print("order of \(customer): stored in \(receipt.logs) logs, durability \(receipt.durability)")
}

// Work. Each queue has its own worker; the payment of one customer never goes through.
func work(_ queueName: String, _ perform: (Message) -> Bool) async throws {
    let queue = try await client.queue(queueName)
    while true {
        let messages = try await queue.receive(max: 10, wait: .milliseconds(500))
        if messages.isEmpty { break }
        for message in messages {
            if perform(message) {
                print("\(queueName): done: \(message.text)")
                try await queue.accept(message, .durable)
            } else {
                print("\(queueName): attempt \(message.attempt) failed: \(message.text)")
                try await queue.requeue(message, .durable)
            }
        }
    }
    await queue.close()
}

try await work("orders.payment") { !$0.text.hasSuffix("mallory") }
try await work("orders.stock") { _ in true }
try await work("orders.notify") { _ in true }

// What nobody could do.
let dead = try await client.queue("orders.dead")
for message in try await dead.receive(max: 10, wait: .seconds(2)) {
    print("dead letter: \(message.text)")
    for header in message.headers { print("    \(header.name): \(String(decoding: header.value ?? [], as: UTF8.self))") }
    try await dead.accept(message, .durable)
}
await dead.close()

// Analytics comes late and reads everything from the beginning.
let end = try await client.topic("orders.history").partitions[0].end
var seen = 0
for try await message in try await client.consumer(topic: "orders.history", from: .earliest) {
    seen += 1
    if message.offset >= end - 1 { break }
}
print("analytics: \(seen) orders since the beginning")
await client.close()
