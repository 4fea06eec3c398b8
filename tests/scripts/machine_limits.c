/* What a machine can do at most, for the benchmark of the engine to be measured against:
 *
 *     machine_limits THREADS BYTES   prints {"read": bytes a second, "int8": operations a second}
 *
 * "read": BYTES, in pages of 2 MiB where the kernel grants them, read again and again by all threads together, each
 * its own part in eight streams with prefetching. "int8": products of bytes summed in registers by the widest
 * instructions there are for it, AVX-512 VNNI or AVX2; a multiplication and its addition are two operations. Each is
 * the best of several rounds, from the first thread's start to the last one's end by the threads' own clocks: the main
 * thread may wait for a core. Compiled by the driver with `gcc -O2 -pthread`; on other processors than x86-64 it prints
 * null for "int8".
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define MAX_THREADS 256
#define ROUNDS 50
#define LARGE_PAGE (2u << 20)
#define INT8_STEPS 1000000u
#define STREAMS 8
#define PREFETCH 1024

/* When a thread began and ended its part of a round. */
typedef struct {
    double began, ended;
} span;

static size_t part_bytes;
static pthread_barrier_t barrier;
static uint64_t *parts[MAX_THREADS];
static volatile uint64_t sink;
static span reads[MAX_THREADS][ROUNDS], products[MAX_THREADS][ROUNDS];
static uint64_t (*int8_loop)(uint32_t steps, uint64_t *operations);

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + 1e-9 * time.tv_nsec;
}

#ifdef __x86_64__
#include <immintrin.h>

__attribute__((target("avx2"))) static uint64_t read_part(const uint64_t *part, size_t bytes) {
    const char *at = (const char *)part;
    size_t stream = bytes / STREAMS / 64 * 64;
    __m256i sums[STREAMS];
    for (int index = 0; index < STREAMS; index++) sums[index] = _mm256_setzero_si256();
    for (size_t line = 0; line < stream; line += 64) {
#pragma GCC unroll 8
        for (int index = 0; index < STREAMS; index++) {
            const char *here = at + index * stream + line;
            _mm_prefetch(here + PREFETCH, _MM_HINT_T0);
            sums[index] = _mm256_add_epi64(sums[index], _mm256_load_si256((const __m256i *)here));
            sums[index] = _mm256_add_epi64(sums[index], _mm256_load_si256((const __m256i *)(here + 32)));
        }
    }
    for (int index = 1; index < STREAMS; index++) sums[0] = _mm256_add_epi64(sums[0], sums[index]);
    return (uint64_t)_mm256_extract_epi64(sums[0], 0);
}

/* Eight products a lane stay in 16 bits, then one instruction widens them. */
__attribute__((target("avx2"))) static uint64_t int8_avx2(uint32_t steps, uint64_t *operations) {
    __m256i weights = _mm256_set1_epi8(7), inputs = _mm256_set1_epi8(3), ones = _mm256_set1_epi16(1);
    __m256i sums[4] = {ones, ones, ones, ones};
    for (uint32_t step = 0; step < steps / 8; step++) {
        __asm__ volatile("" : "+x"(weights), "+x"(inputs));
#pragma GCC unroll 4
        for (int lane = 0; lane < 4; lane++) {
            __m256i chain = _mm256_setzero_si256();
#pragma GCC unroll 8
            for (int quad = 0; quad < 8; quad++) {
                __m256i products = _mm256_maddubs_epi16(weights, inputs);
                __asm__ volatile("" : "+x"(products));
                chain = _mm256_add_epi16(chain, products);
            }
            sums[lane] = _mm256_add_epi32(sums[lane], _mm256_madd_epi16(chain, ones));
        }
    }
    *operations = (uint64_t)(steps / 8) * 4 * 8 * 32 * 2;
    __m256i sum = _mm256_add_epi32(_mm256_add_epi32(sums[0], sums[1]), _mm256_add_epi32(sums[2], sums[3]));
    return (uint64_t)_mm256_extract_epi64(sum, 0);
}

