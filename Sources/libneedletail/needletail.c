// The native protocol (docs/formats/native-protocol.md) for one thread, over a lane (docs/formats/lane.md) or a unix socket. One file, so that it can
// be copied into a program with CLane's and nothing between them is visible outside; from top to bottom: buffers, sending, receiving, the
// connection, requests, messages.
#define _GNU_SOURCE
#include "needletail.h"
#include "CLane.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the wire is little-endian, and so is what this is written for"
#endif

enum { HEADER = 16, CONSUMERS = 64, FRAME_MOST = 64 << 20, RECEIVE = 256 << 10, WAITING_MOST = 1 << 20 };
enum {
    HELLO = 0x01, WELCOME = 0x02, FAILURE = 0x05, OK = 0x06, OPEN_LANE = 0x08, LANE_OPENED = 0x09, PUBLISH = 0x10, PUBLISHED = 0x12,
    SUBSCRIBE = 0x30, SUBSCRIBED = 0x31, UNSUBSCRIBE = 0x32, CREDIT = 0x33, DELIVER_BATCHES = 0x34, DELIVER_RECORDS = 0x35, SETTLE = 0x36,
    CONSUMER_EVENT = 0x38, CREATE_TOPIC = 0x40, DESCRIBE_TOPIC = 0x43, TOPICS = 0x45,
    TAKEN = 0xff,  // a frame in the buffer that was an answer, and is done with
};
// Correlations: a publish has its ticket, another request this bit.
static const uint64_t request_bit = 1ull << 55;
static const uint64_t request_patience_ns = 10000000000ull;

struct consumer {
    uint32_t number;
    int32_t credit, used;
    int is_there;
};

struct bytes {
    unsigned char *at;
    size_t start, end, room;
};

struct nt_client {
    int socket, has_lane, is_closed;
    struct lane lane;
    struct bytes in, out;
    // The delivery whose messages are being handed out: where the next record is, and where they end.
    size_t record, records_end;
    nt_event delivery;
    int64_t base_offset, base_timestamp;
    struct consumer consumers[CONSUMERS];
    int owes_credit;
    uint64_t requests;
    char error[256];
};

static int fail(nt_client *client, int code, const char *text) {
    snprintf(client->error, sizeof client->error, "%s", text);
    if (code == NT_CLOSED) client->is_closed = 1;
    return code;
}

const char *nt_error(const nt_client *client) { return client->error; }
int nt_descriptor(const nt_client *client) { return client->socket; }

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// MARK: Buffers

static int reserve(struct bytes *bytes, size_t count) {
    if (bytes->room - bytes->end >= count) return 1;
    if (bytes->start) {
        memmove(bytes->at, bytes->at + bytes->start, bytes->end - bytes->start);
        bytes->end -= bytes->start;
        bytes->start = 0;
        if (bytes->room - bytes->end >= count) return 1;
    }
    size_t room = bytes->room ? bytes->room : 4096;
    while (room - bytes->end < count) room *= 2;
    unsigned char *more = realloc(bytes->at, room);
    if (!more) return 0;
    bytes->at = more;
    bytes->room = room;
    return 1;
}

// Writing a frame: fields one after another behind a place for the header.
struct frame {
    unsigned char *at;
    size_t count;
};

static void put(struct frame *frame, const void *bytes, size_t count) {
    if (count) memcpy(frame->at + frame->count, bytes, count);
    frame->count += count;
}
static void put8(struct frame *frame, uint8_t value) { put(frame, &value, 1); }
static void put16(struct frame *frame, uint16_t value) { put(frame, &value, 2); }
static void put32(struct frame *frame, uint32_t value) { put(frame, &value, 4); }
static void put64(struct frame *frame, uint64_t value) { put(frame, &value, 8); }
static void put_zeros(struct frame *frame, size_t count) {
    memset(frame->at + frame->count, 0, count);
    frame->count += count;
}
static void put_text(struct frame *frame, const char *text) {
    size_t count = strlen(text);
    put16(frame, (uint16_t)count);
    put(frame, text, count);
}
static void finish(struct frame *frame, uint8_t type, uint8_t flags, uint64_t correlation) {
    uint32_t size = (uint32_t)frame->count;
    memcpy(frame->at, &size, 4);
    frame->at[4] = type;
    frame->at[5] = flags;
    frame->at[6] = frame->at[7] = 0;
    memcpy(frame->at + 8, &correlation, 8);
}

