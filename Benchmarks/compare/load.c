// Loads a broker through a client library (client.h) and prints what came of it as one line of JSON.
//
//     load-CLIENT ingest|through|latency|queue|catchup mode=MODE port=N name=NAME [size=100] [seconds=5] [consumers=1] [rate=10000]
//          [bytes=268435456] [window=20000] [most=N] [pid=BROKER]
//
// ingest: a publisher waits for acknowledgements, `window` messages in flight at most. through: the same, and every consumer reads
// everything; where a broker acknowledges nothing the publisher is at most `window` ahead of the slowest consumer, so that no buffer
// overflows. queue: the consumers compete and settle each message. catchup: a backlog is stored, then read by one consumer; only the
// reading counts. latency: an open loop, message n is due at start + n / rate and its time counts from then, whatever happened before;
// when a second's worth is under way, or `most`, the broker falls behind, and the run ends.
// Exit code 1 when a message is lost, duplicated, out of order or refused.
#define _GNU_SOURCE
#include <dirent.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "client.h"

static const uint64_t SECOND = 1000000000u;
static const uint64_t PATIENCE = 20 * 1000000000ull;  // without any progress, after which the rest is lost
enum { TIMES = 1 << 20 };

options o = {.workload = "", .mode = "", .name = "load", .size = 100, .seconds = 5, .rate = 10000, .consumers = 1,
             .bytes = 256 << 20, .window = 20000, .most = UINT64_MAX};

static _Atomic uint64_t sent_total;  // 0 until the publisher has ended
static _Atomic uint64_t failures;
static _Atomic int ready;
static _Atomic uint64_t busiest_reader;  // ns of processor time, of a consumer that has ended
static consumer consumers[MAX_CONSUMERS];

void die(const char *what, const char *why) {
    fprintf(stderr, "load: %s: %s\n", what, why);
    exit(2);
}

void fail(const char *what, const char *why) {
    if (atomic_fetch_add(&failures, 1) < 5) fprintf(stderr, "load: %s: %s\n", what, why);
}

