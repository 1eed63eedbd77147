// Publishes numbered messages over a lane without end, several at a time, and prints each number that was acknowledged with its offset.
//     lane_writer ADDRESS TOPIC FIRST DURABILITY
// Exit code 3: the broker has gone.
#include <needletail.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **words) {
    if (count != 5) return 2;
    char error[256];
    nt_client *client = nt_connect(words[1], error, sizeof error);
    if (!client) return fprintf(stderr, "%s\n", error), 3;
    uint32_t topic;
    if (nt_topic(client, words[2], &topic) < 0) return fprintf(stderr, "%s\n", nt_error(client)), 3;
    const int durability = atoi(words[4]);
    uint64_t next = strtoull(words[3], NULL, 10), acknowledged = next;
    for (;;) {
        while (next - acknowledged < 64) {
            char payload[64];
            int size = snprintf(payload, sizeof payload, "number %llu", (unsigned long long)next);
            int result = nt_publish(client, topic, 0, NULL, 0, payload, (size_t)size, durability, next);
            if (result == NT_FULL) break;
            if (result < 0) return fprintf(stderr, "%s\n", nt_error(client)), 3;
            next++;
        }
        nt_event event;
        int got = nt_poll(client, &event, 20000, 1000000000);
        if (got < 0) return fprintf(stderr, "%s\n", nt_error(client)), 3;
        if (got == 0) continue;
        if (event.kind != NT_ACKNOWLEDGED || event.durability < durability) return fprintf(stderr, "event %d: %s\n", event.kind, nt_error(client)), 1;
        acknowledged = event.ticket + 1;
        printf("%llu %lld\n", (unsigned long long)event.ticket, (long long)event.offset);
        fflush(stdout);
    }
}
