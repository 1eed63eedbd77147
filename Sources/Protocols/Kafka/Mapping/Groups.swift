internal import BrokerCore
internal import Wire

// Groups of consumers: their members, as they come, stay and go, and as operators see them.
extension KafkaAPI {
    // MARK: Where

    /// A group spans topics of all shards; its state is where the catalog is.
    static func findCoordinator(_ request: FindCoordinatorRequest, _ call: KafkaCall) {
        let node = call.context.node(KafkaContext.coordinator)
        func find(_ key: String) -> FindCoordinatorResponse.Coordinator {
            guard request.keyType == 0 else {
                // What every client gives up at; at others librdkafka asks again until its time is over.
                let error: KafkaError = request.keyType == 1 ? .transactionalIDAuthorizationFailed : .invalidRequest
                let text = request.keyType == 1 ? "Transactions are not supported here." : "Only groups have coordinators here."
                return FindCoordinatorResponse.Coordinator(key: key, nodeID: -1, host: "", port: -1, errorCode: error.rawValue, errorMessage: text)
            }
            return FindCoordinatorResponse.Coordinator(key: key, nodeID: node.id, host: node.host, port: node.port, errorCode: 0, errorMessage: nil)
        }
        guard call.version >= 4 else {
            let found = find(request.key)
            return call.respond {
                FindCoordinatorResponse(
                    errorCode: found.errorCode, errorMessage: found.errorMessage, nodeID: found.nodeID, host: found.host, port: found.port)
            }
        }
        call.respond { FindCoordinatorResponse(coordinators: request.coordinatorKeys.map(find)) }
    }

    // MARK: Membership

    static func joinGroup(_ request: JoinGroupRequest, _ call: KafkaCall) {
        var response = JoinGroupResponse(protocolName: call.version >= 7 ? nil : "", memberID: request.memberID)
        call.respond { response }
        let join = JoinGroup(
            group: request.groupID, memberID: request.memberID, instanceID: request.groupInstanceID, clientID: call.clientID,
            clientHost: call.context.clientHost, sessionTimeoutMilliseconds: request.sessionTimeoutMs,
            rebalanceTimeoutMilliseconds: request.rebalanceTimeoutMs, protocolType: request.protocolType,
            protocols: request.protocols.map { GroupProtocol(name: $0.name, metadata: $0.metadata) }, requiresKnownMemberID: call.version >= 4,
            maySkipAssignment: call.version >= 9, reason: request.reason)
        call.ask(.group(.join(join))) { _, answer in
            switch answer {
            case .group(.joined(let joined)):
                response = JoinGroupResponse(
                    generationID: joined.generation, protocolType: joined.protocolType, protocolName: joined.protocolName, leader: joined.leader,
                    skipAssignment: joined.skipsAssignment, memberID: joined.memberID,
                    members: joined.members.map {
                        JoinGroupResponse.Member(memberID: $0.memberID, groupInstanceID: $0.instanceID, metadata: $0.metadata)
                    })
            case .group(.memberIDRequired(let id)):
                response.memberID = id
                response.errorCode = KafkaError.memberIDRequired.rawValue
            default: response.errorCode = KafkaError(groups: answer).rawValue
            }
        }
    }

    static func syncGroup(_ request: SyncGroupRequest, _ call: KafkaCall) {
        var response = SyncGroupResponse()
        call.respond { response }
        let sync = SyncGroup(
            member: GroupMember(
                group: request.groupID, generation: request.generationID, memberID: request.memberID, instanceID: request.groupInstanceID),
            protocolType: request.protocolType, protocolName: request.protocolName,
            assignments: request.assignments.map { GroupAssignment(memberID: $0.memberID, assignment: $0.assignment) })
        call.ask(.group(.sync(sync))) { _, answer in
            if case .group(.synced(let synced)) = answer {
                response = SyncGroupResponse(protocolType: synced.protocolType, protocolName: synced.protocolName, assignment: synced.assignment)
            } else {
                response.errorCode = KafkaError(groups: answer).rawValue
            }
        }
    }

    static func heartbeat(_ request: HeartbeatRequest, _ call: KafkaCall) {
        var response = HeartbeatResponse()
        call.respond { response }
        let member = GroupMember(group: request.groupID, generation: request.generationID, memberID: request.memberID, instanceID: request.groupInstanceID)
        call.ask(.group(.heartbeat(member))) { _, answer in
            if case .done = answer { return }
            response.errorCode = KafkaError(groups: answer).rawValue
        }
    }

    /// Up to version 2 a member leaves by itself; later several may be sent away, each with an outcome of its own.
    static func leaveGroup(_ request: LeaveGroupRequest, _ call: KafkaCall) {
        var response = LeaveGroupResponse()
        call.respond { response }
        let leaving =
            call.version < 3
            ? [LeavingMember(memberID: request.memberID, instanceID: nil, reason: nil)]
            : request.members.map { LeavingMember(memberID: $0.memberID, instanceID: $0.groupInstanceID, reason: $0.reason) }
        call.ask(.group(.leave(group: request.groupID, leaving))) { call, answer in
            guard case .group(.left(let left)) = answer else {
                response.errorCode = KafkaError(groups: answer).rawValue
                return
            }
            guard call.version >= 3 else {
                response.errorCode = KafkaError(groups: left.first?.error).rawValue
                return
            }
            response.members = left.map {
                LeaveGroupResponse.Member(memberID: $0.memberID, groupInstanceID: $0.instanceID, errorCode: KafkaError(groups: $0.error).rawValue)
            }
        }
    }

    // MARK: Operating

