// NATS through libnats. Modes: core (which keeps and acknowledges nothing) and jetstream (file storage): publishes with a reply inbox,
// whose acknowledgements are counted; an ordered push consumer for each reader, a deliver group with explicit acknowledgements for a queue.
#include <nats/nats.h>

#include "client.h"

enum { IN_HAND = 20000 };

const char *client_version(void) {
    static char text[48];
    snprintf(text, sizeof text, "libnats %s", nats_GetVersion());
    return text;
}

bool client_acknowledges(void) { return is_mode("jetstream"); }

static void must(natsStatus status, const char *what) {
    if (status == NATS_OK) return;
    nats_PrintLastErrorStack(stderr);
    die(what, natsStatus_GetText(status));
}

static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus err, void *closure) {
    (void)nc, (void)sub, (void)closure;
    // A busy server's heartbeat is late; an ordered consumer sees to it, and what it lost would be counted.
    if (err != NATS_MISSED_HEARTBEAT) fail("asynchronous error", natsStatus_GetText(err));
}

static natsConnection *open_connection(void) {
    char url[64];
    natsOptions *options;
    natsConnection *nc;
    snprintf(url, sizeof url, "nats://127.0.0.1:%d", o.port);
    must(natsOptions_Create(&options), "options");
    must(natsOptions_SetURL(options, url), "options");
    must(natsOptions_SetAllowReconnect(options, false), "options");
    // The library multiplies it by 1,024 in 32 bits.
    must(natsOptions_SetMaxPendingMsgs(options, 2000000), "options");
    must(natsOptions_SetIOBufSize(options, 256 << 10), "options");
    must(natsOptions_SetErrorHandler(options, on_error, NULL), "options");
    // Each message at once, where its way is what counts; else the library gathers what comes while it writes.
    must(natsOptions_SetSendAsap(options, o.is_latency), "options");
    must(natsConnection_Connect(&nc, options), "connect");
    natsOptions_Destroy(options);
    return nc;
}

static natsConnection *admin;
static jsCtx *admin_stream;

void client_prepare(void) {
    admin = open_connection();
    if (is_mode("core")) return;
    must(natsConnection_JetStream(&admin_stream, admin, NULL), "jetstream");
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    config.Name = o.name;
    config.Subjects = (const char *[]){o.name};
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    must(js_AddStream(NULL, admin_stream, &config, NULL, NULL), "stream");
    if (!o.is_queue) return;
    jsConsumerConfig group;
    jsConsumerConfig_Init(&group);
    group.Durable = "load";
    group.DeliverSubject = "load.deliver";
    group.DeliverGroup = "load";
    group.AckPolicy = js_AckExplicit;
    group.MaxAckPending = IN_HAND;
    must(js_AddConsumer(NULL, admin_stream, o.name, &group, NULL, NULL), "consumer");
}

void client_remove(void) {
    if (admin_stream) must(js_DeleteStream(admin_stream, o.name, NULL, NULL), "delete the stream");
}

int64_t client_stored(void) {
    jsStreamInfo *found;
    must(js_GetStreamInfo(&found, admin_stream, o.name, NULL, NULL), "stream info");
    return (int64_t)found->State.Msgs;
}

int64_t client_unsettled(void) {
    if (is_mode("core")) return -1;
    jsConsumerInfo *found;
    must(js_GetConsumerInfo(&found, admin_stream, o.name, "load", NULL, NULL), "consumer info");
    int64_t count = (int64_t)found->NumAckPending + (int64_t)found->NumPending;
    jsConsumerInfo_Destroy(found);
    return count;
}

// MARK: Publishing

typedef struct {
    natsConnection *nc;
    natsInbox *inbox;
    _Atomic uint64_t acknowledged;
    uint64_t counted;
    bell answered;
} publisher;

