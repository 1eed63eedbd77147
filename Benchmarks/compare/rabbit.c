// RabbitMQ through librabbitmq (AMQP 0.9.1). Modes: transient (a classic queue in memory), classic (durable, persistent messages), quorum
// and stream, all with publisher confirms. Readers take with automatic acknowledgement, except of a stream, which knows only prefetch and
// acknowledgements; a queue's consumers acknowledge themselves, several at once. With several readers each has its queue at a fanout exchange.
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "client.h"

enum { PREFETCH = 2000, SETTLE = 200, CHANNEL = 1, RING = 1 << 20 };

const char *client_version(void) {
    static char text[48];
    snprintf(text, sizeof text, "librabbitmq %s", amqp_version());
    return text;
}

bool client_acknowledges(void) { return true; }

static bool is_fanned(void) { return o.consumers > 1 && !o.is_queue && !is_mode("stream"); }

static void must(amqp_connection_state_t link, const char *what) {
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(link);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) return;
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) die(what, amqp_error_string2(reply.library_error));
    if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        amqp_bytes_t text = ((amqp_channel_close_t *)reply.reply.decoded)->reply_text;
        fprintf(stderr, "load: %.*s\n", (int)text.len, (char *)text.bytes);
    }
    die(what, "refused");
}

static amqp_connection_state_t open_link(void) {
    amqp_connection_state_t link = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(link);
    if (!socket || amqp_socket_open(socket, "127.0.0.1", o.port)) die("connect", "refused");
    int on = 1;
    setsockopt(amqp_get_sockfd(link), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    amqp_rpc_reply_t reply = amqp_login(link, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest");
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) die("login", "refused");
    amqp_channel_open(link, CHANNEL);
    must(link, "channel");
    return link;
}

static amqp_bytes_t queue_name(int number, char *buffer, size_t size) {
    snprintf(buffer, size, is_fanned() ? "%s-%d" : "%s", o.name, number);
    return amqp_cstring_bytes(buffer);
}

static uint64_t declare_queue(amqp_connection_state_t link, int number, bool is_passive) {
    char name[128];
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes("x-queue-type"), .value = {.kind = AMQP_FIELD_KIND_UTF8}};
    entry.value.value.bytes = amqp_cstring_bytes(is_mode("transient") ? "classic" : o.mode);
    amqp_table_t arguments = {.num_entries = 1, .entries = &entry};
    amqp_queue_declare_ok_t *found =
        amqp_queue_declare(link, CHANNEL, queue_name(number, name, sizeof name), is_passive, !is_mode("transient"), 0, 0, arguments);
    must(link, "queue");
    if (is_fanned() && !is_passive) {
        amqp_queue_bind(link, CHANNEL, amqp_cstring_bytes(name), amqp_cstring_bytes(o.name), amqp_empty_bytes, amqp_empty_table);
        must(link, "bind");
    }
    return found->message_count;
}

static int queue_count(void) { return is_fanned() ? (int)o.consumers : 1; }

void client_prepare(void) {
    amqp_connection_state_t link = open_link();
    if (is_fanned()) {
        amqp_exchange_declare(link, CHANNEL, amqp_cstring_bytes(o.name), amqp_cstring_bytes("fanout"), 0, 0, 0, 0, amqp_empty_table);
        must(link, "exchange");
    }
    for (int i = 0; i < queue_count(); i++) declare_queue(link, i, false);
    amqp_destroy_connection(link);
}

void client_remove(void) {
    amqp_connection_state_t link = open_link();
    char name[128];
    for (int i = 0; i < queue_count(); i++) amqp_queue_delete(link, CHANNEL, queue_name(i, name, sizeof name), 0, 0);
    if (is_fanned()) amqp_exchange_delete(link, CHANNEL, amqp_cstring_bytes(o.name), 0);
    amqp_destroy_connection(link);
}

int64_t client_stored(void) {
    // A queue counts its messages, a stream's count is not what it holds.
    if (is_mode("stream")) return -1;
    amqp_connection_state_t link = open_link();
    int64_t count = (int64_t)declare_queue(link, 0, true);
    amqp_destroy_connection(link);
    return count;
}

// What a consumer had in hand when it left is in the queue again.
int64_t client_unsettled(void) { return client_stored(); }

// MARK: Publishing

typedef struct {
    amqp_connection_state_t link;
    amqp_bytes_t exchange, key;
    amqp_basic_properties_t properties;
    uint64_t first;  // the lowest tag that is not confirmed
    uint64_t next;   // the tag of the next message
    uint8_t confirmed[RING];
} publisher;

