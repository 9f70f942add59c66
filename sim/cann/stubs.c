/* SPDX-License-Identifier: Apache-2.0
 * The functions of CANN that torch-npu needs an answer from, for a node without an NPU: device memory is host memory,
 * everything is done at once. All other functions are generated (stubs.py) and return 0. Hardware: node.conf. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONF "/etc/ascend-sim/node.conf"
#define INVALID_DEVICE 107001
#define DRIVER_ERROR 507899
#define INVALID_FILE 100003
#define VERSION_ROOM 128
#define TOTAL_GLOBAL_MEM_SIZE 301

/* Take the value of a key from a file of key=value lines; return 1 where it is there. */
static int value_of(const char *path, const char *key, char *value, size_t room) {
  char line[256];
  size_t length = strlen(key);
  FILE *file = fopen(path, "r");
  int found = 0;
  while (file && !found && fgets(line, sizeof line, file)) {
    found = strncmp(line, key, length) == 0 && line[length] == '=';
    if (found) snprintf(value, room, "%.*s", (int)strcspn(line + length + 1, "\n"), line + length + 1);
  }
  if (file) fclose(file);
  return found;
}

static const char *setting(const char *key, const char *otherwise) {
  static _Thread_local char value[256];
  return value_of(CONF, key, value, sizeof value) ? value : otherwise;
}

/* CANN tells of trouble in a log of the process, not on its output. */
static void log_error(const char *path, int number) {
  char name[4096];
  const char *place = getenv("ASCEND_PROCESS_LOG_PATH"), *home = getenv("HOME");
  int pid = (int)getpid();
  snprintf(name, sizeof name, "%s%s/debug/plog/plog-%d.log", place ? place : home ? home : "/root",
           place ? "" : "/ascend/log", pid);
  for (char *end = strchr(name + 1, '/'); end; end = strchr(end + 1, '/')) {
    *end = 0;
    mkdir(name, 0750);
    *end = '/';
  }
  FILE *file = fopen(name, "a");
  if (!file) return;
  fprintf(file, "[ERROR] DRV(%d,python):[devmng] open %s failed, errno=%d: %s\n", pid, path, number, strerror(number));
  fprintf(file, "[ERROR] ASCENDCL(%d,python):get device count failed, runtime result = %d\n", pid, DRIVER_ERROR);
  fclose(file);
}

/* The driver opens its device files for reading and writing: whoever may not do that has no cards (vllm-ascend#9490). */
static int opened(const char *path) {
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0 && errno == EACCES) {
    log_error(path, errno);
    return 0;
  }
  if (file >= 0) close(file);
  return 1;
}

/* ASCEND_RT_VISIBLE_DEVICES: a list of card numbers; the first that is no card ends it. */
static int visible_cards(void) {
  int cards = atoi(setting("driver", "present")[0] == 'a' ? "0" : setting("card_count", "8"));
  const char *list = getenv("ASCEND_RT_VISIBLE_DEVICES");
  if (!list) return cards;
  int count = 0;
  while (*list) {
    char *end;
    long card = strtol(list, &end, 10);
    if (end == list || card < 0 || card >= cards) break;
    count++;
    list = *end == ',' ? end + 1 : end;
  }
  return count;
}

/* The card that a device of this process is: the first visible one is its device 0. */
static int card_of(int32_t device) {
  const char *list = getenv("ASCEND_RT_VISIBLE_DEVICES");
  while (list && device-- > 0) {
    list = strchr(list, ',');
    if (list) list++;
  }
  return list ? atoi(list) : device;
}

static _Thread_local int32_t current_device;
static int handle;

static int hand_out(void **result) {
  *result = &handle;
  return 0;
}

static int take(void **result, size_t size) { return posix_memalign(result, 512, size ? size : 1) ? 207001 : 0; }

int aclInit(const char *config) {
  (void)config;
  return 0;
}
int aclFinalize(void) { return 0; }
int aclrtResetDevice(int32_t device) { return device < 0 || device >= visible_cards() ? INVALID_DEVICE : 0; }