__attribute__((target("avx512f,avx512vnni"))) static uint64_t int8_avx512(uint32_t steps, uint64_t *operations) {
    __m512i weights = _mm512_set1_epi8(7), inputs = _mm512_set1_epi8(3), sums[12];
    for (int lane = 0; lane < 12; lane++) sums[lane] = _mm512_setzero_si512();
    for (uint32_t step = 0; step < steps; step++) {
        __asm__ volatile("" : "+v"(weights), "+v"(inputs));
#pragma GCC unroll 12
        for (int lane = 0; lane < 12; lane++) sums[lane] = _mm512_dpbusd_epi32(sums[lane], weights, inputs);
    }
    *operations = (uint64_t)steps * 12 * 64 * 2;
    __m512i sum = sums[0];
    for (int lane = 1; lane < 12; lane++) sum = _mm512_add_epi32(sum, sums[lane]);
    return (uint64_t)_mm512_reduce_add_epi32(sum);
}

static void choose(void) {
    int8_loop = __builtin_cpu_supports("avx512vnni") ? int8_avx512 : int8_avx2;
}
#else
static uint64_t read_part(const uint64_t *part, size_t bytes) {
    uint64_t sum = 0;
    for (size_t at = 0; at < bytes / 8; at++) sum += part[at];
    return sum;
}

static void choose(void) {}
#endif

/* Each thread: its part of every round, all beginning together. First all the reading, then all the arithmetic: by
 * turns, wide products would lower the clock under the reading. */
static void *work(void *index) {
    size_t thread = (size_t)index;
    uint64_t operations = 0;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&barrier);
        reads[thread][round].began = now();
        sink += read_part(parts[thread], part_bytes);
        reads[thread][round].ended = now();
    }
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&barrier);
        products[thread][round].began = now();
        if (int8_loop) sink += int8_loop(INT8_STEPS, &operations);
        products[thread][round].ended = now();
    }
    return (void *)operations;
}

/* Seconds of the best round, from the first start to the last end. */
static double best(span spans[MAX_THREADS][ROUNDS], size_t threads) {
    double least = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        span all = spans[0][round];
        for (size_t thread = 1; thread < threads; thread++) {
            if (spans[thread][round].began < all.began) all.began = spans[thread][round].began;
            if (spans[thread][round].ended > all.ended) all.ended = spans[thread][round].ended;
        }
        if (all.ended - all.began < least) least = all.ended - all.began;
    }
    return least;
}

static void allocate(size_t threads) {
    for (size_t thread = 0; thread < threads; thread++) {
        parts[thread] = aligned_alloc(LARGE_PAGE, (part_bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE);
        if (!parts[thread]) exit(1);
        madvise(parts[thread], part_bytes, MADV_HUGEPAGE);
        for (size_t at = 0; at < part_bytes / 8; at++) parts[thread][at] = at;
    }
}

int main(int count, char **arguments) {
    size_t threads = count == 3 ? strtoul(arguments[1], NULL, 10) : 0;
    if (threads < 1 || threads > MAX_THREADS) {
        fprintf(stderr, "usage: machine_limits THREADS BYTES\n");
        return 2;
    }
    size_t bytes = strtoull(arguments[2], NULL, 10);
    part_bytes = bytes / threads;
    choose();
    allocate(threads);
    pthread_barrier_init(&barrier, NULL, threads);
    pthread_t ids[MAX_THREADS];
    for (size_t thread = 0; thread < threads; thread++) pthread_create(&ids[thread], NULL, work, (void *)thread);
    void *operations = NULL;
    for (size_t thread = 0; thread < threads; thread++) pthread_join(ids[thread], &operations);
    printf("{\"read\": %.0f, \"int8\": ", bytes / best(reads, threads));
    printf(operations ? "%.0f}\n" : "null}\n", threads * (double)(uintptr_t)operations / best(products, threads));
    return 0;
}
