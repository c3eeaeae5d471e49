#include "callgrind_requests.h"

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
// Without valgrind's header, the program counts nothing; Benchmarks/bytes reports that.
#define CALLGRIND_TOGGLE_COLLECT (void)0
#define CALLGRIND_DUMP_STATS_AT(name) (void)(name)
#endif

void callgrind_toggle(void) { CALLGRIND_TOGGLE_COLLECT; }

void callgrind_dump(const char *name) { CALLGRIND_DUMP_STATS_AT(name); }
