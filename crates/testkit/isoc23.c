/* The five symbols of glibc 2.38 and GCC 13 that the conformance runner asks for, on a Debian 12
   that has 2.36 and GCC 12; see weaken.py.

   C23 only adds the prefix 0b to these functions. The runner reads decimal numbers with them. */
#include <stdlib.h>

#define SAME(type, function)                                        \
    type __isoc23_##function(const char *text, char **end, int base) { \
        return function(text, end, base);                           \
    }
SAME(long, strtol)
SAME(long long, strtoll)
SAME(unsigned long, strtoul)
SAME(unsigned long long, strtoull)

/* Standard streams are made by each object file up to GCC 12, so nothing is left to do. */
void _ZSt21ios_base_library_initv(void) {}
