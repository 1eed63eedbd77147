/// Every command of the program. Adding one is a file in Commands/ and a line here.
extension CommandList {
    static let needletail: CommandList = CommandList(
        program: "needletail",
        summary: "a message broker: logs, queues and pub/sub in one engine",
        version: Program.version,
        groups: [
            Group(name: "topic", summary: "Topics: logs that keep their messages, for any number of readers."),
            Group(name: "queue", summary: "Queues: each message goes to one worker, until it is settled."),
            Group(name: "exchange", summary: "Exchanges: choose by routing key which topics and queues get a message."),
            Group(name: "subscription", summary: "Subscriptions: who reads a topic, and how far each has come."),
            Group(name: "log", summary: "Logs on disk: look into segment files and check them."),
            Group(name: "config", summary: "Check a configuration, or show the one in force."),
            Group(name: "bench", summary: "Measure a broker: throughput, latency, processor time."),
        ],
        commands: [
            .serve, .doctor,
            .produce, .consume,
            .topicCreate, .topicList, .topicDescribe, .topicAlter, .topicDelete,
            .queueCreate, .queueList, .queueSend, .queueReceive, .queuePeek, .queuePurge, .queueRedrive, .queueDelete,
            .exchangeCreate, .exchangeList, .exchangeBind, .exchangeUnbind, .exchangeDelete,
            .subscriptionList, .subscriptionDelete, .subscriptionSeek,
            .stats, .trace,
            .logDump, .logVerify,
            .configCheck, .configPrint,
            .benchIngest, .benchStream, .benchLatency, .benchFanout, .benchQueue, .benchCatchup,
            .completion,
        ])
}
