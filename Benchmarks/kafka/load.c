// Loads a broker that speaks Kafka through librdkafka, one partition, and prints what came of it as one line of JSON.
//
//     load ingest|through|catchup|latency bootstrap=HOST:PORT topic=NAME [size=100] [seconds=5] [linger=5] [consumers=1] [rate=1000]
//          [bytes=1073741824] [passes=4] [window=100000] [pid=BROKER]
//
// ingest: a producer waits for acknowledgements, `window` messages in flight at most. through: the same, and every consumer reads everything.
// catchup: each pass is a new consumer that reads a backlog. latency: an open loop, message n is due at start + n / rate, and its time
// counts from when it was due, whatever happened before. Exit code 1 when a message is lost, duplicated, out of order or refused.
#define _GNU_SOURCE
#include <dirent.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>

#include "measure.h"

enum { BATCH = 500, MAX_CONSUMERS = 64 };
static const uint64_t SECOND = 1000000000u;
static const uint64_t PATIENCE = 20 * 1000000000ull;  // without any progress, after which the rest is lost

static struct {
    const char *workload, *bootstrap, *topic, *linger;
    uint64_t size, seconds, consumers, rate, bytes, passes, window;
    long pid;
} o = {.workload = "", .bootstrap = "127.0.0.1:9092", .topic = "load", .linger = "5", .size = 100, .seconds = 5, .consumers = 1,
       .rate = 1000, .bytes = 1 << 30, .passes = 4, .window = 100000};

static atomic_ullong sent_total;  // 0 until the producer has ended
static atomic_int ready;

static void die(const char *what, const char *why) {
    fprintf(stderr, "load: %s: %s\n", what, why);
    exit(2);
}

// MARK: Clients

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char why[256];
    rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, name, value, why, sizeof why);
    // Older versions of the library do not know every name.
    if (result == RD_KAFKA_CONF_INVALID) die(name, why);
}

static rd_kafka_t *client(rd_kafka_type_t type) {
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", o.bootstrap);
    set(conf, "socket.nagle.disable", "true");
    set(conf, "broker.address.family", "v4");
    if (type == RD_KAFKA_PRODUCER) {
        set(conf, "acks", "all");
        set(conf, "linger.ms", o.linger);
        set(conf, "batch.size", "1000000");
        set(conf, "batch.num.messages", "100000");
        set(conf, "queue.buffering.max.messages", "10000000");
        rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
    } else {
        set(conf, "group.id", "load");
        set(conf, "enable.auto.commit", "false");
        set(conf, "auto.offset.reset", "error");
        set(conf, "allow.auto.create.topics", "true");
        // Read ahead by bytes alone, and go on at once where that limit was met.
        set(conf, "queued.min.messages", "10000000");
        set(conf, "queued.max.messages.kbytes", "65536");
        set(conf, "fetch.queue.backoff.ms", "1");
    }
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
    if (!rk) die("client", why);
    return rk;
}

// Waits until the topic's one partition has a leader.
static void await_topic(rd_kafka_t *rk, rd_kafka_topic_t *topic) {
    rd_kafka_resp_err_t last = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (uint64_t end = now_ns() + PATIENCE; now_ns() < end; usleep(50000)) {
        const struct rd_kafka_metadata *found;
        last = rd_kafka_metadata(rk, 0, topic, &found, 2000);
        if (last) continue;
        bool is_there = found->topic_cnt == 1 && !found->topics[0].err && found->topics[0].partition_cnt == 1 &&
                        found->topics[0].partitions[0].leader >= 0;
        last = found->topic_cnt == 1 ? found->topics[0].err : last;
        rd_kafka_metadata_destroy(found);
        if (is_there) return;
    }
    die("no such topic", rd_kafka_err2str(last));
}

// Creates (or deletes) the topic. What goes wrong shows when it is used: a broker may create topics by itself.
static void administrate(bool creates) {
    char why[256];
    rd_kafka_t *rk = client(RD_KAFKA_PRODUCER);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_NewTopic_t *made = rd_kafka_NewTopic_new(o.topic, 1, 1, why, sizeof why);
    rd_kafka_DeleteTopic_t *gone = rd_kafka_DeleteTopic_new(o.topic);
    if (creates) rd_kafka_CreateTopics(rk, &made, 1, NULL, queue);
    else rd_kafka_DeleteTopics(rk, &gone, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 10000);
    if (event) rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy(made);
    rd_kafka_DeleteTopic_destroy(gone);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
}

