internal import BrokerCore
internal import Bytes
internal import Wire

// Settings, read and changed.
extension KafkaAPI {
    /// Kafka's `ConfigResource` types.
    private enum Resource {
        static let topic: Int8 = 2
        static let broker: Int8 = 4
        static let brokerLogger: Int8 = 8
        static let clientMetrics: Int8 = 16
    }

    /// What has settings: topics and this broker. In version 0 only subscriptions to clients' metrics are asked for, of which there are none.
    static func listConfigResources(_ request: ListConfigResourcesRequest, _ call: KafkaCall) {
        var response = ListConfigResourcesResponse()
        call.respond { response }
        let wanted = call.version == 0 ? [Resource.clientMetrics] : request.resourceTypes
        func isWanted(_ type: Int8) -> Bool { wanted.isEmpty || wanted.contains(type) }
        for type in [Resource.broker, Resource.brokerLogger] where isWanted(type) {
            response.configResources.append(
                ListConfigResourcesResponse.Resource(resourceName: String(call.context.peer.server.node), resourceType: type))
        }
        guard isWanted(Resource.topic) else { return }
        call.list { _, topics in
            response.configResources += topics.map { ListConfigResourcesResponse.Resource(resourceName: $0.name, resourceType: Resource.topic) }
        }
    }

    /// More resources than these in one request are refused: their answers are large, and nothing is lost by asking again.
    static let resourcesPerRequest = 4_096

    static func describeConfigs(_ request: DescribeConfigsRequest, _ call: KafkaCall) {
        // Settings take many times the memory of what they are read from: each resource's are made when they are written.
        var found: [Result<() -> [ConfigDescription], KafkaRefusal>] = []
        let context = call.context
        let version = call.version
        call.respond(writing: { output in
            let flexible = version >= 4
            output.bytes.append(big: 0 as Int32)
            output.bytes.append(arrayCount: found.count, compact: flexible)
            for (resource, found) in zip(request.resources, found) {
                DescribeConfigsResponse.Resource(resource, found, request).encode(to: &output.bytes, version: version)
            }
            if flexible { output.bytes.appendNoTaggedFields() }
            return 0
        })
        for (index, resource) in request.resources.enumerated() {
            found.append(.success { [] })
            let names = resource.configurationKeys
            switch resource.resourceType {
            case _ where index >= resourcesPerRequest: found[index] = .failure(.tooMany)
            case Resource.topic:
                call.describe(resource.resourceName) { _, answer in
                    found[index] = answer.map { topic in { TopicConfigs.describe(topic.options, context.peer.server.topics, names: names) } }
                }
            // The empty name stands for what was changed for all brokers at once, which is nothing.
            case Resource.broker where resource.resourceName.isEmpty: break
            case Resource.broker, Resource.brokerLogger:
                if let fault = fault(inBroker: resource.resourceName, context) {
                    found[index] = .failure(fault)
                } else if resource.resourceType == Resource.broker {
                    found[index] = .success { BrokerConfigs.describe(context, names: names) }
                }
            default: found[index] = .failure(.unsupportedResource)
            }
        }
    }

    private static func fault(inBroker name: String, _ context: KafkaContext) -> KafkaRefusal? {
        if let id = Int32(name), id == context.peer.server.node { return nil }
        return KafkaRefusal(
            .invalidRequest, "Unexpected broker id, expected \(context.peer.server.node) or empty string, but received \(name.prefix(64))")
    }

    /// The whole set: what is not named goes back to its default.
    static func alterConfigs(_ request: AlterConfigsRequest, _ call: KafkaCall) {
        var response = AlterConfigsResponse()
        call.respond { response }
        for (index, resource) in request.resources.enumerated() {
            response.responses.append(
                AlterConfigsResponse.Resource(errorMessage: nil, resourceType: resource.resourceType, resourceName: resource.resourceName))
            let defaults = call.context.peer.server.topics
            alter(resource.resourceType, resource.resourceName, isWithin: index < resourcesPerRequest, request.validateOnly, call) {
                (options) throws(ConfigRefusal) in
                try TopicConfigs.replace(resource.configs.map { ($0.name, $0.value) }, in: options, defaults)
            } refuse: {
                response.responses[index].errorCode = $0.error.rawValue
                response.responses[index].errorMessage = $0.text
            }
        }
    }

