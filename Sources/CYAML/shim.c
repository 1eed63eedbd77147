#include "CYAML.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct needletail_yaml {
    yaml_parser_t parser;
    yaml_event_t event;
    int has_event;
};

needletail_yaml *needletail_yaml_open(const unsigned char *bytes, size_t count) {
    needletail_yaml *yaml = calloc(1, sizeof *yaml);
    if (!yaml) return NULL;
    if (!yaml_parser_initialize(&yaml->parser)) {
        free(yaml);
        return NULL;
    }
    yaml_parser_set_input_string(&yaml->parser, bytes, count);
    return yaml;
}

static void set_text(needletail_yaml_event *event, const void *text, size_t length) {
    event->text = text ? text : (const void *)"";
    event->length = text ? length : 0;
}

static void describe(const yaml_event_t *from, needletail_yaml_event *event) {
    switch (from->type) {
    case YAML_DOCUMENT_START_EVENT:
        event->kind = NEEDLETAIL_YAML_DOCUMENT;
        break;
    case YAML_ALIAS_EVENT:
        event->kind = NEEDLETAIL_YAML_ALIAS;
        break;
    case YAML_SCALAR_EVENT:
        event->kind = NEEDLETAIL_YAML_SCALAR;
        event->is_plain = from->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        event->has_anchor = from->data.scalar.anchor != NULL;
        event->has_tag = from->data.scalar.tag != NULL;
        set_text(event, from->data.scalar.value, from->data.scalar.length);
        break;
    case YAML_SEQUENCE_START_EVENT:
        event->kind = NEEDLETAIL_YAML_LIST;
        event->has_anchor = from->data.sequence_start.anchor != NULL;
        event->has_tag = from->data.sequence_start.tag != NULL;
        break;
    case YAML_SEQUENCE_END_EVENT:
        event->kind = NEEDLETAIL_YAML_LIST_END;
        break;
    case YAML_MAPPING_START_EVENT:
        event->kind = NEEDLETAIL_YAML_MAPPING;
        event->has_anchor = from->data.mapping_start.anchor != NULL;
        event->has_tag = from->data.mapping_start.tag != NULL;
        break;
    case YAML_MAPPING_END_EVENT:
        event->kind = NEEDLETAIL_YAML_MAPPING_END;
        break;
    default:
        event->kind = NEEDLETAIL_YAML_STREAM_END;
        break;
    }
}

void needletail_yaml_next(needletail_yaml *yaml, needletail_yaml_event *event) {
    for (;;) {
        if (yaml->has_event) yaml_event_delete(&yaml->event);
        yaml->has_event = 0;
        memset(event, 0, sizeof *event);
        set_text(event, NULL, 0);
        if (!yaml_parser_parse(&yaml->parser, &yaml->event)) {
            const char *problem = yaml->parser.problem ? yaml->parser.problem : "out of memory";
            event->kind = NEEDLETAIL_YAML_ERROR;
            // A reader's error (an encoding that is none) has no mark of its own.
            int has_mark = yaml->parser.error != YAML_READER_ERROR;
            event->line = (has_mark ? yaml->parser.problem_mark.line : yaml->parser.mark.line) + 1;
            event->column = (has_mark ? yaml->parser.problem_mark.column : yaml->parser.mark.column) + 1;
            set_text(event, problem, strlen(problem));
            return;
        }
        yaml->has_event = 1;
        // The stream's start and a document's end say nothing to us.
        if (yaml->event.type == YAML_STREAM_START_EVENT || yaml->event.type == YAML_DOCUMENT_END_EVENT) continue;
        event->line = yaml->event.start_mark.line + 1;
        event->column = yaml->event.start_mark.column + 1;
        describe(&yaml->event, event);
        return;
    }
}

void needletail_yaml_close(needletail_yaml *yaml) {
    if (!yaml) return;
    if (yaml->has_event) yaml_event_delete(&yaml->event);
    yaml_parser_delete(&yaml->parser);
    free(yaml);
}
