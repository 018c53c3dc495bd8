// The CNI executable: hands one CNI call to the node worker over a unix socket and prints the answer (plugins/README.md).
// The frames are those of contracts/frame.ts. No threads, no children, no allocation: one call, fixed buffers, poll(2).
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// Times and directories can be changed when compiling, and only then: the environment of a CNI call is not trusted.
#ifndef RECONNECT_MS
#define RECONNECT_MS 10000 // ADD, CHECK, GC: how long a worker may be away, from the first failure on
#endif
#ifndef DEL_RECONNECT_MS
#define DEL_RECONNECT_MS 1000
#endif
#ifndef ANSWER_MS
#define ANSWER_MS 90000 // ADD, CHECK, GC: the whole call
#endif
#ifndef DEL_ANSWER_MS
#define DEL_ANSWER_MS 10000 // the worker itself answers a DEL within 5 s
#endif
#ifndef RUN_DIRECTORY
#define RUN_DIRECTORY "/run/orbweaver"
#endif
#ifndef QUEUE_DIRECTORY
#define QUEUE_DIRECTORY "/var/lib/orbweaver/queue"
#endif
#define RETRY_MS 50
#define ALIVE_MS 30000 // the worker touches `alive` every 5 s

enum { FRAME_VERSION = 1, REQUEST_HEADER = 16, REPLY_HEADER = 12, NONCE = 32 };
enum { ENV_LIMIT = 64 << 10, STDIN_LIMIT = 512 << 10, STDOUT_LIMIT = 1 << 20 };
// CNI spec 1.1.0, "Error".
enum { BAD_VERSION = 1, BAD_ENVIRONMENT = 4, IO_FAILURE = 5, TOO_LARGE = 6, BAD_CONFIG = 7, TRY_LATER = 11, NOT_AVAILABLE = 50 };

static const char *const supported[] = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};
static const char *const forwarded[] = {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS",  "CNI_IFNAME",
                                        "CNI_ARGS",    "CNI_PATH",        "TRACEPARENT"};
static const char start_worker[] = "Start the Orbweaver node worker of this node, or see in its log why it does not answer";
#define COUNT(list) (sizeof(list) / sizeof *(list))

static uint8_t request[REQUEST_HEADER + ENV_LIMIT + STDIN_LIMIT + NONCE];
static uint8_t reply[REPLY_HEADER + STDOUT_LIMIT];
static char nonce[NONCE + 1];
static char asked_version[32]; // cniVersion of the network configuration, cut to fit; empty when it names none
static const char *run = RUN_DIRECTORY, *queue = QUEUE_DIRECTORY;

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static bool write_all(int fd, const void *bytes, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t n = write(fd, (const char *)bytes + done, length - done);
    if (n >= 0) done += (size_t)n;
    else if (errno != EINTR) return false;
  }
  return true;
}

static bool is_supported(const char *version) {
  for (size_t i = 0; i < COUNT(supported); i++)
    if (strcmp(supported[i], version) == 0) return true;
  return false;
}

// Bytes outside printable ASCII become \u00XX: always valid JSON, whatever the environment held.
static char *put_json_string(char *to, const char *text, size_t limit) {
  *to++ = '"';
  for (; *text && limit; text++, limit--) {
    unsigned char c = (unsigned char)*text;
    if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') to += sprintf(to, "\\u%04x", c);
    else *to++ = (char)c;
  }
  *to++ = '"';
  return to;
}

// Prints a CNI error where libcni reads it, on stdout, and exits.
__attribute__((format(printf, 3, 4)))
static _Noreturn void fail(int code, const char *details, const char *format, ...) {
  char message[512], json[6 * (sizeof message + sizeof message) + 128];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  const char *version = is_supported(asked_version) ? asked_version : "1.1.0";
  char *end = json + sprintf(json, "{\"cniVersion\":\"%s\",\"code\":%d,\"msg\":", version, code);
  end = put_json_string(end, message, sizeof message);
  end += sprintf(end, ",\"details\":");
  end = put_json_string(end, details, sizeof message);
  end += sprintf(end, "}\n");
  write_all(STDOUT_FILENO, json, (size_t)(end - json));
  _exit(1);
}

