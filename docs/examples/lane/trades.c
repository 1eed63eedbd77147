// Publishes trades over shared memory, reads them back in the same thread, and prints how long the way through the broker and its log was.
//
//     tools/libneedletail build-c && cc -O2 docs/examples/lane/trades.c -Ibuild-c -Lbuild-c -lneedletail -o trades
//     needletail serve --listen native=unix:/tmp/needletail.socket --spin "100 us" &
//     ./trades shm:/tmp/needletail.socket 200000
#include <needletail.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int by_value(const void *one, const void *two) {
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)two;
    return a < b ? -1 : a > b;
}

int main(int count, char **words) {
    const char *address = count > 1 ? words[1] : "shm:/tmp/needletail.socket";
    const uint64_t total = count > 2 ? strtoull(words[2], NULL, 10) : 100000;
    const int durability = count > 3 ? atoi(words[3]) : NT_NONE;
    char error[256];
    nt_client *client = nt_connect(address, error, sizeof error);
    if (!client) return fprintf(stderr, "%s: %s\n", address, error), 1;

    char name[64];
    uint32_t topic;
    snprintf(name, sizeof name, "trades-%llu", (unsigned long long)now());
    if (nt_create_topic(client, name, 1, durability, &topic) < 0) return fprintf(stderr, "create: %s\n", nt_error(client)), 1;
    if (nt_subscribe(client, 1, name, NULL, NT_EARLIEST, 10000) < 0) return fprintf(stderr, "subscribe: %s\n", nt_error(client)), 1;

    uint64_t *took = malloc(total * sizeof *took);
    uint64_t sent = 0, seen = 0, acknowledged = 0, wrong = 0, next = now();
    unsigned char trade[128] = {0};
    while (seen < total || acknowledged < total) {
        // One trade every 20 us, at its time whatever happened before.
        if (sent < total && now() >= next) {
            memcpy(trade, &sent, 8);
            memcpy(trade + 8, &next, 8);
            int result = nt_publish(client, topic, 0, "ACME", 4, trade, sizeof trade, durability, sent);
            if (result == 0) sent++, next += 20000;
            else if (result != NT_FULL) return fprintf(stderr, "publish: %s\n", nt_error(client)), 1;
        }
        nt_event event;
        int got;
        while ((got = nt_poll(client, &event, 0, 0)) > 0) {
            if (event.kind == NT_ACKNOWLEDGED) {
                if (event.ticket != acknowledged++ || event.durability < durability) wrong++;
            } else if (event.kind == NT_MESSAGE) {
                uint64_t number, due;
                memcpy(&number, event.payload, 8);
                memcpy(&due, (const char *)event.payload + 8, 8);
                if (number != seen || event.offset != (int64_t)seen || event.key_bytes != 4 || memcmp(event.key, "ACME", 4)) wrong++;
                took[seen++] = now() - due;
            } else {
                return fprintf(stderr, "event %d: %s\n", event.kind, nt_error(client)), 1;
            }
        }
        if (got < 0) return fprintf(stderr, "poll: %s\n", nt_error(client)), 1;
    }
    qsort(took, total, sizeof *took, by_value);
    printf("%llu trades, %llu wrong; publish to receive p50 %.2f us, p99 %.2f us, p99.9 %.2f us\n", (unsigned long long)total, (unsigned long long)wrong,
           (double)took[total / 2] / 1e3, (double)took[total * 99 / 100] / 1e3, (double)took[total * 999 / 1000] / 1e3);
    nt_close(client);
    free(took);
    return wrong ? 1 : 0;
}
