#ifndef NEEDLETAIL_CYAML_H
#define NEEDLETAIL_CYAML_H

#include <stddef.h>

// libyaml's events, one after the other, with their places counted from 1. The text of an event is valid until the next call.

enum {
    NEEDLETAIL_YAML_ERROR,
    NEEDLETAIL_YAML_STREAM_END,
    NEEDLETAIL_YAML_DOCUMENT,
    NEEDLETAIL_YAML_ALIAS,
    NEEDLETAIL_YAML_SCALAR,
    NEEDLETAIL_YAML_LIST,
    NEEDLETAIL_YAML_LIST_END,
    NEEDLETAIL_YAML_MAPPING,
    NEEDLETAIL_YAML_MAPPING_END,
};

typedef struct {
    int kind;
    size_t line;
    size_t column;
    int is_plain;    // a scalar without quotes
    int has_anchor;
    int has_tag;
    const unsigned char *text; // a scalar's value, or what the error is; never NULL
    size_t length;
} needletail_yaml_event;

typedef struct needletail_yaml needletail_yaml;

// Reads `count` bytes, which must stay in place until the parser is closed. NULL when there is no memory.
needletail_yaml *needletail_yaml_open(const unsigned char *bytes, size_t count);
// After an error or the end of the stream it must not be called again.
void needletail_yaml_next(needletail_yaml *yaml, needletail_yaml_event *event);
void needletail_yaml_close(needletail_yaml *yaml);

#endif