    static func describeGroups(_ request: DescribeGroupsRequest, _ call: KafkaCall) {
        var response = DescribeGroupsResponse()
        call.respond { response }
        call.ask(.group(.describe(request.groups))) { call, answer in
            guard case .group(.groups(let described)) = answer else {
                let error = KafkaError(groups: answer)
                response.groups = request.groups.map { DescribeGroupsResponse.Group(errorCode: error.rawValue, groupID: $0) }
                return
            }
            response.groups = described.map { DescribeGroupsResponse.Group($0, version: call.version) }
            guard request.includeAuthorizedOperations, call.version >= 3 else { return }
            for index in response.groups.indices { response.groups[index].authorizedOperations = KafkaContext.groupOperations }
        }
    }

    /// A filter that names no state or kind that there is selects nothing.
    static func listGroups(_ request: ListGroupsRequest, _ call: KafkaCall) {
        var response = ListGroupsResponse()
        call.respond { response }
        let states = request.statesFilter.isEmpty ? nil : request.statesFilter.compactMap { name in GroupState.allCases.first { $0.isKafka(name) } }
        let kinds = request.typesFilter.isEmpty ? nil : request.typesFilter.compactMap { name in GroupKind.allCases.first { $0.isKafka(name) } }
        call.ask(.group(.list(states: states, kinds: kinds))) { _, answer in
            guard case .group(.listed(let listed)) = answer else {
                response.errorCode = KafkaError(groups: answer).rawValue
                return
            }
            response.groups = listed.map {
                ListGroupsResponse.Group(groupID: $0.name, protocolType: $0.protocolType, groupState: $0.state.kafkaName, groupType: $0.kind.kafkaName)
            }
        }
    }

    static func deleteGroups(_ request: DeleteGroupsRequest, _ call: KafkaCall) {
        var response = DeleteGroupsResponse()
        call.respond { response }
        call.ask(.group(.delete(request.groupsNames))) { _, answer in
            guard case .group(.deleted(let deleted)) = answer else {
                let error = KafkaError(groups: answer)
                response.results = request.groupsNames.map { DeleteGroupsResponse.Group(groupID: $0, errorCode: error.rawValue) }
                return
            }
            response.results = deleted.map { DeleteGroupsResponse.Group(groupID: $0.name, errorCode: KafkaError(groups: $0.error).rawValue) }
        }
    }
}

extension KafkaContext {
    /// Which of the nodes has the groups.
    static let coordinator: Int32 = 0
    /// Everybody may read, delete and describe: there are no users yet. Bits by Kafka's numbers of operations.
    static let groupOperations: Int32 = 1 << 3 | 1 << 6 | 1 << 8

    /// Where a client is, as Kafka's tools show it: a slash and the address without the port.
    var clientHost: String {
        guard let colon = peer.address.lastIndex(of: ":") else { return "/" + peer.address }
        var host = peer.address[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        return "/" + host
    }
}

extension DescribeGroupsResponse.Group {
    /// Up to version 5 a group that is not there is dead, and that is no error.
    fileprivate init(_ group: GroupDescription, version: Int16) {
        self.init(
            groupID: group.name, groupState: group.state.kafkaName, protocolType: group.protocolType, protocolData: group.protocolName,
            members: group.members.map {
                DescribeGroupsResponse.Member(
                    memberID: $0.memberID, groupInstanceID: $0.instanceID, clientID: $0.clientID, clientHost: $0.clientHost, memberMetadata: $0.metadata,
                    memberAssignment: $0.assignment)
            })
        guard let error = group.error, error != .groupNotFound || version >= 6 else { return }
        errorCode = KafkaError(groups: error).rawValue
        if error == .groupNotFound { errorMessage = "Group \(group.name) not found." }
    }
}

extension GroupState {
    fileprivate var kafkaName: String {
        switch self {
        case .empty: "Empty"
        case .preparingRebalance: "PreparingRebalance"
        case .completingRebalance: "CompletingRebalance"
        case .stable: "Stable"
        case .dead: "Dead"
        }
    }

    fileprivate func isKafka(_ name: String) -> Bool { kafkaName.lowercased() == name.lowercased() }
}

extension GroupKind {
    fileprivate var kafkaName: String {
        switch self {
        case .classic: "classic"
        }
    }

    fileprivate func isKafka(_ name: String) -> Bool { kafkaName == name.lowercased() }
}

extension KafkaError {
    /// What became of one thing of a group.
    init(groups code: BrokerError.Code?) {
        self =
            switch code {
            case nil: .none
            case .unknownMember?: .unknownMemberID
            case .illegalGeneration?: .illegalGeneration
            case .rebalanceInProgress?: .rebalanceInProgress
            case .fencedInstance?: .fencedInstanceID
            case .inconsistentProtocol?: .inconsistentGroupProtocol
            case .invalidSessionTimeout?: .invalidSessionTimeout
            case .groupNotEmpty?: .nonEmptyGroup
            case .groupNotFound?: .groupIDNotFound
            case .groupSubscribedToTopic?: .groupSubscribedToTopic
            case .groupFull?: .groupMaxSizeReached
            case .offsetMetadataTooLarge?: .offsetMetadataTooLarge
            case .invalidName?: .invalidGroupID
            // Clients look for the coordinator again, and come back.
            case .storageFailed?, .shuttingDown?: .coordinatorNotAvailable
            case let code?: KafkaError(BrokerError(code, ""))
            }
    }

    /// A request about groups was answered with something else than it should be.
    init(groups answer: Response) {
        if case .failed(let error) = answer { self.init(groups: error.code) } else { self = .unknownServerError }
    }
}