static void on_acknowledgement(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure) {
    (void)nc, (void)sub;
    publisher *p = closure;
    const char *text = natsMsg_GetData(msg);
    if (natsMsg_GetDataLength(msg) == 0 || strstr(text, "\"error\"")) fail("publish", natsMsg_GetDataLength(msg) ? text : "nobody answers");
    natsMsg_Destroy(msg);
    atomic_fetch_add(&p->acknowledged, 1);
    ring(&p->answered);
}

void *client_publisher(void) {
    publisher *p = calloc(1, sizeof *p);
    natsSubscription *sub;
    p->nc = open_connection();
    if (is_mode("core")) return p;
    must(natsInbox_Create(&p->inbox), "inbox");
    must(natsConnection_Subscribe(&sub, p->nc, p->inbox, on_acknowledgement, p), "inbox");
    must(natsSubscription_SetPendingLimits(sub, -1, -1), "inbox");
    must(natsConnection_Flush(p->nc), "inbox");
    return p;
}

void client_publish(void *publisher_, const uint8_t *payload) {
    publisher *p = publisher_;
    natsStatus status = p->inbox ? natsConnection_PublishRequest(p->nc, o.name, p->inbox, payload, (int)o.size)
                                 : natsConnection_Publish(p->nc, o.name, payload, (int)o.size);
    must(status, "publish");
}

// The library's own thread writes.
uint64_t client_turn(void *publisher_, int wait_ms) {
    publisher *p = publisher_;
    uint32_t turns = atomic_load(&p->answered.turns);
    if (wait_ms && atomic_load(&p->acknowledged) == p->counted) await_bell(&p->answered, turns, wait_ms);
    uint64_t count = atomic_load(&p->acknowledged) - p->counted;
    p->counted += count;
    return count;
}

// MARK: Consuming

typedef struct {
    natsConnection *nc;
    natsSubscription *sub;
} subscriber;

static void on_message(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure) {
    (void)nc, (void)sub;
    take(closure, natsMsg_GetData(msg), (uint64_t)natsMsg_GetDataLength(msg), now_ns());
    if (o.is_queue && is_mode("jetstream") && natsMsg_Ack(msg, NULL) != NATS_OK) fail("consume", "no acknowledgement");
    natsMsg_Destroy(msg);
}

void *client_subscriber(consumer *c) {
    subscriber *s = calloc(1, sizeof *s);
    s->nc = open_connection();
    if (is_mode("core")) {
        must(o.is_queue ? natsConnection_QueueSubscribe(&s->sub, s->nc, o.name, "load", on_message, c)
                        : natsConnection_Subscribe(&s->sub, s->nc, o.name, on_message, c), "subscribe");
    } else {
        jsCtx *js;
        jsErrCode code = 0;
        jsSubOptions options;
        must(natsConnection_JetStream(&js, s->nc, NULL), "jetstream");
        jsSubOptions_Init(&options);
        options.Stream = o.name;
        options.Ordered = !o.is_queue;
        if (o.is_queue) {
            options.Consumer = "load";
            options.Queue = "load";
            options.ManualAck = true;
            must(js_Subscribe(&s->sub, js, o.name, on_message, c, NULL, &options, &code), "subscribe");
        } else {
            must(js_Subscribe(&s->sub, js, o.name, on_message, c, NULL, &options, &code), "subscribe");
        }
    }
    must(natsSubscription_SetPendingLimits(s->sub, -1, -1), "subscribe");
    must(natsConnection_Flush(s->nc), "subscribe");
    return s;
}

// Messages come to `on_message` in the library's thread.
void client_receive(void *subscriber_, int wait_ms) {
    (void)subscriber_;
    usleep((useconds_t)(wait_ms > 5 ? 5 : wait_ms) * 1000);
}

void client_unsubscribe(void *subscriber_) {
    subscriber *s = subscriber_;
    // What was settled last goes out first.
    natsConnection_FlushTimeout(s->nc, 2000);
    natsConnection_Close(s->nc);
}