// Finds the top-level "cniVersion" of a JSON text that need not be valid. As in JSON.parse, the last one counts.
static void scan_version(const char *json, size_t length) {
  const char *end = json + length, *string = json;
  size_t string_length = 0;
  int depth = 0;
  bool is_version = false; // the value that comes next belongs to "cniVersion"
  for (const char *p = json; p < end; p++) {
    if (*p == '{' || *p == '[') depth++;
    else if (*p == '}' || *p == ']') depth--;
    else if (*p == ',' && depth == 1) is_version = false;
    else if (*p == ':' && depth == 1) is_version = string_length == 10 && memcmp(string, "cniVersion", 10) == 0;
    else if (*p == '"') {
      string = ++p;
      while (p < end && *p != '"') p += *p == '\\' ? 2 : 1;
      string_length = (size_t)(p - string);
      if (p >= end) return;
      if (depth != 1 || !is_version) continue;
      snprintf(asked_version, sizeof asked_version, "%.*s", (int)string_length, string);
    }
  }
}

static char *trimmed(char *text) {
  char *end = text + strlen(text);
  while (end > text && isspace((unsigned char)end[-1])) *--end = 0;
  while (isspace((unsigned char)*text)) text++;
  return text;
}

// Reads `orbweaver.conf` beside this executable: lines `key = value`. An absent file or key leaves the default.
static void read_conf(void) {
  static char conf[4096], path[4096 + sizeof "orbweaver.conf"]; // `run` and `queue` may point into conf
  const char *const remedy = "Lines are `run = /directory` and `queue = /directory`";
  if (readlink("/proc/self/exe", path, 4096) <= 0)
    fail(IO_FAILURE, strerror(errno), "Cannot find orbweaver.conf: /proc/self/exe is not readable");
  strcpy(strrchr(path, '/') + 1, "orbweaver.conf");
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return;
  ssize_t size = fd < 0 ? -1 : read(fd, conf, sizeof conf);
  if (size < 0) fail(BAD_CONFIG, strerror(errno), "Cannot read %.400s", path);
  if (size == sizeof conf) fail(BAD_CONFIG, remedy, "Cannot use %.400s: it is too large", path);
  close(fd);
  char *rest = conf;
  for (char *line; (line = strsep(&rest, "\n"));) {
    char *key = strsep(&line, "=");
    if (!line) continue;
    key = trimmed(key);
    if (strcmp(key, "run") == 0) run = trimmed(line);
    if (strcmp(key, "queue") == 0) queue = trimmed(line);
  }
  size_t longest = sizeof((struct sockaddr_un *)0)->sun_path - sizeof "/socket";
  if (run[0] != '/' || queue[0] != '/') fail(BAD_CONFIG, remedy, "Cannot use %.400s: a path is not absolute", path);
  if (strlen(run) > longest)
    fail(BAD_CONFIG, remedy, "Cannot use %.400s: `run` has %zu bytes, a socket path takes %zu", path, strlen(run), longest);
}

static int answer_version(void) {
  char json[512];
  char *end = json + sprintf(json, "{\"cniVersion\":");
  end = put_json_string(end, asked_version[0] ? asked_version : "1.1.0", sizeof asked_version);
  end += sprintf(end, ",\"supportedVersions\":[");
  for (size_t i = 0; i < COUNT(supported); i++) end += sprintf(end, "%s\"%s\"", i ? "," : "", supported[i]);
  end += sprintf(end, "]}\n");
  return write_all(STDOUT_FILENO, json, (size_t)(end - json)) ? 0 : 1;
}

// Without the worker, so that a rolling update of it does not make the node NotReady.
static int answer_status(void) {
  char path[128];
  struct stat alive;
  if (asked_version[0] && !is_supported(asked_version))
    fail(BAD_VERSION, "Supported: 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0", "Cannot answer in CNI version \"%s\"", asked_version);
  snprintf(path, sizeof path, "%s/alive", run);
  if (stat(path, &alive))
    fail(NOT_AVAILABLE, start_worker, "The node worker has not run since this boot: %s: %s", path, strerror(errno));
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  long long age_ms = (now.tv_sec - alive.st_mtim.tv_sec) * 1000LL + (now.tv_nsec - alive.st_mtim.tv_nsec) / 1000000;
  if (age_ms > ALIVE_MS)
    fail(NOT_AVAILABLE, start_worker, "The node worker has not run for %lld s: see the time of %s", age_ms / 1000, path);
  return 0;
}