// MARK: Producing

typedef struct {
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
    uint8_t *payloads;  // BATCH of them
    uint64_t sent, acknowledged, refused, misplaced;
    uint64_t began, last;
    histogram latency;  // one message in 16
} producer;

static void open_producer(producer *p) {
    p->rk = client(RD_KAFKA_PRODUCER);
    p->topic = rd_kafka_topic_new(p->rk, o.topic, NULL);
    p->queue = rd_kafka_queue_get_main(p->rk);
    p->payloads = malloc(BATCH * o.size);
    // Not all zeros, so that nothing on the way has it easier than with real data.
    uint32_t filler = 0x9E3779B9;
    for (uint64_t i = 0; i < BATCH * o.size; i++) p->payloads[i] = (uint8_t)((filler = filler * 1664525 + 1013904223) >> 24);
    await_topic(p->rk, p->topic);
}

// Takes the delivery reports that are there, waiting for the first. On a fresh topic an offset is its message's sequence.
static void take_reports(producer *p, int wait_ms) {
    static const rd_kafka_message_t *messages[10000];
    rd_kafka_event_t *event = rd_kafka_queue_poll(p->queue, wait_ms);
    if (!event) return;
    uint64_t now = now_ns();
    size_t count;
    while ((count = rd_kafka_event_message_array(event, messages, 10000)) > 0) {
        for (size_t i = 0; i < count; i++) {
            head h;
            memcpy(&h, messages[i]->payload, sizeof h);
            if (messages[i]->err) p->refused++;
            else if ((uint64_t)messages[i]->offset != h.sequence) p->misplaced++;
            if (h.sequence % 16 == 0) record(&p->latency, now - h.intended);
        }
        p->acknowledged += count;
    }
    p->last = now;
    rd_kafka_event_destroy(event);
}

static void set_head(producer *p, int slot, uint64_t intended) {
    head h = {p->sent + (uint64_t)slot, intended};
    memcpy(p->payloads + (uint64_t)slot * o.size, &h, sizeof h);
}

static void produce_batch(producer *p, int count) {
    rd_kafka_message_t messages[BATCH];
    memset(messages, 0, sizeof messages);
    uint64_t now = now_ns();
    for (int i = 0; i < count; i++) {
        set_head(p, i, now);
        messages[i].payload = p->payloads + (uint64_t)i * o.size;
        messages[i].len = o.size;
    }
    if (rd_kafka_produce_batch(p->topic, 0, RD_KAFKA_MSG_F_COPY, messages, count) != count) die("produce", "the queue is full");
    p->sent += (uint64_t)count;
}

static void await_reports(producer *p) {
    p->last = now_ns();
    while (p->acknowledged < p->sent && now_ns() - p->last < PATIENCE) take_reports(p, 100);
}

// As fast as the window allows, for so long or until so many.
static void produce_all(producer *p, uint64_t nanoseconds, uint64_t limit) {
    p->began = now_ns();
    while (p->sent < limit && now_ns() - p->began < nanoseconds) {
        while (p->sent + BATCH - p->acknowledged > o.window) take_reports(p, 100);
        produce_batch(p, limit - p->sent < BATCH ? (int)(limit - p->sent) : BATCH);
        take_reports(p, 0);
    }
    await_reports(p);
}

// At a fixed rate, for so long, or until so much waits for its acknowledgement as belongs to a second: then the broker falls behind.
static bool produce_paced(producer *p, uint64_t nanoseconds) {
    p->began = now_ns() + SECOND / 50;
    uint64_t count = nanoseconds * o.rate / SECOND;
    while (p->sent < count && p->sent - p->acknowledged < o.rate) {
        uint64_t due = p->began + p->sent * SECOND / o.rate;
        if (now_ns() < due) sleep_until(due);
        set_head(p, 0, due);
        if (rd_kafka_produce(p->topic, 0, RD_KAFKA_MSG_F_COPY, p->payloads, o.size, NULL, 0, NULL)) die("produce", "the queue is full");
        p->sent++;
        take_reports(p, 0);
    }
    bool kept_up = p->sent == count;
    await_reports(p);
    return kept_up;
}