    static func incrementalAlterConfigs(_ request: IncrementalAlterConfigsRequest, _ call: KafkaCall) {
        var response = IncrementalAlterConfigsResponse()
        call.respond { response }
        for (index, resource) in request.resources.enumerated() {
            response.responses.append(
                IncrementalAlterConfigsResponse.Resource(
                    errorMessage: nil, resourceType: resource.resourceType, resourceName: resource.resourceName))
            let defaults = call.context.peer.server.topics
            alter(resource.resourceType, resource.resourceName, isWithin: index < resourcesPerRequest, request.validateOnly, call) {
                (options) throws(ConfigRefusal) in
                var alterations: [ConfigAlteration] = []
                for config in resource.configs {
                    guard let operation = ConfigAlteration.Operation(rawValue: config.configOperation) else {
                        throw ConfigRefusal("there is no operation \(config.configOperation)")
                    }
                    alterations.append(ConfigAlteration(name: config.name, operation: operation, value: config.value))
                }
                return try TopicConfigs.alter(alterations, in: options, defaults)
            } refuse: {
                response.responses[index].errorCode = $0.error.rawValue
                response.responses[index].errorMessage = $0.text
            }
        }
    }

    /// Reads what the topic has, and changes what becomes different. Others may have changed the rest in between.
    private static func alter(
        _ type: Int8, _ name: String, isWithin: Bool, _ validateOnly: Bool, _ call: KafkaCall,
        change: @escaping (TopicOptions) throws(ConfigRefusal) -> TopicOptions, refuse: @escaping (KafkaRefusal) -> Void
    ) {
        switch type {
        case _ where !isWithin: refuse(.tooMany)
        case Resource.topic:
            call.describe(name) { call, found in
                switch found {
                case .failure(let refusal): refuse(refusal)
                case .success(let topic):
                    let changed: TopicOptions
                    do throws(ConfigRefusal) { changed = try change(topic.options) } catch { return refuse(KafkaRefusal(.invalidConfig, error.text)) }
                    guard !validateOnly, changed != topic.options else { return }
                    call.ask(.alterTopic(name: name, TopicChange(from: topic.options, to: changed))) { _, answer in
                        if case .failed(let error) = answer { refuse(KafkaRefusal(changing: error)) }
                    }
                }
            }
        case Resource.broker, Resource.brokerLogger:
            refuse(KafkaRefusal(.invalidRequest, "The broker's configuration is its own file, which clients do not change (needletail config)."))
        default: refuse(.unsupportedResource)
        }
    }
}

extension DescribeConfigsResponse.Resource {
    fileprivate init(
        _ resource: DescribeConfigsRequest.Resource, _ found: Result<() -> [ConfigDescription], KafkaRefusal>, _ request: DescribeConfigsRequest
    ) {
        self.init(errorMessage: nil, resourceType: resource.resourceType, resourceName: resource.resourceName)
        switch found {
        case .success(let describe):
            configs = describe().map {
                DescribeConfigsResponse.Config($0, synonyms: request.includeSynonyms, documentation: request.includeDocumentation)
            }
        case .failure(let refusal):
            errorCode = refusal.error.rawValue
            errorMessage = refusal.text
        }
    }
}

extension DescribeConfigsResponse.Config {
    fileprivate init(_ config: ConfigDescription, synonyms: Bool, documentation: Bool) {
        self.init(
            name: config.name, value: config.value, readOnly: config.isReadOnly, isDefault: config.source != .topic,
            configSource: config.source.rawValue,
            synonyms: synonyms
                ? config.synonyms.map { DescribeConfigsResponse.Synonym(name: $0.name, value: $0.value, source: $0.source.rawValue) } : [],
            configType: config.kind, documentation: documentation ? config.words : nil)
    }
}
