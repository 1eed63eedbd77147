// Redis through hiredis. Modes: streams (XADD pipelined; XREAD, or XREADGROUP and XACK for a queue) and pubsub.
// Replies are not turned into objects: hiredis hands their strings to functions of ours.
#include <errno.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "client.h"

enum { COUNT = 1000, RECEIVE = 256 << 10, LONGEST_ID = 48 };

const char *client_version(void) {
    static char text[48];
    snprintf(text, sizeof text, "hiredis %d.%d.%d", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
    return text;
}

// PUBLISH is answered too, when the message is in every subscriber's buffer, which is not yet its arrival.
bool client_acknowledges(void) { return !is_mode("pubsub"); }

static redisContext *open_context(void) {
    redisContext *c = redisConnect("127.0.0.1", o.port);
    if (!c || c->err) die("connect", c ? c->errstr : "no memory");
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return c;
}

// One command and its reply; answers an integer reply, or -1.
static int64_t command(const char *what, const char *a, const char *b, const char *d, const char *e, const char *f) {
    const char *words[] = {what, a, b, d, e, f};
    int count = 0;
    while (count < 6 && words[count]) count++;
    redisContext *c = open_context();
    redisReply *reply = redisCommandArgv(c, count, words, NULL);
    if (!reply) die(what, c->errstr);
    if (reply->type == REDIS_REPLY_ERROR) die(what, reply->str);
    int64_t value = reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1;
    freeReplyObject(reply);
    redisFree(c);
    return value;
}

void client_prepare(void) {
    if (o.is_queue) command("XGROUP", "CREATE", o.name, "load", "0", "MKSTREAM");
}

void client_remove(void) { command("UNLINK", o.name, NULL, NULL, NULL, NULL); }
int64_t client_stored(void) { return command("XLEN", o.name, NULL, NULL, NULL, NULL); }

int64_t client_unsettled(void) {
    redisContext *c = open_context();
    redisReply *reply = redisCommand(c, "XPENDING %s load", o.name);
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements < 1) die("XPENDING", "no answer");
    int64_t count = reply->element[0]->integer;
    freeReplyObject(reply);
    redisFree(c);
    return count;
}

static void flush(redisContext *c) {
    int done = 0;
    while (!done)
        if (redisBufferWrite(c, &done) != REDIS_OK) die("write", c->errstr);
}

// A connection whose reads wait for WAIT_MS.
static redisContext *open_patient_context(void) {
    redisContext *c = open_context();
    struct timeval time = {.tv_usec = WAIT_MS * 1000};
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    return c;
}

// Reads what is there, or waits for it, in one system call. Answers whether anything came.
static bool fill(redisContext *c, char *buffer, bool waits) {
    ssize_t count = recv(c->fd, buffer, RECEIVE, waits ? 0 : MSG_DONTWAIT);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return false;
    if (count <= 0) die("read", count ? strerror(errno) : "the connection is closed");
    if (redisReaderFeed(c->reader, buffer, (size_t)count) != REDIS_OK) die("read", c->reader->errstr);
    return true;
}

// MARK: Publishing

typedef struct {
    redisContext *context;
    // The command but for its payload, and a buffer of those that wait.
    char before[256], *waiting, *received;
    size_t before_size, waiting_size;
    uint64_t awaited;
} publisher;

void *client_publisher(void) {
    publisher *p = calloc(1, sizeof *p);
    p->context = open_patient_context();
    // No objects for the replies: only whether one is an error is looked at.
    p->context->reader->fn = NULL;
    size_t length = strlen(o.name);
    p->before_size = (size_t)(is_mode("pubsub") ? snprintf(p->before, sizeof p->before, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%" PRIu64 "\r\n",
                                                           length, o.name, o.size)
                                                : snprintf(p->before, sizeof p->before,
                                                           "*5\r\n$4\r\nXADD\r\n$%zu\r\n%s\r\n$1\r\n*\r\n$1\r\nm\r\n$%" PRIu64 "\r\n", length, o.name,
                                                           o.size));
    p->waiting = malloc(BATCH * (p->before_size + o.size + 2));
    p->received = malloc(RECEIVE);
    return p;
}

static void send_waiting(publisher *p) {
    if (!p->waiting_size) return;
    redisAppendFormattedCommand(p->context, p->waiting, p->waiting_size);
    p->waiting_size = 0;
    flush(p->context);
}

void client_publish(void *publisher_, const uint8_t *payload) {
    publisher *p = publisher_;
    size_t size = p->before_size + o.size + 2;
    if (p->waiting_size + size > BATCH * size) send_waiting(p);
    char *at = p->waiting + p->waiting_size;
    memcpy(at, p->before, p->before_size);
    memcpy(at + p->before_size, payload, o.size);
    memcpy(at + p->before_size + o.size, "\r\n", 2);
    p->waiting_size += size;
    p->awaited++;
}

