/* Which commands read a machine's memory: those for its kernel's page-table entries (NT-12). */
#include "dump_priv.h"

int dump_command(struct machine *m, const char *line, FILE *out, json_t **json, char *err, size_t err_size) {
    if (machine_os_ops(m) == &bare_os_ops) {
        snprintf(err, err_size, "%s: found a bare program, expected a trace with an operating system", line);
        return -1;
    }
    bool pae = machine_os_ops(m) == &nt_pae_os_ops;
    return (pae ? dump_pae_command : dump_plain_command)(m, line, out, json, err, err_size);
}
