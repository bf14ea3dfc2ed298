/* NVIDIA's driver on the host: "device" memory is malloc's, copies are memcpy, everything is done at once.
   It holds the calls that normdeploy makes, so that their arguments are tested where there is no GPU. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct { float when; } Event;

static float clock_ms;
static int live;

int live_objects(void) { return live; }

int cuInit(unsigned flags) { return flags == 0 ? 0 : 1; }
int cuDriverGetVersion(int *version) { *version = 13020; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return ordinal == 0 ? 0 : 101; }
int cuDeviceGetName(char *name, int length, int device) {
    strncpy(name, "Host Emulation", (size_t)length);
    return device == 0 ? 0 : 101;
}
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = &live; return device == 0 ? 0 : 101; }
int cuCtxSetCurrent(void *context) { return context == &live ? 0 : 201; }
int cuStreamCreate(void **stream, unsigned flags) { *stream = &clock_ms; return flags == 0 ? 0 : 1; }
int cuStreamSynchronize(void *stream) { return stream == &clock_ms ? 0 : 400; }
int cuMemAlloc_v2(uint64_t *address, size_t bytes) {
    if (bytes == 0) return 1;
    if (bytes > ((size_t)1 << 40)) return 2;
    void *memory = malloc(bytes);
    memset(memory, 0xa5, bytes);
    *address = (uint64_t)(uintptr_t)memory;
    ++live;
    return 0;
}
int cuMemFree_v2(uint64_t address) { free((void *)(uintptr_t)address); --live; return 0; }
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *stream) {
    memcpy((void *)(uintptr_t)to, from, bytes);
    return stream == &clock_ms ? 0 : 400;
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *stream) {
    memcpy(to, (const void *)(uintptr_t)from, bytes);
    return stream == &clock_ms ? 0 : 400;
}
int cuEventCreate(void **event, unsigned flags) { *event = calloc(1, sizeof(Event)); ++live; return flags == 0 ? 0 : 1; }
int cuEventRecord(void *event, void *stream) {
    ((Event *)event)->when = (clock_ms += 0.5f);
    return stream == &clock_ms ? 0 : 400;
}
int cuEventElapsedTime(float *elapsed, void *begin, void *end) {
    *elapsed = ((Event *)end)->when - ((Event *)begin)->when;
    return 0;
}
int cuEventDestroy_v2(void *event) { free(event); --live; return 0; }
int cuGetErrorString(int status, const char **text) { *text = status == 2 ? "out of memory" : "some error"; return 0; }
