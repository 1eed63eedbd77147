// Mosquitto through libmosquitto (MQTT 3.1.1). Modes: qos0, which acknowledges nothing, and qos1. Each connection is driven by the thread
// that uses it. A queue is a shared subscription, whose messages the library acknowledges when they were handed over.
#include <errno.h>
#include <mosquitto.h>
#include <poll.h>

#include "client.h"

const char *client_version(void) {
    static char text[48];
    int major, minor, revision;
    mosquitto_lib_version(&major, &minor, &revision);
    snprintf(text, sizeof text, "libmosquitto %d.%d.%d", major, minor, revision);
    return text;
}

bool client_acknowledges(void) { return is_mode("qos1"); }
int64_t client_stored(void) { return -1; }
int64_t client_unsettled(void) { return -1; }

static int quality(void) { return is_mode("qos1"); }

typedef struct {
    struct mosquitto *m;
    consumer *c;
    uint64_t events;  // whatever the library told us
    uint64_t acknowledged, counted;
    bool is_ready;
} mqtt;

static void must(int status, const char *what) {
    if (status != MOSQ_ERR_SUCCESS) die(what, mosquitto_strerror(status));
}

void client_prepare(void) { mosquitto_lib_init(); }
void client_remove(void) {}

// Lets the library read what is there, waiting so long for it, and write what it could not.
static void drive(mqtt *l, int wait_ms) {
    struct pollfd waiting = {.fd = mosquitto_socket(l->m), .events = POLLIN};
    if (mosquitto_want_write(l->m)) waiting.events |= POLLOUT;
    if (poll(&waiting, 1, wait_ms) <= 0) return;
    if (waiting.revents & POLLOUT) must(mosquitto_loop_write(l->m, 1), "write");
    // One packet at a time, until a call brought none.
    for (uint64_t before = UINT64_MAX; waiting.revents & ~POLLOUT && before != l->events;) {
        before = l->events;
        must(mosquitto_loop_read(l->m, 1), "read");
    }
    if (mosquitto_want_write(l->m)) must(mosquitto_loop_write(l->m, 1), "write");
}

static void on_connect(struct mosquitto *m, void *closure, int code) {
    (void)m;
    mqtt *l = closure;
    if (code) die("connect", mosquitto_connack_string(code));
    l->is_ready = true;
    l->events++;
}

static void on_subscribe(struct mosquitto *m, void *closure, int id, int count, const int *granted) {
    (void)m, (void)id;
    mqtt *l = closure;
    if (count != 1 || granted[0] != quality()) die("subscribe", "refused");
    l->is_ready = true;
    l->events++;
}

static void on_publish(struct mosquitto *m, void *closure, int id) {
    (void)m, (void)id;
    mqtt *l = closure;
    l->acknowledged++;
    l->events++;
}

static void on_message(struct mosquitto *m, void *closure, const struct mosquitto_message *message) {
    (void)m;
    mqtt *l = closure;
    take(l->c, message->payload, (uint64_t)message->payloadlen, now_ns());
    l->events++;
}

static void on_disconnect(struct mosquitto *m, void *closure, int code) {
    (void)m, (void)closure;
    if (code) die("disconnected", mosquitto_strerror(code));
}

static void await_ready(mqtt *l, const char *what) {
    for (uint64_t end = now_ns() + 5000000000u; !l->is_ready && now_ns() < end;) drive(l, 50);
    if (!l->is_ready) die(what, "no answer");
    l->is_ready = false;
}

static mqtt *open_link(consumer *c) {
    mqtt *l = calloc(1, sizeof *l);
    l->c = c;
    l->m = mosquitto_new(NULL, true, l);
    if (!l->m) die("client", strerror(errno));
    mosquitto_connect_callback_set(l->m, on_connect);
    mosquitto_subscribe_callback_set(l->m, on_subscribe);
    mosquitto_publish_callback_set(l->m, on_publish);
    mosquitto_message_callback_set(l->m, on_message);
    mosquitto_disconnect_callback_set(l->m, on_disconnect);
    // No limit to what is under way, and each packet at once.
    must(mosquitto_max_inflight_messages_set(l->m, 0), "client");
    must(mosquitto_int_option(l->m, MOSQ_OPT_TCP_NODELAY, 1), "client");
    must(mosquitto_connect(l->m, "127.0.0.1", o.port, 3600), "connect");
    await_ready(l, "connect");
    return l;
}

void *client_publisher(void) { return open_link(NULL); }

void client_publish(void *publisher, const uint8_t *payload) {
    mqtt *l = publisher;
    must(mosquitto_publish(l->m, NULL, o.name, (int)o.size, payload, quality(), false), "publish");
}

uint64_t client_turn(void *publisher, int wait_ms) {
    mqtt *l = publisher;
    drive(l, wait_ms);
    uint64_t count = l->acknowledged - l->counted;
    l->counted += count;
    return count;
}

void *client_subscriber(consumer *c) {
    mqtt *l = open_link(c);
    char filter[128];
    snprintf(filter, sizeof filter, o.is_queue ? "$share/load/%s" : "%s", o.name);
    must(mosquitto_subscribe(l->m, NULL, filter, quality()), "subscribe");
    await_ready(l, "subscribe");
    return l;
}

void client_receive(void *subscriber, int wait_ms) { drive(subscriber, wait_ms); }

void client_unsubscribe(void *subscriber) {
    mqtt *l = subscriber;
    mosquitto_disconnect(l->m);
}