void ring(bell *b) {
    atomic_fetch_add(&b->turns, 1);
    if (atomic_load(&b->waiting)) syscall(SYS_futex, &b->turns, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void await_bell(bell *b, uint32_t turns, int wait_ms) {
    struct timespec limit = {wait_ms / 1000, wait_ms % 1000 * 1000000L};
    atomic_store(&b->waiting, 1);
    syscall(SYS_futex, &b->turns, FUTEX_WAIT_PRIVATE, turns, &limit, NULL, 0);
    atomic_store(&b->waiting, 0);
}

// MARK: Consuming

void take(consumer *c, const void *payload, uint64_t size, uint64_t now) {
    head h;
    if (size != o.size) {
        fail("consumer", "a message of another size");
        return;
    }
    memcpy(&h, payload, sizeof h);
    see(&c->seen, h.sequence);
    record(&c->latency, now > h.intended ? now - h.intended : 0);
    atomic_store_explicit(&c->last, now, memory_order_relaxed);
    atomic_store_explicit(&c->count, c->seen.received, memory_order_relaxed);
}

// What the slowest consumer has, or all of them together where they compete.
static uint64_t delivered(void) {
    uint64_t sum = 0, least = UINT64_MAX;
    for (uint64_t i = 0; i < o.consumers; i++) {
        uint64_t count = atomic_load_explicit(&consumers[i].count, memory_order_relaxed);
        sum += count;
        if (count < least) least = count;
    }
    return o.is_queue ? sum : least;
}

static uint64_t last_arrival(void) {
    uint64_t last = 0;
    for (uint64_t i = 0; i < o.consumers; i++) {
        uint64_t at = atomic_load(&consumers[i].last);
        if (at > last) last = at;
    }
    return last;
}

static void *consume(void *argument) {
    consumer *c = argument;
    c->link = client_subscriber(c);
    atomic_store(&c->last, now_ns());
    atomic_fetch_add(&ready, 1);
    while (true) {
        uint64_t total = atomic_load(&sent_total);
        if (total && (o.is_queue ? delivered() : atomic_load(&c->count)) >= total) break;
        // The arrivals of one consumer are another's progress: they may wait for each other's acknowledgements.
        uint64_t last = last_arrival(), now = now_ns();
        if (total && now > last && now - last > PATIENCE) break;
        client_receive(c->link, WAIT_MS);
    }
    client_unsubscribe(c->link);
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    uint64_t ns = (uint64_t)used.tv_sec * SECOND + (uint64_t)used.tv_nsec;
    for (uint64_t most = atomic_load(&busiest_reader); ns > most && !atomic_compare_exchange_weak(&busiest_reader, &most, ns);) {}
    return NULL;
}

// MARK: Publishing

static struct {
    void *link;
    uint8_t *payload;
    uint64_t sent, acknowledged, began, last;
    uint64_t times[TIMES];  // when each of the messages in flight was due
    histogram latency;      // of the acknowledgements of one message in 16
} p;

static void open_publisher(void) {
    p.link = client_publisher();
    p.payload = malloc(o.size);
    // Not all zeros, so that nothing on the way has it easier than with real data.
    uint32_t filler = 0x9E3779B9;
    for (uint64_t i = 0; i < o.size; i++) p.payload[i] = (uint8_t)((filler = filler * 1664525 + 1013904223) >> 24);
}

static void publish(uint64_t intended) {
    head h = {p.sent, intended};
    memcpy(p.payload, &h, sizeof h);
    p.times[p.sent % TIMES] = intended;
    client_publish(p.link, p.payload);
    p.sent++;
}

// Brokers acknowledge in the order of sending; a client whose broker may not do so counts only what is acknowledged without a gap.
static void take_turn(int wait_ms) {
    uint64_t count = client_turn(p.link, wait_ms), now = now_ns();
    if (count) p.last = now;
    for (uint64_t i = p.acknowledged; i < p.acknowledged + count; i++)
        if (i % 16 == 0) record(&p.latency, now - p.times[i % TIMES]);
    p.acknowledged += count;
}

static uint64_t in_flight(void) {
    if (client_acknowledges()) return p.sent - p.acknowledged;
    uint64_t all = delivered();
    return p.sent > all ? p.sent - all : 0;
}

static void await_all(void) {
    p.last = now_ns();
    take_turn(0);
    while (client_acknowledges() && p.acknowledged < p.sent && now_ns() - p.last < PATIENCE) take_turn(WAIT_MS);
}

// As fast as the window allows, for so long or until so many.
static void publish_all(uint64_t nanoseconds, uint64_t limit) {
    p.began = now_ns();
    while (p.sent < limit && now_ns() - p.began < nanoseconds) {
        uint64_t stalled = now_ns();
        while (in_flight() + BATCH > o.window && now_ns() - stalled < PATIENCE) {
            uint64_t before = in_flight();
            take_turn(client_acknowledges() ? WAIT_MS : 0);
            if (!client_acknowledges()) usleep(50);
            if (in_flight() != before) stalled = now_ns();
        }
        if (now_ns() - stalled >= PATIENCE) break;
        uint64_t now = now_ns();
        for (int i = 0; i < BATCH && p.sent < limit; i++) publish(now);
        take_turn(0);
    }
    await_all();
}

// At a fixed rate, for so long, or until the broker falls behind.
static bool publish_paced(uint64_t nanoseconds) {
    p.began = now_ns() + SECOND / 50;
    uint64_t count = nanoseconds * o.rate / SECOND, most = o.most < o.rate ? o.most : o.rate;
    while (p.sent < count && in_flight() < most && p.sent < delivered() + most) {
        uint64_t due = p.began + p.sent * SECOND / o.rate, now = now_ns();
        if (now < due) {
            sleep_until(due);
            now = now_ns();
        }
        // What is due goes out together.
        for (; due <= now && p.sent < count; due = p.began + p.sent * SECOND / o.rate) publish(due);
        take_turn(0);
    }
    bool kept_up = p.sent == count;
    await_all();
    return kept_up;
}

// MARK: The result

// The share of a core that our busiest thread used: near 1, the client is the limit.
static double busiest_thread(double elapsed) {
    double most = (double)atomic_load(&busiest_reader) / 1e9;
    struct dirent *entry;
    DIR *tasks = opendir("/proc/self/task");
    while (tasks && (entry = readdir(tasks))) {
        double used = entry->d_name[0] == '.' ? 0 : cpu_seconds(getpid(), atol(entry->d_name));
        if (used > most) most = used;
    }
    if (tasks) closedir(tasks);
    return most / elapsed;
}

static uint64_t number(const char *text) { return strtoull(text, NULL, 10); }

static void read_options(int count, char **words) {
    o.workload = count > 1 ? words[1] : "";
    for (int i = 2; i < count; i++) {
        char *value = strchr(words[i], '=');
        if (!value) die(words[i], "is no NAME=VALUE");
        *value++ = 0;
#define IS(field) else if (strcmp(words[i], #field) == 0)
        if (strcmp(words[i], "pid") == 0) o.pid = atol(value);
        IS(mode) o.mode = value;
        IS(name) o.name = value;
        IS(port) o.port = atoi(value);
        IS(size) o.size = number(value) < 64 ? 64 : number(value);
        IS(seconds) o.seconds = number(value);
        IS(consumers) o.consumers = number(value) > MAX_CONSUMERS ? MAX_CONSUMERS : number(value);
        IS(most) o.most = number(value);
        IS(rate) o.rate = number(value);
        IS(bytes) o.bytes = number(value);
        IS(window) o.window = number(value) < BATCH ? BATCH : number(value) > TIMES ? TIMES : number(value);
        else die(words[i], "is no option");
    }
}

static void start_consumers(pthread_t *threads) {
    for (uint64_t i = 0; i < o.consumers; i++) pthread_create(&threads[i], NULL, consume, &consumers[i]);
    while (atomic_load(&ready) < (int)o.consumers) usleep(1000);
}

// What the consumers got, each message counted once where they compete, and what came twice.
static void add_up(uint64_t *received, uint64_t *duplicated, uint64_t *out_of_order) {
    static verifier all;
    for (uint64_t i = 0; i < o.consumers; i++) {
        verifier *v = &consumers[i].seen;
        *received += v->received;
        *duplicated += v->duplicated;
        *out_of_order += v->out_of_order;
        if (v->alien) fail("consumer", "a sequence that nobody sent");
        if (!o.is_queue) continue;
        for (uint64_t word = 0; word < v->words; word++)
            for (uint64_t bits = v->bits[word]; bits; bits &= bits - 1) see(&all, word * 64 + (uint64_t)__builtin_ctzll(bits));
    }
    if (!o.is_queue) return;
    *received = all.received;
    *duplicated += all.duplicated;
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    bool is_catchup = strcmp(o.workload, "catchup") == 0, is_ingest = strcmp(o.workload, "ingest") == 0;
    o.is_latency = strcmp(o.workload, "latency") == 0;
    o.is_queue = strcmp(o.workload, "queue") == 0;
    if (!is_ingest && !is_catchup && !o.is_latency && !o.is_queue && strcmp(o.workload, "through") != 0)
        die(o.workload, "ingest, through, latency, queue or catchup");
    if (is_ingest) o.consumers = 0;
    if (is_catchup) o.consumers = 1;
    if (!client_acknowledges() && (is_ingest || is_catchup)) die(o.mode, "acknowledges nothing and keeps nothing");
    // A sleep until the next message is due ends when it is due.
    prctl(PR_SET_TIMERSLACK, 1);
    signal(SIGPIPE, SIG_IGN);
    client_prepare();

    pthread_t threads[MAX_CONSUMERS];
    for (uint64_t i = 0; i < o.consumers; i++) consumers[i].number = (int)i;
    open_publisher();
    bool kept_up = true;
    uint64_t began;
    double cpu;
    if (is_catchup) {
        // The backlog is not what is measured.
        o.consumers = 0;
        publish_all(UINT64_MAX, o.bytes / o.size);
        o.consumers = 1;
        sleep(1);
        atomic_store(&sent_total, p.sent);
        cpu = cpu_seconds(o.pid, 0);
        began = now_ns();
        start_consumers(threads);
    } else {
        start_consumers(threads);
        usleep(o.consumers ? 300000 : 0);
        cpu = cpu_seconds(o.pid, 0);
        if (o.is_latency) kept_up = publish_paced(o.seconds * SECOND);
        else publish_all(o.seconds * SECOND, UINT64_MAX);
        began = p.began;
        atomic_store(&sent_total, p.sent ? p.sent : 1);
    }
    for (uint64_t i = 0; i < o.consumers; i++) pthread_join(threads[i], NULL);
    uint64_t last = o.consumers ? last_arrival() : p.last;
    if (!is_catchup && client_acknowledges() && p.last > last) last = p.last;
    cpu = cpu_seconds(o.pid, 0) - cpu;
    double seconds = (double)(last > began ? last - began : 1) / 1e9, busiest = busiest_thread(seconds);

    uint64_t received = 0, duplicated = 0, out_of_order = 0;
    add_up(&received, &duplicated, &out_of_order);
    uint64_t due = o.is_queue ? p.sent : p.sent * o.consumers;
    uint64_t lost = due - received + (client_acknowledges() ? p.sent - p.acknowledged : 0);
    int64_t stored = is_ingest ? client_stored() : -1;
    if (stored >= 0 && (uint64_t)stored < p.sent) lost += p.sent - (uint64_t)stored;
    if (stored > (int64_t)p.sent) duplicated += (uint64_t)stored - p.sent;
    // The last acknowledgements may still be under way.
    int64_t unsettled = o.is_queue ? client_unsettled() : -1;
    for (int i = 0; i < 40 && unsettled > 0; i++) {
        usleep(50000);
        unsettled = client_unsettled();
    }
    if (unsettled > 0) fail("queue", "messages that were taken are not settled");
    static histogram arrivals;
    for (uint64_t i = 0; i < o.consumers; i++) merge(&arrivals, &consumers[i].latency);
    const histogram *latency = o.consumers ? &arrivals : &p.latency;
    uint64_t messages = o.consumers ? received : p.acknowledged;
    printf("{\"workload\":\"%s\",\"mode\":\"%s\",\"client\":\"%s\",\"size\":%" PRIu64 ",\"rate\":%" PRIu64 ",\"consumers\":%" PRIu64 ",\"sent\":%" PRIu64
           ",\"stored\":%" PRId64 ",\"messages\":%" PRIu64 ",\"seconds\":%.3f,\"messages_per_s\":%.0f,\"bytes_per_s\":%.0f,",
           o.workload, o.mode, client_version(), o.size, o.is_latency ? o.rate : 0, o.consumers, p.sent, stored, messages, seconds,
           (double)messages / seconds, (double)(messages * o.size) / seconds);
    // A backlog's messages waited as long as they did.
    if (!is_catchup)
        printf("\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,", quantile_us(latency, 0.5), quantile_us(latency, 0.99),
               quantile_us(latency, 0.999), (double)latency->greatest / 1000);
    if (client_acknowledges() && !is_catchup)
        printf("\"ack_p50_us\":%.1f,\"ack_p99_us\":%.1f,", quantile_us(&p.latency, 0.5), quantile_us(&p.latency, 0.99));
    if (o.pid)
        printf("\"server_cpu_s\":%.2f,\"server_cpu_s_per_m\":%.4f,\"rss_mb\":%.1f,\"anonymous_mb\":%.1f,", cpu, cpu * 1e6 / (double)messages,
               memory_mb(o.pid, "VmRSS"), memory_mb(o.pid, "RssAnon"));
    uint64_t failed = atomic_load(&failures);
    printf("\"client_busiest_thread\":%.2f,\"kept_up\":%s,\"lost\":%" PRIu64 ",\"duplicated\":%" PRIu64 ",\"out_of_order\":%" PRIu64
           ",\"failed\":%" PRIu64 "}\n", busiest, kept_up ? "true" : "false", lost, duplicated, out_of_order, failed);
    fflush(stdout);
    client_remove();
    // The libraries' own threads end with the process.
    _exit(lost || duplicated || out_of_order || failed);
}
