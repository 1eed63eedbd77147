// What the load program (load.c) asks of a client library; redis.c, nats.c, rabbit.c and mosquitto.c answer it, each for its broker.
#pragma once
#include <stdatomic.h>

#include "../kafka/measure.h"

enum { BATCH = 500, MAX_CONSUMERS = 16, WAIT_MS = 50 };

typedef struct {
    const char *workload;  // ingest, through, latency, queue or catchup
    const char *mode;      // what the client makes of it: streams or pubsub, classic, quorum or stream, …
    const char *name;      // of the topic, stream or queue; new in every run
    int port;
    uint64_t size, seconds, rate, consumers, bytes, window, most;
    long pid;
    bool is_latency, is_queue;
} options;

extern options o;

typedef struct {
    int number;
    void *link;  // the client's
    verifier seen;
    histogram latency;
    _Atomic uint64_t count, last;  // what others may read while we work: messages, and when the last came
} consumer;

// A message has arrived, at `now`.
void take(consumer *c, const void *payload, uint64_t size, uint64_t now);
// Something was refused or broken: counted, and the exit code is 1.
void fail(const char *what, const char *why);
_Noreturn void die(const char *what, const char *why);

// A count that one thread raises and another waits for.
typedef struct {
    _Atomic uint32_t turns, waiting;
} bell;
void ring(bell *b);
// Until `ring` after `turns` was read, or until time is up.
void await_bell(bell *b, uint32_t turns, int wait_ms);

static inline bool is_mode(const char *name) { return strcmp(o.mode, name) == 0; }

// MARK: What a client answers

const char *client_version(void);
// Whether `client_turn` tells of acknowledgements by the broker.
bool client_acknowledges(void);
// Creates what the run needs, and takes it away again.
void client_prepare(void);
void client_remove(void);
// How many messages the broker says it holds; negative: it does not say.
int64_t client_stored(void);
// How many messages of the queue nobody has settled, once its consumers are gone; negative: it does not say.
int64_t client_unsettled(void);

void *client_publisher(void);
// One message of o.size bytes, which is copied or sent; it may wait in a buffer until the next turn.
void client_publish(void *publisher, const uint8_t *payload);
// Sends what waits, takes the acknowledgements that are there (or waits so long for the first) and answers how many came.
uint64_t client_turn(void *publisher, int wait_ms);

// A connection of its own, which reads from the beginning of what was stored; sets up everything before it returns.
void *client_subscriber(consumer *c);
// Waits so long for messages, hands them to `take`, and settles them where the workload is a queue.
void client_receive(void *subscriber, int wait_ms);
void client_unsubscribe(void *subscriber);