static void close_producer(producer *p) {
    rd_kafka_queue_destroy(p->queue);
    rd_kafka_topic_destroy(p->topic);
    rd_kafka_destroy(p->rk);
    free(p->payloads);
}

// MARK: Consuming

typedef struct {
    verifier seen;
    histogram latency;
    uint64_t last, failures;
} consumer;

static void *consume(void *argument) {
    enum { MOST = 4096 };
    consumer *c = argument;
    rd_kafka_message_t **messages = malloc(MOST * sizeof *messages);
    rd_kafka_t *rk = client(RD_KAFKA_CONSUMER);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, o.topic, NULL);
    await_topic(rk, topic);
    rd_kafka_topic_destroy(topic);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, o.topic, 0)->offset = 0;
    c->last = now_ns();
    rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    atomic_fetch_add(&ready, 1);
    while (true) {
        uint64_t total = atomic_load(&sent_total);
        if (total && (c->seen.received >= total || now_ns() - c->last > PATIENCE)) break;
        // A batch waits until it is full, so the first is waited for alone.
        messages[0] = rd_kafka_consumer_poll(rk, 50);
        if (!messages[0]) continue;
        ssize_t count = 1, more = rd_kafka_consume_batch_queue(queue, 0, messages + 1, MOST - 1);
        if (more > 0) count += more;
        uint64_t now = now_ns();
        for (ssize_t i = 0; i < count; i++) {
            if (messages[i]->err || messages[i]->len < sizeof(head)) {
                c->failures++;
                fprintf(stderr, "load: consumer: %s\n", rd_kafka_message_errstr(messages[i]));
            } else {
                head h;
                memcpy(&h, messages[i]->payload, sizeof h);
                see(&c->seen, h.sequence);
                record(&c->latency, now - h.intended);
            }
            rd_kafka_message_destroy(messages[i]);
        }
        c->last = now;
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    free(messages);
    return NULL;
}

// MARK: The result

