// Starts executables as a container runtime does, with vfork and never fork, and measures them (test/fleet/README.md).
// The frames on its stdin and stdout are those of launcher-frames.ts. One thread, and no signal handler that interrupts it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 64 << 10 };
enum { EXITED, KILLED, NOT_STARTED };
#define MILLISECOND INT64_C(1000000) // in nanoseconds

struct __attribute__((packed)) request { // little endian, as every machine that we build for
  uint32_t id, kill_after_ms, watches_memory, path_length, environment_length, input_length;
};
struct __attribute__((packed)) answer {
  uint32_t id, ending, code, peak_rss_kib, length;
  int64_t duration_ns, spawn_ns, started_at_ns;
};

struct bytes { uint8_t *at; size_t length, room; };

struct call {
  struct call *next;
  struct answer answer;
  pid_t pid;
  int process, in, out;   // its pidfd and our ends of its pipes; -1 once done with
  uint8_t *frame, *input; // the input is a part of the frame
  size_t input_left;
  struct bytes output;
  int64_t started_ns, kill_at_ns;
  bool watches_memory;
};

static struct call *calls;
static size_t open_calls;

static _Noreturn void give_up(const char *what) {
  fprintf(stderr, "launcher: %s: %s\n", what, strerror(errno));
  exit(1); // the children's pipes break
}

static int64_t now_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void close_once(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static void *allocated(void *memory) {
  if (!memory) give_up("no memory");
  return memory;
}

// Appends what one read(2) gives; returns its result.
static ssize_t read_more(int fd, struct bytes *to) {
  if (to->room - to->length < CHUNK) to->at = allocated(realloc(to->at, to->room = 2 * to->room + CHUNK));
  ssize_t n = read(fd, to->at + to->length, CHUNK);
  if (n > 0) to->length += (size_t)n;
  return n;
}

// Blocks while the runner is busy: it reads whatever it does, so there is no circle of waiting.
static void write_all(const void *bytes, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t n = write(STDOUT_FILENO, (const char *)bytes + done, length - done);
    if (n < 0) give_up("cannot answer");
    done += (size_t)n;
  }
}

static void answer_and_free(struct call *call, const void *bytes, size_t length) {
  call->answer.length = (uint32_t)length;
  write_all(&call->answer, sizeof call->answer);
  write_all(bytes, length);
  close_once(&call->process);
  close_once(&call->in);
  close_once(&call->out);
  free(call->frame);
  free(call->output.at);
  free(call);
}

// Writes what the pipe takes now.
static void feed(struct call *call) {
  while (call->input_left) {
    ssize_t n = write(call->in, call->input, call->input_left);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) break; // nobody reads it
    call->input += n;
    call->input_left -= (size_t)n;
  }
  close_once(&call->in);
}

// Starts the executable; returns 0 or an errno. The child gets fds 0, 1 and 2, no blocked and no ignored signal.
static int launch(struct call *call, char *path, char **environment) {
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC)) return errno;
  call->in = in[1];
  if (pipe2(out, O_CLOEXEC)) return close(in[0]), errno;
  call->out = out[0];
  fcntl(call->in, F_SETFL, O_NONBLOCK);
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  sigset_t signals;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, out[1], STDOUT_FILENO);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(&attributes, &signals);
  sigfillset(&signals); // but for the three that musl keeps to itself, which whoever started us may ignore
  posix_spawnattr_setsigdefault(&attributes, &signals);
  call->answer.started_at_ns = now_ns(CLOCK_REALTIME);
  call->started_ns = now_ns(CLOCK_MONOTONIC);
  int failure = posix_spawn(&call->pid, path, &files, &attributes, (char *[]){path, NULL}, environment);
  call->answer.spawn_ns = now_ns(CLOCK_MONOTONIC) - call->started_ns;
  posix_spawn_file_actions_destroy(&files);
  close(in[0]);
  close(out[1]);
  if (failure) return failure;
  feed(call);
  call->process = (int)syscall(SYS_pidfd_open, call->pid, 0);
  if (call->process < 0) give_up("pidfd_open");
  return 0;
}