int aclrtGetDeviceCount(uint32_t *count) {
  *count = 0;
  if (!opened("/dev/davinci_manager")) return DRIVER_ERROR;
  *count = (uint32_t)visible_cards();
  return 0;
}

const char *aclrtGetSocName(void) {
  static char name[64];
  snprintf(name, sizeof name, "Ascend%s", setting("chip_name", "910B3"));
  return name;
}

int aclrtSetDevice(int32_t device) {
  if (device < 0 || device >= visible_cards()) return INVALID_DEVICE;
  current_device = device;
  char fault[32], path[32];
  snprintf(path, sizeof path, "/dev/davinci%d", card_of(device));
  if (!opened(path)) return DRIVER_ERROR;
  snprintf(fault, sizeof fault, "device_error.%d", card_of(device));
  return atoi(setting(fault, "0"));
}

int aclrtGetDevice(int32_t *device) {
  *device = current_device;
  return 0;
}

static size_t total_memory(void) { return (size_t)atol(setting("hbm_total_mb", "65536")) << 20; }

int aclrtGetMemInfo(int kind, size_t *available, size_t *total) {
  (void)kind;
  *total = total_memory();
  *available = *total - ((size_t)3300 << 20);
  return 0;
}

/* From 8.5 on torch-npu asks so for the memory of a card; of its cores nothing is known. */
int aclrtGetDeviceInfo(uint32_t device, int what, int64_t *value) {
  if ((int64_t)device >= visible_cards()) return INVALID_DEVICE;
  *value = what == TOTAL_GLOBAL_MEM_SIZE ? (int64_t)total_memory() : 0;
  return 0;
}

int aclrtMalloc(void **result, size_t size, int policy) {
  (void)policy;
  return take(result, size);
}
int aclrtMallocAlign32(void **result, size_t size, int policy) {
  (void)policy;
  return take(result, size);
}
int aclrtMallocHost(void **result, size_t size) { return take(result, size); }
int aclrtFree(void *memory) {
  free(memory);
  return 0;
}
int aclrtFreeHost(void *memory) {
  free(memory);
  return 0;
}

/* Virtual memory, with which the allocator makes its segments grow (PYTORCH_NPU_ALLOC_CONF=expandable_segments:True):
 * room is reserved, and pieces of it are backed by memory later. */
struct piece {
  void *begin;
  size_t size;
  struct piece *next;
};
static struct piece *pieces;
static pthread_mutex_t pieces_lock = PTHREAD_MUTEX_INITIALIZER;

static void keep_piece(void *begin, size_t size) {
  struct piece *made = malloc(sizeof *made);
  pthread_mutex_lock(&pieces_lock);
  *made = (struct piece){begin, size, pieces};
  pieces = made;
  pthread_mutex_unlock(&pieces_lock);
}

/* The size of what begins there, 0 where nothing does. */
static size_t drop_piece(void *begin) {
  size_t size = 0;
  pthread_mutex_lock(&pieces_lock);
  for (struct piece **at = &pieces; *at; at = &(*at)->next) {
    if ((*at)->begin != begin) continue;
    struct piece *gone = *at;
    size = gone->size;
    *at = gone->next;
    free(gone);
    break;
  }
  pthread_mutex_unlock(&pieces_lock);
  return size;
}

