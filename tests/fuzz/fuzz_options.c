/* The sanitizers' options, unless the environment has others. What one run frees stays poisoned until some runs later,
 * and no longer: memory that is used again is still in the host's caches. Who allocated something is asked of the one
 * input that failed: ASAN_OPTIONS=malloc_context_size=30 build/fuzz/targets/NAME INPUT. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "quarantine_size_mb=4:malloc_context_size=1"; }
