/* Included before every unit of llama.cpp: GCC before 12.4 and 13.3 tells the optimizer that `_tile_loadconfig` reads the
   first 8 of its 64 bytes, so that stores of the others are lost, and the first tile instruction ends the process (SIGILL).
   GCC's bug 114098. */
#if defined(__AMX_TILE__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#undef _tile_loadconfig
#define _tile_loadconfig(config) __asm__ volatile("ldtilecfg %0" ::"m"(*(const char(*)[64])(config)) : "memory")
#endif
