/* The sanitizers' options, unless the environment has others: what one run frees stays poisoned until some runs later,
 * and no longer: memory that is used again is still in the host's caches. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "quarantine_size_mb=4:malloc_context_size=6"; }
