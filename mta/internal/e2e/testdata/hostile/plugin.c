// Marks every message, and then does to the server what the message asks for.
#include "mta.h"

static volatile int32_t sink;

// bomb has no loop: each level calls the one below it twice.
#define LEVEL(n, below) __attribute__((noinline)) static void bomb##n(void) { bomb##below(); bomb##below(); sink++; }
__attribute__((noinline)) static void bomb0(void) { sink++; }
LEVEL(1, 0) LEVEL(2, 1) LEVEL(3, 2) LEVEL(4, 3) LEVEL(5, 4) LEVEL(6, 5) LEVEL(7, 6) LEVEL(8, 7) LEVEL(9, 8)
LEVEL(10, 9) LEVEL(11, 10) LEVEL(12, 11) LEVEL(13, 12) LEVEL(14, 13) LEVEL(15, 14) LEVEL(16, 15) LEVEL(17, 16)
LEVEL(18, 17) LEVEL(19, 18) LEVEL(20, 19) LEVEL(21, 20) LEVEL(22, 21) LEVEL(23, 22) LEVEL(24, 23) LEVEL(25, 24)
LEVEL(26, 25) LEVEL(27, 26) LEVEL(28, 27) LEVEL(29, 28) LEVEL(30, 29) LEVEL(31, 30) LEVEL(32, 31) LEVEL(33, 32)
LEVEL(34, 33) LEVEL(35, 34) LEVEL(36, 35) LEVEL(37, 36) LEVEL(38, 37) LEVEL(39, 38) LEVEL(40, 39)

static void loop(void) {
	for (;;) sink++;
}

__attribute__((noinline)) static int32_t deeper(int32_t n) { return sink < 0 ? 0 : deeper(n + 1) + sink; }
static void recursion(void) { sink = deeper(0) & 1; }

static void memory(void) {
	while (__builtin_wasm_memory_grow(0, 16) != (size_t)-1) {
	}
	for (size_t i = 0; i < __builtin_wasm_memory_size(0); i++) *(volatile char *)(i << 16) = 1;
	__builtin_trap();
}

static void fill(void) {
	for (;;) __builtin_memset((void *)(64 << 10), sink, (__builtin_wasm_memory_size(0) << 16) - (64 << 10));
}

static void log_flood(void) {
	for (;;) mta_log(MTA_LEVEL_ERROR, MTA_S("All work and no play makes Jack a dull boy. All work and no play makes Jack a dull boy."));
}

static void calls(void) {
	for (;;) sink += mta_rcpt_count();
}

static void headers(void) {
	for (;;) mta_hdr_insert(MTA_ROOT, MTA_INDEX_TOP, MTA_S("X-Flood"), MTA_S("water"));
}

static void pointer(void) { mta_hdr_insert(MTA_ROOT, MTA_INDEX_TOP, mta_bytes((void *)-16, 4096), MTA_S("")); }

static const struct {
	mta_str name;
	void (*run)(void);
} attacks[] = {
	{{"loop", 4}, loop}, {{"bomb", 4}, bomb40}, {{"recursion", 9}, recursion}, {{"memory", 6}, memory}, {{"fill", 4}, fill},
	{{"log", 3}, log_flood}, {{"calls", 5}, calls}, {{"headers", 7}, headers}, {{"pointer", 7}, pointer},
};

MTA_HOOK(on_message) {
	char buf[32];
	mta_hdr_insert(MTA_ROOT, MTA_INDEX_TOP, MTA_S("X-Hostile-Stage"), MTA_S("was here"));
	int32_t i = mta_hdr_find(MTA_ROOT, MTA_S("X-Attack"), 0);
	if (i < 0) return MTA_CONTINUE;
	int32_t n = mta_hdr_value(MTA_ROOT, i, MTA_HDR_DECODED, buf, sizeof buf);
	for (size_t k = 0; k < sizeof attacks / sizeof *attacks; k++)
		if (n > 0 && mta_equal(mta_bytes(buf, (size_t)n), attacks[k].name)) attacks[k].run();
	return MTA_CONTINUE;
}
