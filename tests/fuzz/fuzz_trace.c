/* The trace reader, text and zstd. An event that was read must read the same from the text that event_format makes. */
#include "fuzz.h"

#include "ntmmu/trace.h"
#include "trace/grammar.h"

#include <string.h>

static void require_round_trip(const struct event *event) {
    char line[4096], err[256];
    const char *words[LINE_WORDS_MAX];
    bool quoted[LINE_WORDS_MAX];
    int length = event_format(event, line, sizeof line);
    FUZZ_REQUIRE(length > 0 && (size_t)length < sizeof line);
    char again[sizeof line];
    memcpy(again, line, (size_t)length + 1);
    int count = line_words(line, words, quoted, LINE_WORDS_MAX);
    FUZZ_REQUIRE(count > 0);
    struct event second;
    memset(&second, 0, sizeof second);
    FUZZ_REQUIRE(event_parse(&second, words, quoted, (unsigned)count, err, sizeof err));
    FUZZ_REQUIRE(second.kind == event->kind);
    event_format(&second, line, sizeof line);
    FUZZ_REQUIRE(strcmp(line, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char err[512];
    struct trace_reader *reader = trace_open(fuzz_file(data, size, ".vmt"), err, sizeof err);
    if (!reader) {
        FUZZ_REQUIRE(*err);
        return 0;
    }
    struct trace_item item;
    enum trace_item_kind kind;
    while ((kind = trace_next(reader, &item)) != TRACE_EOF && kind != TRACE_ERROR) {
        if (kind == TRACE_EVENT) { require_round_trip(&item.event); }
    }
    if (kind == TRACE_ERROR) { FUZZ_REQUIRE(strstr(trace_error(reader), "found")); }
    trace_close(reader);
    return 0;
}
