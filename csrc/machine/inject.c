/* Simulated faults: those a step has armed, and those of the rules of the configuration. A function of the events and
 * occasions alone, so that two machines agree. */
#include "machine_priv.h"

static bool rule_fires(struct machine *m, unsigned i) {
    const struct machine_injection *rule = &m->config.injection[i];
    struct injection_state *state = &m->injection[i];
    if (m->log.event < rule->event) { return false; }
    if (rule->probability == 0) { /* once */
        bool first = state->occasions++ == 0;
        return first;
    }
    return mix64(rule->seed ^ mix64(++state->occasions)) < rule->probability;
}

bool inject_now(struct machine *m, enum os_injection what) {
    bool fires = false;
    if (m->injected[what] > 0) {
        m->injected[what]--;
        fires = true;
    }
    for (unsigned i = 0; m->booted && i < m->config.injections; i++) {
        if (m->config.injection[i].what == what && rule_fires(m, i)) {
            fires = true;
            m->rule_fired = true;
        }
    }
    if (fires) { m->counts.injected[what]++; }
    return fires;
}
