/* NVIDIA's driver on the host: "device" memory is malloc's, copies are memcpy, everything is done at once.
   It holds the calls that normdeploy makes, so that their arguments are tested where there is no GPU. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct { float when; } Event;
typedef struct { uint64_t to, from; size_t bytes; } Copy;
typedef struct { int count; Copy copies[8]; } Graph;

static float clock_ms;
static int live, launches, invalid;
static size_t taken;
static Graph *capturing;
static const size_t total_memory = (size_t)1 << 40;

int live_objects(void) { return live; }
int graph_launches(void) { return launches; }

int cuInit(unsigned flags) { return flags == 0 ? 0 : 1; }
int cuDriverGetVersion(int *version) { *version = 13020; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return ordinal == 0 ? 0 : 101; }
int cuDeviceGetName(char *name, int length, int device) {
    strncpy(name, "Host Emulation", (size_t)length);
    return device == 0 ? 0 : 101;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = 1 << 20;
    return attribute == 38 && device == 0 ? 0 : 1;
}
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = &live; return device == 0 ? 0 : 101; }
int cuCtxSetCurrent(void *context) { return context == &live ? 0 : 201; }
int cuStreamCreate(void **stream, unsigned flags) { *stream = &clock_ms; return flags == 0 ? 0 : 1; }
int cuStreamSynchronize(void *stream) { return stream == &clock_ms ? 0 : 400; }
int cuMemAlloc_v2(uint64_t *address, size_t bytes) {
    if (capturing) { invalid = 1; return 900; }
    if (bytes == 0) return 1;
    if (bytes > total_memory) return 2;
    size_t *memory = malloc(bytes + 64);
    *memory = bytes;
    memset(memory + 8, 0xa5, bytes);
    *address = (uint64_t)(uintptr_t)(memory + 8);
    taken += bytes;
    ++live;
    return 0;
}
int cuMemFree_v2(uint64_t address) {
    size_t *memory = (size_t *)(uintptr_t)address - 8;
    taken -= *memory;
    free(memory);
    --live;
    return 0;
}
int cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
    *total = total_memory;
    *free_bytes = total_memory - taken;
    return 0;
}
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *stream) {
    memcpy((void *)(uintptr_t)to, from, bytes);
    return stream == &clock_ms ? 0 : 400;
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *stream) {
    memcpy(to, (const void *)(uintptr_t)from, bytes);
    return stream == &clock_ms ? 0 : 400;
}
int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void *stream) {
    if (stream != &clock_ms) return 400;
    if (!capturing) memcpy((void *)(uintptr_t)to, (const void *)(uintptr_t)from, bytes);
    else if (capturing->count == 8) return 1;
    else capturing->copies[capturing->count++] = (Copy){to, from, bytes};
    return 0;
}
int cuStreamBeginCapture_v2(void *stream, int mode) {
    if (stream != &clock_ms || capturing) return 400;
    capturing = calloc(1, sizeof(Graph));
    invalid = 0;
    ++live;
    return mode == 1 ? 0 : 1;
}
int cuStreamEndCapture(void *stream, void **graph) {
    if (stream != &clock_ms || !capturing) return 400;
    *graph = invalid ? NULL : capturing;
    if (invalid) { free(capturing); --live; }
    capturing = NULL;
    return invalid ? 901 : 0;
}
int cuGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long flags) {
    if (flags != 0) return 1;
    *executable = memcpy(malloc(sizeof(Graph)), graph, sizeof(Graph));
    ++live;
    return 0;
}
int cuGraphLaunch(void *executable, void *stream) {
    Graph *graph = executable;
    for (int i = 0; i < graph->count; ++i)
        cuMemcpyDtoDAsync_v2(graph->copies[i].to, graph->copies[i].from, graph->copies[i].bytes, stream);
    ++launches;
    return stream == &clock_ms ? 0 : 400;
}
int cuGraphDestroy(void *graph) { free(graph); --live; return graph ? 0 : 1; }
int cuGraphExecDestroy(void *executable) { free(executable); --live; return executable ? 0 : 1; }
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