static uint16_t get16(const unsigned char *at) { uint16_t value; memcpy(&value, at, 2); return value; }
static uint32_t get32(const unsigned char *at) { uint32_t value; memcpy(&value, at, 4); return value; }
static uint64_t get64(const unsigned char *at) { uint64_t value; memcpy(&value, at, 8); return value; }

// MARK: Sending

static int broken_lane(nt_client *client) { return fail(client, NT_CLOSED, "the broker's counters in shared memory are impossible"); }

static int knock(nt_client *client, int brought) {
    if (!lane_must_knock(&client->lane, brought)) return 0;
    const char byte = 0;
    if (send(client->socket, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN) return fail(client, NT_CLOSED, strerror(errno));
    return 0;
}

// Sends what the socket took no room for before.
static int send_waiting(nt_client *client) {
    struct bytes *out = &client->out;
    while (out->end > out->start) {
        ssize_t sent = send(client->socket, out->at + out->start, out->end - out->start, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno == EAGAIN) return 0;
        if (sent < 0) return fail(client, NT_CLOSED, strerror(errno));
        out->start += (size_t)sent;
    }
    out->start = out->end = 0;
    return 0;
}

// Room for a frame of up to `count` bytes; what is written there is sent by `commit`.
static int begin(nt_client *client, struct frame *frame, size_t count) {
    if (client->is_closed) return NT_CLOSED;
    if (client->has_lane) {
        int64_t room = lane_writable(&client->lane);
        if (room < 0) return broken_lane(client);
        if (count > client->lane.out_bytes) return fail(client, NT_INVALID, "a message larger than the ring of shared memory");
        if ((uint64_t)room < count) return fail(client, NT_FULL, "the broker does not keep up");
    } else if (client->out.end - client->out.start > WAITING_MOST) {
        if (send_waiting(client) < 0) return NT_CLOSED;
        if (client->out.end - client->out.start > WAITING_MOST) return fail(client, NT_FULL, "the broker does not keep up");
    }
    if (!reserve(&client->out, count)) return fail(client, NT_INVALID, "there is no memory for this message");
    frame->at = client->out.at + client->out.end;
    frame->count = HEADER;
    return 0;
}

static int commit(nt_client *client, struct frame *frame) {
    if (!client->has_lane) {
        client->out.end += frame->count;
        return send_waiting(client);
    }
    if (lane_write(&client->lane, frame->at, frame->count) != (int64_t)frame->count) return broken_lane(client);
    lane_show(&client->lane);
    return knock(client, LANE_INPUT);
}

// MARK: Receiving

// Takes what has come, without waiting: 1, 0, or NT_CLOSED. Moves the buffer's content.
static int receive(nt_client *client) {
    struct bytes *in = &client->in;
    size_t wanted = RECEIVE;
    if (in->end - in->start >= 4) {
        uint32_t size = get32(in->at + in->start);
        if (size > in->end - in->start + wanted && size <= FRAME_MOST) wanted = size - (in->end - in->start);
    }
    if (!reserve(in, wanted)) return fail(client, NT_CLOSED, "there is no memory to receive into");
    if (client->has_lane) {
        int64_t took = lane_read(&client->lane, in->at + in->end, in->room - in->end);
        if (took < 0) return broken_lane(client);
        in->end += (size_t)took;
        if (took > 0) return knock(client, LANE_ROOM) < 0 ? NT_CLOSED : 1;
        return 0;
    }
    ssize_t got = recv(client->socket, in->at + in->end, in->room - in->end, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (got <= 0) return fail(client, NT_CLOSED, got == 0 ? "the broker closed the connection" : strerror(errno));
    in->end += (size_t)got;
    return 1;
}

// The socket under a lane says nothing any more but that the broker has gone.
static int is_alive(nt_client *client) {
    char byte;
    ssize_t got = recv(client->socket, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return !(got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) || lane_readable(&client->lane) > 0;
}

// Waits for something to receive: 1, 0, or NT_CLOSED.
static int wait_for_input(nt_client *client, uint64_t spin_ns, uint64_t sleep_ns) {
    if (client->has_lane) {
        uint64_t end = now() + sleep_ns;
        int found = lane_client_waits(&client->lane, 0, spin_ns, 0);
        while (found == 0) {
            uint64_t time = now();
            if (!is_alive(client)) return fail(client, NT_CLOSED, "the broker has gone");
            if (time >= end) return 0;
            // A broker that is killed wakes nobody: it is looked for now and then.
            uint64_t rest = end - time;
            found = lane_client_waits(&client->lane, 0, 0, rest < 50000000u ? rest : 50000000u);
        }
        return found < 0 ? broken_lane(client) : 1;
    }
    uint64_t spin_end = now() + spin_ns;
    while (spin_ns && now() < spin_end) {
        struct pollfd at = {client->socket, POLLIN, 0};
        if (poll(&at, 1, 0) > 0) return 1;
    }
    struct pollfd at = {client->socket, (short)(POLLIN | (client->out.end > client->out.start ? POLLOUT : 0)), 0};
    struct timespec time = {(time_t)(sleep_ns / 1000000000u), (long)(sleep_ns % 1000000000u)};
    int ready = ppoll(&at, 1, &time, NULL);
    if (ready > 0 && (at.revents & POLLOUT) && send_waiting(client) < 0) return NT_CLOSED;
    return ready > 0 && (at.revents & ~POLLOUT) ? 1 : 0;
}

// The size of the whole frame at `at`, 0 when more must come, NT_CLOSED for what is no frame.
static int64_t frame_at(nt_client *client, size_t at) {
    size_t there = client->in.end - at;
    if (there < 4) return 0;
    uint32_t size = get32(client->in.at + at);
    if (size < HEADER || size > FRAME_MOST) return fail(client, NT_CLOSED, "the broker sent something that is no frame");
    return size <= there ? (int64_t)size : 0;
}

static const char *failure_text(nt_client *client, const unsigned char *frame, size_t size) {
    size_t count = size >= 22 ? get16(frame + 20) : 0;
    if (size < 22 || count > size - 22) return "the broker refused it";
    if (count >= sizeof client->error) count = sizeof client->error - 1;
    memcpy(client->error, frame + 22, count);
    client->error[count] = 0;
    return client->error;
}

// Waits for the answer to a request and copies up to `room` bytes of its frame. Events in front of it stay where they are.
// The answer's type, or an error.
static int answer(nt_client *client, uint64_t correlation, unsigned char *frame, size_t room) {
    uint64_t deadline = now() + request_patience_ns;
    size_t passed = 0;  // from the buffer's start, which moves
    for (;;) {
        int64_t size;
        while ((size = frame_at(client, client->in.start + passed)) > 0) {
            unsigned char *at = client->in.at + client->in.start + passed;
            passed += (size_t)size;
            if (at[4] == FAILURE && at[18 < size ? 18 : 0] == 1 && size >= 20) return fail(client, NT_CLOSED, failure_text(client, at, (size_t)size));
            if (get64(at + 8) != correlation || at[4] == TAKEN || at[4] == DELIVER_RECORDS || at[4] == DELIVER_BATCHES) continue;
            int type = at[4];
            memcpy(frame, at, (size_t)size < room ? (size_t)size : room);
            at[4] = TAKEN;
            return type == FAILURE ? (failure_text(client, at, (size_t)size), NT_REFUSED) : type;
        }
        if (size < 0) return NT_CLOSED;
        uint64_t time = now();
        if (time >= deadline) return fail(client, NT_CLOSED, "the broker does not answer");
        // What is being handed out lies in the buffer: its place is kept relative to the start.
        size_t record = client->record - client->in.start, end = client->records_end - client->in.start;
        int got = receive(client);
        if (client->records_end) {
            client->record = client->in.start + record;
            client->records_end = client->in.start + end;
        }
        if (got == 0) got = wait_for_input(client, 0, deadline - time);
        if (got < 0) return NT_CLOSED;
    }
}

// MARK: The connection

static nt_client *give_up(nt_client *client, char *error, size_t room, const char *text) {
    if (error && room) snprintf(error, room, "%s", text);
    nt_close(client);
    return NULL;
}

static int open_lane(nt_client *client) {
    struct frame frame;
    if (begin(client, &frame, 64) < 0) return -1;
    put32(&frame, 0);
    put32(&frame, 0);
    finish(&frame, OPEN_LANE, 0, request_bit);
    if (commit(client, &frame) < 0) return -1;
    struct pollfd at = {client->socket, POLLIN, 0};
    if (poll(&at, 1, 10000) <= 0) return fail(client, NT_CLOSED, "the broker does not answer");
    unsigned char bytes[4096];
    union { struct cmsghdr head; char room[CMSG_SPACE(sizeof(int))]; } control = {0};
    struct iovec part = {bytes, sizeof bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(client->socket, &message, MSG_CMSG_CLOEXEC);
    if (got < HEADER) return fail(client, NT_CLOSED, "the broker closed the connection");
    int descriptor = -1;
    struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    if (first && first->cmsg_type == SCM_RIGHTS && first->cmsg_len == CMSG_LEN(sizeof(int))) memcpy(&descriptor, CMSG_DATA(first), sizeof descriptor);
    if (bytes[4] != LANE_OPENED || descriptor < 0) {
        if (descriptor >= 0) close(descriptor);
        return fail(client, NT_CLOSED, bytes[4] == FAILURE ? failure_text(client, bytes, (size_t)got) : "the broker sent no shared memory");
    }
    int result = lane_attach(&client->lane, descriptor);
    close(descriptor);
    if (result < 0) return fail(client, NT_CLOSED, strerror(-result));
    client->has_lane = 1;
    return 0;
}

nt_client *nt_connect(const char *address, char *error, size_t room) {
    nt_client *client = calloc(1, sizeof *client);
    if (!client) return give_up(client, error, room, "there is no memory");
    client->socket = -1;
    int wants_lane = strncmp(address, "shm:", 4) == 0;
    if (!wants_lane && strncmp(address, "unix:", 5)) return give_up(client, error, room, "an address is shm:PATH or unix:PATH");
    const char *path = address + (wants_lane ? 4 : 5);
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    if (!*path || strlen(path) >= sizeof place.sun_path) return give_up(client, error, room, "the path of a socket has 1 to 107 bytes");
    strcpy(place.sun_path, path);
    client->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->socket < 0 || connect(client->socket, (struct sockaddr *)&place, sizeof place)) return give_up(client, error, room, strerror(errno));

    struct frame frame;
    if (begin(client, &frame, 128) < 0) return give_up(client, error, room, client->error);
    put(&frame, "NTAIL\r\n\x1a", 8);
    put16(&frame, 1);
    put16(&frame, 1);
    put32(&frame, FRAME_MOST);
    put64(&frame, 2);  // lanes
    put_text(&frame, "libneedletail");
    finish(&frame, HELLO, 0, request_bit);
    unsigned char welcome[64];
    if (commit(client, &frame) < 0) return give_up(client, error, room, client->error);
    int type = answer(client, request_bit, welcome, sizeof welcome);
    if (type != WELCOME) return give_up(client, error, room, type < 0 ? client->error : "this is no broker's native listener");
    client->in.start = client->in.end = 0;
    if (wants_lane && open_lane(client) < 0) return give_up(client, error, room, client->error);
    return client;
}

void nt_close(nt_client *client) {
    if (!client) return;
    if (client->has_lane) lane_unmap(&client->lane);
    if (client->socket >= 0) close(client->socket);
    free(client->in.at);
    free(client->out.at);
    free(client);
}

// MARK: Requests

static uint64_t next_request(nt_client *client) { return request_bit | ++client->requests; }

// The topic's number out of TOPICS, which begins with how many there are.
static int take_topic(nt_client *client, int type, const unsigned char *frame, uint32_t *topic) {
    if (type < 0) return type;
    if (type != TOPICS || get32(frame + HEADER) != 1) return fail(client, NT_REFUSED, "the broker answered something else");
    *topic = get32(frame + HEADER + 4);
    return 0;
}

int nt_create_topic(nt_client *client, const char *name, int32_t partitions, int durability, uint32_t *topic) {
    if (strlen(name) > 249 || durability < NT_NONE || durability > NT_EACH) return fail(client, NT_INVALID, "no such name, or no such durability");
    struct frame frame;
    int result = begin(client, &frame, 512);
    if (result < 0) return result;
    put_text(&frame, name);
    put32(&frame, (uint32_t)partitions);
    put8(&frame, 0);
    put8(&frame, (uint8_t)durability);
    put_zeros(&frame, 2);
    for (int option = 0; option < 6; option++) put64(&frame, 1ull << 63);  // not given; the sixth is the lease
    put32(&frame, 1u << 31);
    put16(&frame, 0xffff);
    uint64_t correlation = next_request(client);
    finish(&frame, CREATE_TOPIC, 0, correlation);
    if ((result = commit(client, &frame)) < 0) return result;
    unsigned char found[64] = {0};
    return take_topic(client, answer(client, correlation, found, sizeof found), found, topic);
}

int nt_topic(nt_client *client, const char *name, uint32_t *topic) {
    if (strlen(name) > 249) return fail(client, NT_INVALID, "no such name");
    struct frame frame;
    int result = begin(client, &frame, 512);
    if (result < 0) return result;
    put_text(&frame, name);
    uint64_t correlation = next_request(client);
    finish(&frame, DESCRIBE_TOPIC, 0, correlation);
    if ((result = commit(client, &frame)) < 0) return result;
    unsigned char found[64] = {0};
    return take_topic(client, answer(client, correlation, found, sizeof found), found, topic);
}

static struct consumer *find(nt_client *client, uint32_t number) {
    for (int place = 0; place < CONSUMERS; place++)
        if (client->consumers[place].is_there && client->consumers[place].number == number) return &client->consumers[place];
    return NULL;
}

int nt_subscribe(nt_client *client, uint32_t consumer, const char *topic, const char *name, int64_t from, int32_t credit) {
    struct consumer *place = NULL;
    for (int free = 0; free < CONSUMERS && !place; free++)
        if (!client->consumers[free].is_there) place = &client->consumers[free];
    if (!place) return fail(client, NT_INVALID, "a client has at most 64 consumers");
    if (find(client, consumer) || credit < 1 || from < NT_LATEST || strlen(topic) > 249 || (name && strlen(name) > 249))
        return fail(client, NT_INVALID, "a number twice, no credit, no such place, or no such name");
    struct frame frame;
    int result = begin(client, &frame, 1024);
    if (result < 0) return result;
    int is_queue = name && *name;
    put32(&frame, consumer);
    put8(&frame, is_queue ? 1 : 0);
    put8(&frame, 1);
    put16(&frame, 0);
    put8(&frame, from == NT_EARLIEST ? 0 : from == NT_LATEST ? 1 : 2);
    put_zeros(&frame, 3);
    put64(&frame, from < 0 ? 0 : (uint64_t)from);
    put32(&frame, (uint32_t)credit);
    put64(&frame, 1ull << 40);  // messages are what is counted
    put64(&frame, 1ull << 63);
    put32(&frame, 1u << 31);
    put16(&frame, 0xffff);
    put_text(&frame, topic);
    put_text(&frame, is_queue ? name : "");
    uint64_t correlation = next_request(client);
    finish(&frame, SUBSCRIBE, is_queue ? 0 : 1, correlation);
    *place = (struct consumer){consumer, credit, 0, 1};
    if ((result = commit(client, &frame)) >= 0) {
        unsigned char found[64];
        result = answer(client, correlation, found, sizeof found);
        if (result == SUBSCRIBED) return 0;
    }
    place->is_there = 0;
    return result < 0 ? result : fail(client, NT_REFUSED, "the broker answered something else");
}

int nt_unsubscribe(nt_client *client, uint32_t consumer) {
    struct consumer *place = find(client, consumer);
    if (!place) return fail(client, NT_INVALID, "there is no such consumer");
    struct frame frame;
    int result = begin(client, &frame, 64);
    if (result < 0) return result;
    put32(&frame, consumer);
    uint64_t correlation = next_request(client);
    finish(&frame, UNSUBSCRIBE, 0, correlation);
    if ((result = commit(client, &frame)) < 0) return result;
    place->is_there = 0;
    unsigned char found[64];
    result = answer(client, correlation, found, sizeof found);
    return result < 0 ? result : 0;
}

// MARK: Messages

int nt_publish(nt_client *client, uint32_t topic, int32_t partition, const void *key, size_t key_bytes, const void *payload, size_t payload_bytes,
               int durability, uint64_t ticket) {
    if (ticket >= request_bit || key_bytes > INT32_MAX || payload_bytes > INT32_MAX || durability < NT_NONE || durability > NT_EACH)
        return fail(client, NT_INVALID, "a ticket is below 2^55, a message below 2 GiB, and a durability one of four");
    struct frame frame;
    int result = begin(client, &frame, 64 + key_bytes + payload_bytes);
    if (result < 0) return result;
    put32(&frame, topic);
    put32(&frame, (uint32_t)partition);
    put8(&frame, (uint8_t)durability);
    put8(&frame, 0);
    put16(&frame, 0);
    put32(&frame, key ? (uint32_t)key_bytes : UINT32_MAX);
    put32(&frame, 0);
    put32(&frame, payload ? (uint32_t)payload_bytes : UINT32_MAX);
    put16(&frame, 0);
    put16(&frame, UINT16_MAX);
    put32(&frame, UINT32_MAX);
    put64(&frame, 1ull << 63);
    put64(&frame, UINT64_MAX);
    if (key) put(&frame, key, key_bytes);
    if (payload) put(&frame, payload, payload_bytes);
    finish(&frame, PUBLISH, 0, ticket);
    return commit(client, &frame);
}

int nt_settle(nt_client *client, uint32_t consumer, int32_t partition, int64_t first, int64_t last, int outcome) {
    if (first < 0 || last < first || outcome < NT_ACCEPT || outcome > NT_RELEASE) return fail(client, NT_INVALID, "no such range, or no such outcome");
    struct frame frame;
    int result = begin(client, &frame, 64);
    if (result < 0) return result;
    put32(&frame, consumer);
    put32(&frame, 1);
    put32(&frame, (uint32_t)partition);
    put8(&frame, (uint8_t)outcome);
    put_zeros(&frame, 3);
    put64(&frame, (uint64_t)first);
    put64(&frame, (uint64_t)last);
    finish(&frame, SETTLE, 0, 0);
    return commit(client, &frame);
}

// Gives credit back once half of it is used. When nothing can be sent now, it is owed until something can.
static int give_credit(nt_client *client, struct consumer *consumer) {
    if (consumer->used < (consumer->credit + 1) / 2) return 0;
    struct frame frame;
    int result = begin(client, &frame, 64);
    client->owes_credit = result == NT_FULL;
    if (result < 0) return result == NT_CLOSED ? result : 0;
    put32(&frame, consumer->number);
    put32(&frame, (uint32_t)consumer->used);
    put64(&frame, 0);
    finish(&frame, CREDIT, 0, 0);
    consumer->used = 0;
    return commit(client, &frame);
}

static int used(nt_client *client, uint32_t number, int32_t count) {
    struct consumer *consumer = find(client, number);
    if (!consumer) return 0;
    consumer->used += count;
    return give_credit(client, consumer);
}

static int give_owed_credit(nt_client *client) {
    client->owes_credit = 0;
    for (int place = 0; place < CONSUMERS && !client->owes_credit; place++)
        if (client->consumers[place].is_there && give_credit(client, &client->consumers[place]) < 0) return NT_CLOSED;
    return 0;
}

// A zig-zag varint of at most `end`; 0 when it is none.
static int varint(const unsigned char *at, size_t *place, size_t end, int64_t *value) {
    uint64_t bits = 0;
    for (int shift = 0; shift < 64 && *place < end; shift += 7) {
        unsigned char byte = at[(*place)++];
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
            return 1;
        }
    }
    return 0;
}

// A length and that many bytes; -1 is null.
static int field(const unsigned char *at, size_t *place, size_t end, const void **bytes, size_t *count) {
    int64_t length;
    if (!varint(at, place, end, &length) || length < -1 || (length > 0 && (uint64_t)length > end - *place)) return 0;
    *bytes = length < 0 ? NULL : at + *place;
    *count = length < 0 ? 0 : (size_t)length;
    *place += *count;
    return 1;
}

// The next record of the delivery at hand: 1, 0 when it has no more, or NT_CLOSED for what is no record.
static int next_record(nt_client *client, nt_event *event) {
    while (client->record < client->records_end) {
        const unsigned char *at = client->in.at;
        size_t place = client->record;
        int64_t length, time, offset, headers;
        int is_sound = varint(at, &place, client->records_end, &length) && length > 0 && (uint64_t)length <= client->records_end - place;
        size_t end = is_sound ? place + (size_t)length : 0;
        *event = client->delivery;
        is_sound = is_sound && place++ < end && varint(at, &place, end, &time) && varint(at, &place, end, &offset)
            && field(at, &place, end, &event->key, &event->key_bytes) && field(at, &place, end, &event->payload, &event->payload_bytes)
            && varint(at, &place, end, &headers);
        if (!is_sound) return fail(client, NT_CLOSED, "a delivery that is no run of records");
        client->record = end;
        event->offset = event->last = client->base_offset + offset;
        event->timestamp = client->base_timestamp + time;
        event->headers = at + place;
        event->headers_bytes = end - place;
        event->header_count = (int32_t)headers;
        if (event->offset >= client->delivery.offset && event->offset <= client->delivery.last) return 1;
    }
    client->records_end = 0;
    return 0;
}

static void begin_delivery(nt_client *client, const unsigned char *at) {
    client->delivery = (nt_event){
        .kind = NT_MESSAGE, .consumer = get32(at + 16), .topic = get32(at + 20), .partition = (int32_t)get32(at + 24), .attempt = (int32_t)get32(at + 28),
        .offset = (int64_t)get64(at + 32), .last = (int64_t)get64(at + 40), .is_redelivery = at[5] & 1};
}

// What the frame at the front of the input says: 1 for an event, 0 for nothing, or NT_CLOSED.
static int take(nt_client *client, size_t size, nt_event *event) {
    const size_t start = client->in.start;
    const unsigned char *at = client->in.at + start;
    client->in.start += size;
    memset(event, 0, sizeof *event);
    switch (at[4]) {
    case DELIVER_RECORDS:
        if (size < 64) break;
        begin_delivery(client, at);
        client->base_offset = (int64_t)get64(at + 48);
        client->base_timestamp = (int64_t)get64(at + 56);
        client->record = start + 64;
        client->records_end = start + size;
        return 0;
    case DELIVER_BATCHES:
        if (size < 48) break;
        begin_delivery(client, at);
        *event = client->delivery;
        event->kind = NT_COMPRESSED;
        event->payload = at + 48;
        event->payload_bytes = size - 48;
        return used(client, event->consumer, (int32_t)(event->last - event->offset + 1)) < 0 ? NT_CLOSED : 1;
    case PUBLISHED:
        if (size < 44) break;
        event->kind = NT_ACKNOWLEDGED;
        event->ticket = get64(at + 8);
        event->topic = get32(at + 16);
        event->partition = (int32_t)get32(at + 20);
        event->offset = event->last = (int64_t)get64(at + 24);
        event->durability = at[40];
        return 1;
    case CONSUMER_EVENT:
        if (size < 24) break;
        if (at[20] == 0) return 0;
        event->kind = at[20] == 1 ? NT_CONSUMER_ENDED : NT_SETTLE_FAILED;
        event->consumer = get32(at + 16);
        event->code = get16(at + 22);
        if (at[20] == 1 && find(client, event->consumer)) find(client, event->consumer)->is_there = 0;
        return 1;
    case FAILURE:
        if (size < 22) break;
        if (at[18]) return fail(client, NT_CLOSED, failure_text(client, at, size));
        if (get64(at + 8) & request_bit) return 0;
        failure_text(client, at, size);
        event->kind = NT_PUBLISH_REFUSED;
        event->ticket = get64(at + 8);
        event->code = get16(at + 16);
        return 1;
    default: return 0;
    }
    return fail(client, NT_CLOSED, "a frame that is too short");
}

int nt_poll(nt_client *client, nt_event *event, uint64_t spin_ns, uint64_t sleep_ns) {
    int has_waited = 0;
    for (;;) {
        if (client->records_end) {
            int found = next_record(client, event);
            if (found > 0) return used(client, event->consumer, 1) < 0 ? NT_CLOSED : 1;
            if (found < 0) return found;
        }
        int64_t size = frame_at(client, client->in.start);
        if (size < 0) return NT_CLOSED;
        if (size > 0) {
            int found = take(client, (size_t)size, event);
            if (found) return found;
            continue;
        }
        if (client->is_closed) return NT_CLOSED;
        // Nothing that was handed out is needed any more: the buffer may move.
        if (client->in.start == client->in.end) client->in.start = client->in.end = 0;
        if (!client->has_lane && send_waiting(client) < 0) return NT_CLOSED;
        // Nothing more may come before it is given: sleeping, it would not be woken.
        if (client->owes_credit && give_owed_credit(client) < 0) return NT_CLOSED;
        if (client->owes_credit && sleep_ns > 1000000) sleep_ns = 1000000;
        int got = receive(client);
        if (got == 0 && !has_waited) {
            has_waited = 1;
            got = wait_for_input(client, spin_ns, sleep_ns);
        } else if (got == 0) {
            return 0;
        }
        if (got < 0) return NT_CLOSED;
        if (got == 0) return 0;
    }
}
