/* Simulated faults. */
#include "machine_priv.h"

bool inject_now(struct machine *m, enum os_injection what) {
    if (m->injected[what] == 0) { return false; }
    m->injected[what]--;
    m->counts.injected[what]++;
    return true;
}