int aclrtReserveMemAddress(void **result, size_t size, size_t alignment, void *expected, uint64_t flags) {
  (void)alignment, (void)flags;
  *result = mmap(expected, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (*result == MAP_FAILED) return 207001;
  keep_piece(*result, size);
  return 0;
}
int aclrtReleaseMemAddress(void *begin) {
  size_t size = drop_piece(begin);
  return size ? munmap(begin, size) : 107000;
}
int aclrtMallocPhysical(void **result, size_t size, const void *kind, uint64_t flags) {
  (void)size, (void)kind, (void)flags;
  return hand_out(result);
}
int aclrtFreePhysical(void *physical) {
  (void)physical;
  return 0;
}
int aclrtMapMem(void *begin, size_t size, size_t offset, void *physical, uint64_t flags) {
  (void)offset, (void)physical, (void)flags;
  return mprotect(begin, size, PROT_READ | PROT_WRITE) ? 207001 : 0;
}
int aclrtUnmapMem(void *begin) {
  (void)begin; /* It gives back nothing: the reservation does, at its end. */
  return 0;
}

int aclrtMemcpy(void *to, size_t room, const void *from, size_t size, int kind) {
  (void)room, (void)kind;
  memcpy(to, from, size);
  return 0;
}
int aclrtMemcpyAsync(void *to, size_t room, const void *from, size_t size, int kind, void *stream) {
  (void)stream;
  return aclrtMemcpy(to, room, from, size, kind);
}
int aclrtMemset(void *memory, size_t room, int32_t value, size_t size) {
  (void)room;
  memset(memory, value, size);
  return 0;
}

int aclrtCreateContext(void **context, int32_t device) {
  (void)device;
  return hand_out(context);
}
int aclrtGetCurrentContext(void **context) { return hand_out(context); }
int aclrtCreateStream(void **stream) { return hand_out(stream); }
int aclrtCreateStreamWithConfig(void **stream, uint32_t priority, uint32_t flag) {
  (void)priority, (void)flag;
  return hand_out(stream);
}
int aclrtCreateEvent(void **event) { return hand_out(event); }
int aclrtCreateEventWithFlag(void **event, uint32_t flag) {
  (void)flag;
  return hand_out(event);
}
int aclrtCreateEventExWithFlag(void **event, uint32_t flag) {
  (void)flag;
  return hand_out(event);
}
int aclrtQueryEventStatus(void *event, int *status) {
  (void)event;
  *status = 1;
  return 0;
}

/* What version.info says of a part, in the place of either layout: the folder's name where that is a version. */
static int version_of(const char *part, char *version) {
  const char *home = getenv("ASCEND_HOME_PATH");
  const char *places[] = {"%s/share/info/%s/version.info", "%s/%s/version.info"};
  for (int place = 0; home && part && place < 2; place++) {
    char path[4096];
    snprintf(path, sizeof path, places[place], home, part);
    if (value_of(path, "version_dir", version, VERSION_ROOM) && strpbrk(version, "0123456789")) return 0;
    if (value_of(path, "Version", version, VERSION_ROOM)) return 0;
  }
  return INVALID_FILE;
}

/* The numbers that the version is made of stand behind its text: nobody asks for them. */
int aclsysGetCANNVersion(int package, char *version) {
  const char *parts[] = {"runtime", "runtime", "compiler", "hccl", "toolkit", "opp", "opp_kernel", NULL};
  memset(version, 0, 2 * VERSION_ROOM + 4 * 64);
  return package < 0 || package > 7 ? INVALID_FILE : version_of(parts[package], version);
}
int aclsysGetVersionStr(char *part, char *version) { return version_of(part, version); }

size_t aclGetCompileoptSize(int option) {
  (void)option;
  return 8;
}
int aclGetCompileopt(int option, char *value, size_t room) {
  (void)option;
  snprintf(value, room, "enable");
  return 0;
}
const char *aclGetRecentErrMsg(void) { return ""; }

/* Of the library of secure functions that CANN's own libraries bring. */
int strcpy_s(char *to, size_t room, const char *from) {
  if (!to || !from || strlen(from) >= room) return ERANGE;
  strcpy(to, from);
  return 0;
}
int vsnprintf_s(char *to, size_t room, size_t most, const char *format, va_list words) {
  int length = vsnprintf(to, most < room ? most + 1 : room, format, words);
  return length < 0 || (size_t)length > most || (size_t)length >= room ? -1 : length;
}