// The share of a core that our busiest thread used: near 1, the client is the limit.
static double busiest_thread(double elapsed) {
    double most = 0;
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
#define IS(name) else if (strcmp(words[i], #name) == 0)
        if (strcmp(words[i], "pid") == 0) o.pid = atol(value);
        IS(bootstrap) o.bootstrap = value;
        IS(topic) o.topic = value;
        IS(linger) o.linger = value;
        IS(size) o.size = number(value) < sizeof(head) ? sizeof(head) : number(value);
        IS(seconds) o.seconds = number(value);
        IS(consumers) o.consumers = number(value) > MAX_CONSUMERS ? MAX_CONSUMERS : number(value);
        IS(rate) o.rate = number(value);
        IS(bytes) o.bytes = number(value);
        IS(passes) o.passes = number(value);
        IS(window) o.window = number(value) < BATCH ? BATCH : number(value);
        else die(words[i], "is no option");
    }
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    bool is_catchup = strcmp(o.workload, "catchup") == 0, is_latency = strcmp(o.workload, "latency") == 0;
    bool is_ingest = strcmp(o.workload, "ingest") == 0;
    if (!is_ingest && !is_catchup && !is_latency && strcmp(o.workload, "through") != 0) die(o.workload, "ingest, through, catchup or latency");
    if (is_ingest) o.consumers = 0;
    // A sleep until the next message is due ends when it is due.
    prctl(PR_SET_TIMERSLACK, 1);
    administrate(true);

    static producer p;
    static consumer consumers[MAX_CONSUMERS];
    pthread_t threads[MAX_CONSUMERS];
    open_producer(&p);
    uint64_t elapsed = 0;
    bool kept_up = true;
    double cpu;
    if (is_catchup) {
        // The backlog is not what is measured.
        produce_all(&p, UINT64_MAX, o.bytes / o.size);
        atomic_store(&sent_total, p.sent);
        sleep(1);
        o.consumers = o.passes < MAX_CONSUMERS ? o.passes : MAX_CONSUMERS;
        cpu = cpu_seconds(o.pid, 0);
        for (uint64_t i = 0; i < o.consumers; i++) {
            uint64_t began = now_ns();
            pthread_create(&threads[i], NULL, consume, &consumers[i]);
            pthread_join(threads[i], NULL);
            elapsed += consumers[i].last - began;
        }
    } else {
        for (uint64_t i = 0; i < o.consumers; i++) pthread_create(&threads[i], NULL, consume, &consumers[i]);
        while (atomic_load(&ready) < (int)o.consumers) usleep(1000);
        usleep(o.consumers ? 300000 : 0);
        cpu = cpu_seconds(o.pid, 0);
        if (is_latency) kept_up = produce_paced(&p, o.seconds * SECOND);
        else produce_all(&p, o.seconds * SECOND, UINT64_MAX);
        atomic_store(&sent_total, p.sent);
        uint64_t last = p.last;
        for (uint64_t i = 0; i < o.consumers; i++) {
            pthread_join(threads[i], NULL);
            if (consumers[i].last > last) last = consumers[i].last;
        }
        elapsed = last - p.began;
    }
    cpu = cpu_seconds(o.pid, 0) - cpu;

    int64_t first = -1, end = -1;
    rd_kafka_query_watermark_offsets(p.rk, o.topic, 0, &first, &end, 10000);
    uint64_t due = p.sent * o.consumers, received = 0, duplicated = 0, failed = p.refused + p.misplaced, out_of_order = 0;
    static histogram delivered;
    for (uint64_t i = 0; i < o.consumers; i++) {
        received += consumers[i].seen.received;
        duplicated += consumers[i].seen.duplicated;
        out_of_order += consumers[i].seen.out_of_order;
        failed += consumers[i].failures + consumers[i].seen.alien;
        merge(&delivered, &consumers[i].latency);
    }
    uint64_t lost = due - received + (p.sent - p.acknowledged);
    if (end < (int64_t)p.sent) lost += p.sent - (uint64_t)end;
    if (end > (int64_t)p.sent) duplicated += (uint64_t)end - p.sent;
    const histogram *latency = o.consumers && !is_catchup ? &delivered : &p.latency;
    double seconds = (double)elapsed / 1e9;
    uint64_t messages = o.consumers ? received : p.acknowledged;
    printf("{\"workload\":\"%s\",\"librdkafka\":\"%s\",\"size\":%" PRIu64 ",\"linger_ms\":%s,\"rate\":%" PRIu64 ",\"consumers\":%" PRIu64
           ",\"sent\":%" PRIu64 ",\"messages\":%" PRIu64 ",\"seconds\":%.3f,\"messages_per_s\":%.0f,\"bytes_per_s\":%.0f,",
           o.workload, rd_kafka_version_str(), o.size, o.linger, is_latency ? o.rate : 0, o.consumers, p.sent, messages, seconds,
           (double)messages / seconds, (double)(messages * o.size) / seconds);
    printf("\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,\"ack_p50_us\":%.1f,\"ack_p99_us\":%.1f,", quantile_us(latency, 0.5),
           quantile_us(latency, 0.99), quantile_us(latency, 0.999), (double)latency->greatest / 1000, quantile_us(&p.latency, 0.5),
           quantile_us(&p.latency, 0.99));
    if (o.pid)
        printf("\"server_cpu_s\":%.2f,\"server_cpu_s_per_m\":%.4f,\"server_cpu_s_per_gb\":%.4f,\"rss_mb\":%.1f,\"anonymous_mb\":%.1f,\"peak_mb\":%.1f,",
               cpu, cpu * 1e6 / (double)messages, cpu * 1e9 / (double)(messages * o.size), memory_mb(o.pid, "VmRSS"), memory_mb(o.pid, "RssAnon"),
               memory_mb(o.pid, "VmHWM"));
    printf("\"client_busiest_thread\":%.2f,\"kept_up\":%s,\"lost\":%" PRIu64 ",\"duplicated\":%" PRIu64 ",\"out_of_order\":%" PRIu64 ",\"failed\":%" PRIu64 "}\n",
           is_catchup ? 0 : busiest_thread(seconds), kept_up ? "true" : "false", lost, duplicated, out_of_order, failed);
    close_producer(&p);
    administrate(false);
    return lost || duplicated || out_of_order || failed;
}
