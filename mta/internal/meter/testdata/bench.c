// The work that BenchmarkMeter measures: freestanding, one export a kernel.
// Each takes how much to do and returns a number that depends on all of it.
#define EXPORT(name) __attribute__((export_name(#name)))
typedef unsigned char u8;
typedef unsigned int u32;

static u8 text[1 << 16], coded[1 << 17];
static u32 numbers[1 << 14];
static u32 seed;

static u32 next(void) { return seed = seed * 1664525 + 1013904223; }

EXPORT(empty) u32 empty(u32 n) {
	u32 i = 0;
	while (i < n) { i++; __asm__ volatile("" : "+r"(i)); }
	return i;
}

EXPORT(fib) u32 fib(u32 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

EXPORT(base64) u32 base64(u32 n) {
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	u32 sum = 0;
	for (u32 i = 0; i < sizeof text; i++) text[i] = i * 7;
	while (n--) {
		u8 *out = coded;
		for (u32 i = 0; i + 2 < sizeof text; i += 3) {
			u32 v = text[i] << 16 | text[i + 1] << 8 | text[i + 2];
			*out++ = digits[v >> 18]; *out++ = digits[v >> 12 & 63];
			*out++ = digits[v >> 6 & 63]; *out++ = digits[v & 63];
		}
		sum += coded[n % sizeof coded];
	}
	return sum;
}

static void sift(u32 *a, u32 i, u32 n) {
	for (u32 c; (c = 2 * i + 1) < n; i = c) {
		if (c + 1 < n && a[c + 1] > a[c]) c++;
		if (a[i] >= a[c]) return;
		u32 t = a[i]; a[i] = a[c]; a[c] = t;
	}
}

EXPORT(sort) u32 sort(u32 rounds) {
	const u32 n = sizeof numbers / sizeof *numbers;
	while (rounds--) {
		for (u32 i = 0; i < n; i++) numbers[i] = next();
		for (u32 i = n / 2; i--;) sift(numbers, i, n);
		for (u32 m = n - 1; m; m--) {
			u32 t = numbers[0]; numbers[0] = numbers[m]; numbers[m] = t;
			sift(numbers, 0, m);
		}
	}
	return numbers[n / 2];
}

#define ROT(x, k) ((x) >> (k) | (x) << (32 - (k)))
static void sha256(u32 h[8], const u8 *p) {
	static u32 k[64];
	u32 w[64], s[8];
	if (!k[0]) for (u32 i = 0; i < 64; i++) k[i] = next();
	for (u32 i = 0; i < 16; i++) w[i] = p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 | p[4 * i + 3];
	for (u32 i = 16; i < 64; i++)
		w[i] = w[i - 16] + w[i - 7] + (ROT(w[i - 15], 7) ^ ROT(w[i - 15], 18) ^ w[i - 15] >> 3) +
		       (ROT(w[i - 2], 17) ^ ROT(w[i - 2], 19) ^ w[i - 2] >> 10);
	for (u32 i = 0; i < 8; i++) s[i] = h[i];
	for (u32 i = 0; i < 64; i++) {
		u32 a = s[7] + (ROT(s[4], 6) ^ ROT(s[4], 11) ^ ROT(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
		u32 b = (ROT(s[0], 2) ^ ROT(s[0], 13) ^ ROT(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
		for (u32 j = 7; j; j--) s[j] = s[j - 1];
		s[4] += a; s[0] = a + b;
	}
	for (u32 i = 0; i < 8; i++) h[i] += s[i];
}

EXPORT(sha) u32 sha(u32 n) {
	u32 h[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	while (n--)
		for (u32 i = 0; i < sizeof text; i += 64) sha256(h, text + i);
	return h[0];
}

// A header section searched for a field, octet by octet, as filters do.
EXPORT(scan) u32 scan(u32 n) {
	static const char want[] = "x-spam-flag:";
	u32 found = 0;
	for (u32 i = 0; i < sizeof text; i++) text[i] = i % 61 ? "X-Spam-Score: 0"[i % 15] : '\n';
	while (n--)
		for (u32 i = 0; i < sizeof text - sizeof want; i++) {
			if (i && text[i - 1] != '\n') continue;
			u32 j = 0;
			while (want[j] && (text[i + j] | 32) == want[j]) j++;
			found += j;
		}
	return found;
}

// An interpreter of a small machine: a loop around a switch.
EXPORT(interpret) u32 interpret(u32 n) {
	static const u8 program[] = {0, 1, 2, 3, 1, 4, 5, 0, 6, 2, 7, 3, 1, 8};
	u32 acc = 1, x = 3, pc = 0, left = n;
	for (;;) {
		switch (program[pc++]) {
		case 0: acc += x; break;
		case 1: x ^= acc; break;
		case 2: acc = ROT(acc, 5); break;
		case 3: x += numbers[acc & 1023]; break;
		case 4: numbers[x & 1023] = acc; break;
		case 5: if (acc & 1) x--; break;
		case 6: acc -= x >> 2; break;
		case 7: acc *= 3; break;
		case 8: if (!left--) return acc; pc = 0; break;
		}
	}
}

// Calls through pointers, and many small copies.
static u32 add(u32 a, u32 b) { return a + b; }
static u32 sub(u32 a, u32 b) { return a - b; }
static u32 mix(u32 a, u32 b) { return ROT(a, 3) ^ b; }
EXPORT(pointers) u32 pointers(u32 n) {
	u32 (*const ops[])(u32, u32) = {add, sub, mix, add};
	u32 acc = 7;
	for (u32 i = 0; i < n; i++) acc = ops[acc & 3](acc, i);
	return acc;
}

EXPORT(copies) u32 copies(u32 n) {
	for (u32 i = 0; i < n; i++) __builtin_memcpy(coded + (i & 1023), text + (i & 511), 20 + (i & 63));
	return coded[77];
}
