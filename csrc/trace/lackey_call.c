/* See lackey_call.h. */
#include "lackey_call.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool lackey_call_result(const char *line, struct lackey_call *call) {
    const char *success = strstr(line, "Success(0x"), *failure = strstr(line, "Failure(0x");
    if (success) { call->result = strtoull(success + 10, NULL, 16); }
    call->success = success != NULL;
    call->complete = success || failure || strstr(line, "NoWriteResult");
    return call->complete;
}

/* The text behind "0x4034f50(" up to its own closing bracket, which a comma or the list's end follows. */
static const char *take_text(const char *at, struct lackey_call *call) {
    const char *end = at;
    while (*end && !(end[0] == ')' && (end[1] == ',' || end[1] == ' '))) { end++; }
    if (*end && !call->text) {
        call->text = strndup(at, (size_t)(end - at));
        call->text_arg = call->args;
    }
    return *end ? end + 1 : end;
}

static void parse_args(const char *at, struct lackey_call *call) {
    bool clone = strcmp(call->name, "clone") == 0; /* its numbers are hexadecimal without prefix */
    while (call->args < CALL_ARGS) {
        at += strspn(at, " ,");
        if (!isxdigit((unsigned char)*at) && *at != '-') { return; }
        char *end;
        bool hex = strncmp(at, "0x", 2) == 0 || clone;
        call->arg[call->args] = *at == '-' ? (uint64_t)strtoll(at, &end, 10) : strtoull(at, &end, hex ? 16 : 10);
        at = *end == '(' ? take_text(end + 1, call) : end;
        call->args++;
    }
}

bool lackey_call_parse(const char *line, struct lackey_call *call) {
    *call = (struct lackey_call){0};
    int at = 0;
    if (sscanf(line, "SYSCALL[%u,%u](%u) %n", &call->pid, &call->tid, &call->number, &at) < 3 || !at) { return false; }
    const char *text = line + at;
    if (strncmp(text, "...", 3) == 0) {
        lackey_call_result(text, call);
        return true;
    }
    if (strncmp(text, "sys_", 4) == 0) { text += 4; }
    size_t length = 0;
    while (isalnum((unsigned char)text[length]) || text[length] == '_') { length++; }
    if (length == 0 || length >= sizeof call->name) { return true; }
    memcpy(call->name, text, length);
    const char *open = strchr(text, '(');
    if (!open) { return true; }
    parse_args(open + 1, call);
    const char *child = strstr(text, "created child ");
    if (child) { call->child = (unsigned)strtoul(child + 14, NULL, 10); }
    lackey_call_result(text, call);
    return true;
}