static void put_u32(uint8_t *to, size_t value) {
  for (int i = 0; i < 4; i++) to[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t get_u32(const uint8_t *from) {
  return from[0] | from[1] << 8 | from[2] << 16 | (uint32_t)from[3] << 24;
}

// Appends `KEY=VALUE` and its NUL to the environment of the request; returns false when that is full.
static bool put_env(size_t *length, const char *key, const char *value) {
  size_t room = ENV_LIMIT - *length, need = strlen(key) + strlen(value) + 2;
  if (need > room) return false;
  *length += (size_t)sprintf((char *)request + REQUEST_HEADER + *length, "%s=%s", key, value) + 1;
  return true;
}

static void make_nonce(void) {
  uint8_t bytes[NONCE / 2];
  while (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
    if (errno != EINTR) fail(IO_FAILURE, strerror(errno), "Cannot read random bytes");
  for (size_t i = 0; i < sizeof bytes; i++) sprintf(nonce + 2 * i, "%02x", bytes[i]);
}

// Waits for a socket; returns false at the deadline.
static bool is_ready(int fd, short events, int64_t deadline_ms) {
  for (;;) {
    int64_t left = deadline_ms - now_ms();
    if (left <= 0) return false;
    struct pollfd one = {.fd = fd, .events = events};
    if (poll(&one, 1, (int)left) > 0) return true;
  }
}

// Sends the whole request and receives one whole reply; returns NULL, or what went wrong.
static const char *exchange(int fd, size_t length, int64_t deadline_ms) {
  for (size_t sent = 0; sent < length;) {
    ssize_t n = send(fd, request + sent, length - sent, 0);
    if (n >= 0) sent += (size_t)n;
    else if (errno == EAGAIN && !is_ready(fd, POLLOUT, deadline_ms)) return "it did not take the request in time";
    else if (errno != EAGAIN && errno != EINTR) break; // a worker that refused the frame half-way has answered: read it
  }
  size_t got = 0, need = REPLY_HEADER;
  while (got < need) {
    ssize_t n = recv(fd, reply + got, need - got, 0);
    if (n == 0) return "it closed the connection before the whole reply";
    if (n < 0 && errno == EAGAIN && !is_ready(fd, POLLIN, deadline_ms)) return "it did not answer in time";
    if (n < 0 && errno != EAGAIN && errno != EINTR) return strerror(errno);
    if (n > 0) got += (size_t)n;
    if (got != REPLY_HEADER) continue;
    if (get_u32(reply) != FRAME_VERSION) return "its reply has another frame version";
    if (get_u32(reply + 4) > 255) return "its reply has an exit code above 255";
    if (get_u32(reply + 8) > STDOUT_LIMIT) return "its reply is too large";
    need = REPLY_HEADER + get_u32(reply + 8);
  }
  return NULL;
}

// One connection. Closing it tells the worker that nobody waits any more.
static const char *attempt(size_t length, int64_t deadline_ms) {
  struct sockaddr_un worker = {.sun_family = AF_UNIX};
  snprintf(worker.sun_path, sizeof worker.sun_path, "%s/socket", run);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return strerror(errno);
  bool connected = connect(fd, (struct sockaddr *)&worker, sizeof worker) == 0; // at once, or EAGAIN: backlog full
  const char *problem = connected ? exchange(fd, length, deadline_ms) : strerror(errno);
  close(fd);
  return problem;
}

// Repeats the same request, with the same nonce, until a whole reply is there. A worker may restart meanwhile.
static const char *call_worker(size_t length, int64_t reconnect_ms, int64_t answer_ms) {
  int64_t deadline_ms = now_ms() + answer_ms, reconnect_until_ms = 0;
  for (const char *problem; (problem = attempt(length, deadline_ms));) {
    int64_t now = now_ms();
    if (!reconnect_until_ms) reconnect_until_ms = now + reconnect_ms;
    if (now >= reconnect_until_ms || now >= deadline_ms) return problem;
    poll(NULL, 0, RETRY_MS);
  }
  return NULL;
}

// Writes the request to the queue. True once it is durable; else errno says why not.
static bool enqueue(size_t length) {
  char temporary[64], name[64];
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  snprintf(temporary, sizeof temporary, ".tmp-%s", nonce);
  snprintf(name, sizeof name, "%011lld%09ld-%s.frame", (long long)now.tv_sec, now.tv_nsec, nonce);
  int directory = open(queue, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return false;
  int file = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return false;
  if (write_all(file, request, length) && fsync(file) == 0 && renameat(directory, temporary, directory, name) == 0)
    return fsync(directory) == 0;
  int cause = errno;
  unlinkat(directory, temporary, 0);
  errno = cause;
  return false;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  const char *path = argc > 0 ? argv[0] : "", *slash = strrchr(path, '/'), *oversized = NULL;
  size_t env = 0;
  for (size_t i = 0; i < COUNT(forwarded); i++) {
    const char *value = getenv(forwarded[i]);
    if (value && !put_env(&env, forwarded[i], value)) oversized = forwarded[i];
  }
  if (!put_env(&env, "ORBWEAVER_PLUGIN", slash ? slash + 1 : path)) oversized = "the executable's name";

  uint8_t *input = request + REQUEST_HEADER + env; // the byte above the limit lands where the nonce will stand
  size_t size = 0;
  for (ssize_t n; size <= STDIN_LIMIT && (n = read(STDIN_FILENO, input + size, STDIN_LIMIT + 1 - size)) != 0;)
    if (n > 0) size += (size_t)n;
    else if (errno != EINTR) fail(IO_FAILURE, strerror(errno), "Cannot read the network configuration from stdin");
  scan_version((const char *)input, size);

  const char *const commands = "The container runtime sets it to ADD, DEL, CHECK, GC, STATUS or VERSION";
  const char *command = getenv("CNI_COMMAND");
  if (!command) fail(BAD_ENVIRONMENT, commands, "CNI_COMMAND is not set");
  if (strcmp(command, "VERSION") == 0) return answer_version();
  bool del = strcmp(command, "DEL") == 0, status = strcmp(command, "STATUS") == 0;
  if (!del && !status && strcmp(command, "ADD") && strcmp(command, "CHECK") && strcmp(command, "GC"))
    fail(BAD_ENVIRONMENT, commands, "CNI_COMMAND has an unknown value: \"%.99s\"", command);
  read_conf();
  if (status) return answer_status();
  if (oversized) fail(BAD_ENVIRONMENT, "", "The environment is too large: %s exceeds its %d bytes", oversized, ENV_LIMIT);
  if (size > STDIN_LIMIT) fail(TOO_LARGE, "", "The network configuration is too large: at most %d bytes", STDIN_LIMIT);

  make_nonce();
  memcpy(input + size, nonce, NONCE);
  put_u32(request, FRAME_VERSION);
  put_u32(request + 4, env);
  put_u32(request + 8, size);
  put_u32(request + 12, NONCE);
  size_t length = REQUEST_HEADER + env + size + NONCE;
  const char *problem = call_worker(length, del ? DEL_RECONNECT_MS : RECONNECT_MS, del ? DEL_ANSWER_MS : ANSWER_MS);
  if (!problem) return write_all(STDOUT_FILENO, reply + REPLY_HEADER, get_u32(reply + 8)) ? (int)get_u32(reply + 4) : 1;
  if (!del) fail(TRY_LATER, start_worker, "No answer from the node worker at %s/socket: %s", run, problem);
  if (enqueue(length)) return 0;
  const char *cause = strerror(errno);
  fail(TRY_LATER, start_worker, "No answer from the node worker at %s/socket (%s), and DEL cannot be queued in %.200s: %s", run,
       problem, queue, cause);
}