void *client_publisher(void) {
    publisher *p = calloc(1, sizeof *p);
    p->link = open_link();
    amqp_confirm_select(p->link, CHANNEL);
    must(p->link, "confirms");
    p->first = p->next = 1;
    p->exchange = is_fanned() ? amqp_cstring_bytes(o.name) : amqp_empty_bytes;
    p->key = is_fanned() ? amqp_empty_bytes : amqp_cstring_bytes(o.name);
    p->properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
    p->properties.delivery_mode = is_mode("transient") ? 1 : 2;
    return p;
}

void client_publish(void *publisher_, const uint8_t *payload) {
    publisher *p = publisher_;
    amqp_bytes_t body = {.len = o.size, .bytes = (void *)payload};
    int status = amqp_basic_publish(p->link, CHANNEL, p->exchange, p->key, 0, 0, &p->properties, body);
    if (status != AMQP_STATUS_OK) die("publish", amqp_error_string2(status));
    p->next++;
}

// Confirms come in any order: counted is what is confirmed without a gap.
uint64_t client_turn(void *publisher_, int wait_ms) {
    publisher *p = publisher_;
    uint64_t before = p->first;
    while (p->first < p->next) {
        amqp_frame_t frame;
        struct timeval limit = {0, p->first == before ? wait_ms * 1000 : 0};
        int status = amqp_simple_wait_frame_noblock(p->link, &frame, &limit);
        if (status == AMQP_STATUS_TIMEOUT) break;
        if (status != AMQP_STATUS_OK) die("confirms", amqp_error_string2(status));
        if (frame.frame_type == AMQP_FRAME_METHOD && frame.payload.method.id == AMQP_BASIC_ACK_METHOD) {
            amqp_basic_ack_t *ack = frame.payload.method.decoded;
            if (ack->delivery_tag >= p->next) die("confirms", "a tag that was never sent");
            for (uint64_t tag = ack->multiple ? p->first : ack->delivery_tag; tag <= ack->delivery_tag; tag++) p->confirmed[tag % RING] = 1;
            for (; p->confirmed[p->first % RING]; p->first++) p->confirmed[p->first % RING] = 0;
        } else if (frame.frame_type == AMQP_FRAME_METHOD) {
            fail("confirms", amqp_method_name(frame.payload.method.id));
            die("confirms", "not an acknowledgement");
        }
        amqp_maybe_release_buffers(p->link);
    }
    return p->first - before;
}

// MARK: Consuming

typedef struct {
    consumer *c;
    amqp_connection_state_t link;
    bool acknowledges;
    uint64_t unsettled, tag;
} subscriber;

void *client_subscriber(consumer *c) {
    subscriber *s = calloc(1, sizeof *s);
    char name[128];
    s->c = c;
    s->link = open_link();
    s->acknowledges = o.is_queue || is_mode("stream");
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes("x-stream-offset"), .value = {.kind = AMQP_FIELD_KIND_UTF8}};
    entry.value.value.bytes = amqp_cstring_bytes("first");
    amqp_table_t arguments = {.num_entries = is_mode("stream"), .entries = &entry};
    if (s->acknowledges) {
        amqp_basic_qos(s->link, CHANNEL, 0, PREFETCH, 0);
        must(s->link, "prefetch");
    }
    amqp_basic_consume(s->link, CHANNEL, queue_name(c->number, name, sizeof name), amqp_empty_bytes, 0, !s->acknowledges, 0, arguments);
    must(s->link, "consume");
    return s;
}

static void settle(subscriber *s) {
    if (!s->unsettled) return;
    if (amqp_basic_ack(s->link, CHANNEL, s->tag, 1) != AMQP_STATUS_OK) die("acknowledge", "the connection is broken");
    s->unsettled = 0;
}

void client_receive(void *subscriber_, int wait_ms) {
    subscriber *s = subscriber_;
    // What is in hand is settled when no more is there at once.
    for (int i = 0; i < BATCH; i++) {
        amqp_envelope_t envelope;
        struct timeval limit = {0, i || s->unsettled ? 0 : wait_ms * 1000};
        amqp_maybe_release_buffers(s->link);
        amqp_rpc_reply_t reply = amqp_consume_message(s->link, &envelope, &limit, 0);
        if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION && reply.library_error == AMQP_STATUS_TIMEOUT) break;
        if (reply.reply_type != AMQP_RESPONSE_NORMAL) die("consume", amqp_error_string2(reply.library_error));
        take(s->c, envelope.message.body.bytes, envelope.message.body.len, now_ns());
        s->tag = envelope.delivery_tag;
        amqp_destroy_envelope(&envelope);
        if (s->acknowledges && ++s->unsettled >= SETTLE) settle(s);
    }
    settle(s);
}

void client_unsubscribe(void *subscriber_) {
    subscriber *s = subscriber_;
    settle(s);
    amqp_connection_close(s->link, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(s->link);
}