uint64_t client_turn(void *publisher_, int wait_ms) {
    publisher *p = publisher_;
    send_waiting(p);
    uint64_t count = 0;
    while (p->awaited > 0 && fill(p->context, p->received, !count && wait_ms)) {
        while (true) {
            void *reply = NULL;
            if (redisReaderGetReply(p->context->reader, &reply) != REDIS_OK) die("reply", p->context->reader->errstr);
            if (!reply) break;
            if ((intptr_t)reply == REDIS_REPLY_ERROR) fail("publish", "an error reply");
            count++;
            p->awaited--;
        }
    }
    return count;
}

// MARK: Consuming

typedef struct {
    consumer *c;
    redisContext *context;
    char *received;
    int awaited;  // replies
    uint64_t now;
    char ids[COUNT][LONGEST_ID];
    size_t lengths[COUNT];
    int id_count;
    char name[16];
} subscriber;

// What hiredis calls for each part of a reply. Payloads are longer than all else that comes: names and ids.
static void *take_string(const redisReadTask *task, char *text, size_t size) {
    const redisReadTask *root = task;
    while (root->parent) root = root->parent;
    subscriber *s = root->privdata;
    if (task->type == REDIS_REPLY_ERROR) fail("consume", text);
    else if (size == o.size) take(s->c, text, size, s->now);
    else if (memchr(text, '-', size) && s->id_count < COUNT && size < LONGEST_ID) {
        memcpy(s->ids[s->id_count], text, size);
        s->lengths[s->id_count] = size;
        s->ids[s->id_count++][size] = 0;
    }
    return s;
}

static void *take_array(const redisReadTask *task, int count) { return (void)task, (void)count, (void *)1; }
static void *take_integer(const redisReadTask *task, long long value) { return (void)task, (void)value, (void *)1; }
static void *take_nil(const redisReadTask *task) { return (void)task, (void *)1; }
static void free_nothing(void *object) { (void)object; }

static redisReplyObjectFunctions functions = {
    .createString = take_string, .createArray = take_array, .createInteger = take_integer, .createNil = take_nil, .freeObject = free_nothing};

void *client_subscriber(consumer *c) {
    subscriber *s = calloc(1, sizeof *s);
    s->c = c;
    s->context = open_patient_context();
    s->context->reader->fn = &functions;
    s->context->reader->privdata = s;
    s->received = malloc(RECEIVE);
    snprintf(s->name, sizeof s->name, "c%d", c->number);
    if (!is_mode("pubsub")) return s;
    redisAppendCommand(s->context, "SUBSCRIBE %s", o.name);
    flush(s->context);
    void *reply = NULL;
    while (!reply) {
        fill(s->context, s->received, true);
        redisReaderGetReply(s->context->reader, &reply);
    }
    return s;
}

// Settles what came last and asks for more, in one write.
static void ask(subscriber *s) {
    s->awaited = 1;
    if (o.is_queue) {
        if (s->id_count) {
            const char *words[COUNT + 3] = {"XACK", o.name, "load"};
            size_t lengths[COUNT + 3] = {4, strlen(o.name), 4};
            for (int i = 0; i < s->id_count; i++) {
                words[i + 3] = s->ids[i];
                lengths[i + 3] = s->lengths[i];
            }
            redisAppendCommandArgv(s->context, s->id_count + 3, words, lengths);
            s->awaited = 2;
        }
        redisAppendCommand(s->context, "XREADGROUP GROUP load %s COUNT %d BLOCK 500 STREAMS %s >", s->name, COUNT, o.name);
        s->id_count = 0;
    } else {
        // The last id of a reply is where the next one begins; without one it begins where it did.
        const char *from = s->id_count ? s->ids[s->id_count - 1] : s->lengths[0] ? s->ids[0] : "0";
        redisAppendCommand(s->context, "XREAD COUNT %d BLOCK 500 STREAMS %s %s", COUNT, o.name, from);
        if (s->id_count) {
            memmove(s->ids[0], s->ids[s->id_count - 1], LONGEST_ID);
            s->lengths[0] = s->lengths[s->id_count - 1];
        }
        s->id_count = 0;
    }
    flush(s->context);
}

void client_receive(void *subscriber_, int wait_ms) {
    subscriber *s = subscriber_;
    bool is_asked = !is_mode("pubsub");
    if (is_asked && s->awaited == 0) ask(s);
    if (!fill(s->context, s->received, wait_ms)) return;
    s->now = now_ns();
    while (!is_asked || s->awaited > 0) {
        void *reply = NULL;
        if (redisReaderGetReply(s->context->reader, &reply) != REDIS_OK) die("reply", s->context->reader->errstr);
        if (!reply) return;
        s->awaited -= is_asked;
    }
}

void client_unsubscribe(void *subscriber_) {
    subscriber *s = subscriber_;
    // What was taken last is settled too; its replies nobody reads.
    if (o.is_queue && s->awaited == 0) ask(s);
    redisFree(s->context);
}