// `frame` is path, environment (each entry ended by a NUL) and input; it becomes the call's.
static void begin(const struct request *request, uint8_t *frame) {
  struct call *call = allocated(malloc(sizeof *call));
  *call = (struct call){.answer = {.id = request->id}, .frame = frame, .process = -1, .in = -1, .out = -1};
  char *path = (char *)frame, *entry = path + request->path_length, *end = entry + request->environment_length;
  char **environment = allocated(calloc(request->environment_length + 1, sizeof *environment));
  for (size_t i = 0; entry < end; entry += strlen(entry) + 1) environment[i++] = entry;
  call->input = (uint8_t *)end;
  call->input_left = request->input_length;
  int failure = launch(call, path, environment);
  free(environment);
  if (failure) {
    call->answer.ending = NOT_STARTED;
    call->answer.code = (uint32_t)failure;
    return answer_and_free(call, strerror(failure), strlen(strerror(failure)));
  }
  call->kill_at_ns = call->started_ns + request->kill_after_ms * MILLISECOND; // "never" is after 49 days
  call->watches_memory = request->watches_memory != 0;
  call->next = calls;
  calls = call;
  open_calls++;
}

// Begins every call that has come whole. False at the end of the input.
static bool take_requests(void) {
  static struct bytes pending;
  if (read_more(STDIN_FILENO, &pending) <= 0) return false;
  size_t taken = 0;
  for (struct request request; pending.length - taken >= sizeof request;) {
    memcpy(&request, pending.at + taken, sizeof request);
    size_t length = (size_t)request.path_length + request.environment_length + request.input_length;
    if (pending.length - taken - sizeof request < length) break;
    uint8_t *frame = allocated(malloc(length));
    memcpy(frame, pending.at + taken + sizeof request, length);
    taken += sizeof request + length;
    begin(&request, frame);
  }
  pending.length -= taken;
  memmove(pending.at, pending.at + taken, pending.length);
  return true;
}

static void note_end(struct call *call) {
  call->answer.duration_ns = now_ns(CLOCK_MONOTONIC) - call->started_ns;
  int status;
  if (waitpid(call->pid, &status, 0) != call->pid) give_up("waitpid");
  call->answer.ending = WIFSIGNALED(status) ? KILLED : EXITED;
  call->answer.code = (uint32_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  close_once(&call->process);
  close_once(&call->in);
}

static void look_at_memory(struct call *call) {
  char path[32], line[256];
  snprintf(path, sizeof path, "/proc/%d/status", (int)call->pid);
  FILE *status = fopen(path, "re");
  unsigned peak_kib; // its line is absent when the child has just ended
  while (status && fgets(line, sizeof line, status))
    if (sscanf(line, "VmHWM: %u", &peak_kib) == 1) call->answer.peak_rss_kib = peak_kib;
  if (status) fclose(status);
}

// Kills what has had its time and looks at the memory of what is watched. Gives the time until one is due again, for poll.
static int attend_running(void) {
  int64_t now = now_ns(CLOCK_MONOTONIC), due = now + 60000 * MILLISECOND;
  for (struct call *call = calls; call; call = call->next) {
    if (call->process < 0) continue;
    if (call->watches_memory) look_at_memory(call);
    if (call->kill_at_ns <= now) kill(call->pid, SIGKILL), call->kill_at_ns = INT64_MAX;
    int64_t next = call->watches_memory ? now : call->kill_at_ns;
    if (next < due) due = next;
  }
  return (int)((due - now) / MILLISECOND + 1);
}

int main(void) {
  struct pollfd *polled = NULL;
  signal(SIGPIPE, SIG_IGN);
  for (bool is_asked = true; is_asked;) {
    polled = allocated(realloc(polled, (1 + 3 * open_calls) * sizeof *polled));
    nfds_t count = 0;
    polled[count++] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    for (struct call *call = calls; call; call = call->next) {
      polled[count++] = (struct pollfd){.fd = call->process, .events = POLLIN}; // poll(2) skips those below 0
      polled[count++] = (struct pollfd){.fd = call->in, .events = POLLOUT};
      polled[count++] = (struct pollfd){.fd = call->out, .events = POLLIN};
    }
    if (poll(polled, count, attend_running()) < 0) give_up("poll");
    // All ends first: their time is being measured.
    const struct pollfd *of = polled + 1;
    for (struct call *call = calls; call; call = call->next, of += 3)
      if (of[0].revents) note_end(call);
    of = polled + 1;
    for (struct call **link = &calls, *call; (call = *link); of += 3) {
      if (call->in >= 0 && of[1].revents) feed(call);
      if (of[2].revents && read_more(call->out, &call->output) <= 0) close_once(&call->out);
      if (call->process < 0 && call->out < 0) {
        *link = call->next;
        open_calls--;
        answer_and_free(call, call->output.at, call->output.length);
      } else link = &call->next;
    }
    if (polled[0].revents) is_asked = take_requests();
  }
  for (struct call *call = calls; call; call = call->next)
    if (call->process >= 0) kill(call->pid, SIGKILL);
}
