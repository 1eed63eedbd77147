#ifndef NEEDLETAIL_H
#define NEEDLETAIL_H
#include <stddef.h>
#include <stdint.h>

#ifndef NT_API
#define NT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

// libneedletail: Needletail's native protocol for C, C++ and whatever calls C, over shared memory (the same-host lane) or a unix socket.
//
// One client is for one thread. Nothing here starts a thread or sleeps longer than it was told. Publishing and consuming allocate nothing;
// what an event points to stays valid until the next call with the same client.
//
//     nt_client *client = nt_connect("shm:/run/needletail.socket", error, sizeof error);
//     nt_topic(client, "trades", &topic);
//     nt_publish(client, topic, NT_ANY_PARTITION, key, 3, payload, 100, NT_GROUP, ticket);
//     while ((got = nt_poll(client, &event, 50000, 1000000000)) > 0) …

typedef struct nt_client nt_client;

/// Connects to `shm:PATH` or `unix:PATH`, PATH being the socket of a native listener. NULL on failure, with the reason in `error`.
NT_API nt_client *nt_connect(const char *address, char *error, size_t room);
/// Leaves. What was published and not acknowledged has an unknown outcome; what was consumed and not settled is delivered again.
NT_API void nt_close(nt_client *client);
/// Why the last call failed, or the connection ended; for people.
NT_API const char *nt_error(const nt_client *client);
/// The socket, for those who wait for several things at once. Over shared memory only its end is to be seen there.
NT_API int nt_descriptor(const nt_client *client);

/// Every call answers 0 or more when it went well, and one of these when not.
enum {
    NT_CLOSED = -1,   // the connection has ended: nt_error says why
    NT_REFUSED = -2,  // the broker refused this request: nt_error says why
    NT_FULL = -3,     // nothing could be sent for now: take events (nt_poll) and try again
    NT_INVALID = -4,  // arguments that cannot be meant
};

enum { NT_ANY_PARTITION = -1 };
/// What an acknowledgement promises (docs/durability.md). A topic may promise more than is asked for, never less.
enum { NT_NONE = 0, NT_INTERVAL = 1, NT_GROUP = 2, NT_EACH = 3 };

/// Makes a topic; NT_REFUSED when there is one of that name.
NT_API int nt_create_topic(nt_client *client, const char *name, int32_t partitions, int durability, uint32_t *topic);
/// Finds a topic's number.
NT_API int nt_topic(nt_client *client, const char *name, uint32_t *topic);

/// Publishes one message. Its acknowledgement comes as an event with `ticket`, which is the caller's and below 2^55; NULL keys and payloads
/// are null. NT_FULL when the broker does not keep up; NT_INVALID for a message
/// larger than the ring (1 MiB) takes.
NT_API int nt_publish(nt_client *client, uint32_t topic, int32_t partition, const void *key, size_t key_bytes, const void *payload, size_t payload_bytes,
               int durability, uint64_t ticket);

enum { NT_EARLIEST = -1, NT_LATEST = -2 };

/// Reads a topic as consumer `consumer`, a number of the caller's. Without a `name` it is a reader of its own from `from` on (an offset,
/// NT_EARLIEST, NT_LATEST), with nothing to settle. With one it competes with others of that name (a queue), and what it gets is to be settled.
/// `credit` messages may be on the way at a time; the library gives credit back as events are taken.
NT_API int nt_subscribe(nt_client *client, uint32_t consumer, const char *topic, const char *name, int64_t from, int32_t credit);
NT_API int nt_unsubscribe(nt_client *client, uint32_t consumer);

enum { NT_ACCEPT = 0, NT_REQUEUE = 1, NT_REJECT = 2, NT_RELEASE = 3 };
/// Says what became of the messages `first` to `last`.
NT_API int nt_settle(nt_client *client, uint32_t consumer, int32_t partition, int64_t first, int64_t last, int outcome);

/// NT_COMPRESSED: messages `offset` to `last` as the record batches that they were published in, in `payload`; they are not unpacked here.
enum { NT_MESSAGE = 1, NT_ACKNOWLEDGED = 2, NT_PUBLISH_REFUSED = 3, NT_CONSUMER_ENDED = 4, NT_SETTLE_FAILED = 5, NT_COMPRESSED = 6 };

typedef struct nt_event {
    int kind;
    uint32_t consumer;      // of messages, and of a consumer's end
    uint32_t topic;
    int32_t partition;
    int64_t offset;         // of the message, or the acknowledged one's
    int64_t last;           // of several messages at once
    int64_t timestamp;      // milliseconds since 1970
    int32_t attempt;        // 1 the first time
    int32_t is_redelivery;
    int32_t code;           // why something was refused: docs/formats/native-protocol.md
    int32_t durability;     // what an acknowledgement has reached
    uint64_t ticket;        // of an acknowledgement, or of a refused publish
    const void *key;        // NULL: null
    size_t key_bytes;
    const void *payload;
    size_t payload_bytes;
    const void *headers;    // as in the record: count times (varint length, name, varint length, value)
    size_t headers_bytes;
    int32_t header_count;
} nt_event;

/// The next event: 1, 0 when none came in time, or NT_CLOSED. Looks for it for `spin_ns`, then sleeps for at most `sleep_ns`.
NT_API int nt_poll(nt_client *client, nt_event *event, uint64_t spin_ns, uint64_t sleep_ns);

#ifdef __cplusplus
}
#endif
#endif
