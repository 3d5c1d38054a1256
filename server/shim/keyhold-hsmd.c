/*
 * keyhold-hsmd: what lightningd starts in place of lightning_hsmd.
 *
 * It has no logic of its own. It carries hsmd's messages between lightningd with its daemons (fd 3, and the sockets it
 * makes for them) and a host process on a unix socket, makes and passes file descriptors, and keeps what the host needs
 * to go on after a restart: the requests in flight and one opaque blob. The frames are described in frames.ts.
 * Compiled with -DKEYHOLD_INLINE it starts its host itself, as a child, and ends with it.
 *
 * Nothing here may block: every socket is used with MSG_DONTWAIT, so that no flag of a shared descriptor is changed and
 * the ends that are passed on stay blocking. Whatever held a message is wiped before it is freed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STATUS_FD = 0, STDERR_FD = 2, REQUEST_FD = 3 };
enum { LIGHTNINGD = 0 }; /* the conn of REQUEST_FD */
enum { EXIT_FAILED = 1, EXIT_LIGHTNINGD_GONE = 2 };
enum kind { HELLO = 1, REQUEST, CLOSED, REPLY, REPLY_FD, SILENT, CLOSE, STATUS, KEEP };

#define PROTOCOL 1
#define MESSAGE_LIMIT (1u << 27)  /* Core Lightning's WIRE_LEN_LIMIT: every message is shorter */
#define STATUS_BACKLOG (1u << 20) /* bytes lightningd may leave unread on fd 0 before status messages are dropped */
#define HEADER 9                  /* of a frame: u32 length of what follows, u8 kind, u32 conn */
#define ROOM_BEFORE 5             /* by which a frame's header is longer than a message's: see next_request */
#define CHUNK 4096
#define RETRY_MIN_MS 50
#define RETRY_MAX_MS 1000
#define REPEAT_MS 60000  /* the same complaint about the host is not made more often */
#define FAREWELL_MS 1000 /* what is still to be written at the end gets so much time, */
#define SIGNER_MS 3000   /* and the inline signer to end by itself */

/* Bytes at[start..end) of a buffer; beyond `end` it never held anything. */
struct bytes {
  uint8_t *at;
  size_t start, end, room;
};

/* A socket whose other end belongs to lightningd or one of its daemons. */
struct conn {
  int fd; /* -1: closed, to be swept */
  uint32_t number;
  bool asked;       /* the first message of `in` is in flight, as the frame that next_request made of it */
  struct bytes in;  /* read and not yet settled */
  struct bytes out; /* the rest of a reply that its reader has not taken yet; nothing is read meanwhile */
  int gift;         /* the descriptor to pass once `out` is written, or -1 */
};

static struct conn *conns; /* conns[0] is lightningd */
static size_t conn_count, conn_room;
static uint32_t highest_conn; /* that the host ever gave */
static struct pollfd *polls;
static struct bytes status_out;
static bool status_gone;

static struct {
  int fd; /* -1: not connected */
  bool lost;
  struct bytes in, out, blob;
  const char *path, *name, *version;
  bool developer;
  int64_t retry_at, delay; /* ms */
  bool missed;             /* said that it cannot be reached */
  const char *problem;     /* the last complaint, */
  int64_t said_at;         /* and when */
} host = {.fd = -1, .delay = RETRY_MIN_MS};

static pid_t signer;      /* the inline variant's child, */
static int chatter = -1; /* and what it prints */

static void leave(int status);

static int64_t now_ms(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Writes to stderr unless that would block: a full log must not stop the node. At most CHUNK bytes, PIPE_BUF. */
static void print(const char *text, size_t length)
{
  struct pollfd ready = {.fd = STDERR_FD, .events = POLLOUT};
  if (poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) && write(STDERR_FD, text, length) < 0) return;
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
  char line[1024] = "keyhold-hsmd: ";
  size_t length = strlen(line);
  va_list args;
  va_start(args, format);
  vsnprintf(line + length, sizeof line - length - 1, format, args);
  va_end(args);
  strcat(line, "\n");
  print(line, strlen(line));
}

static void *allocate(size_t size)
{
  void *memory = malloc(size);
  if (!memory) {
    say("out of memory for %zu bytes", size);
    _exit(EXIT_FAILED);
  }
  return memory;
}

static uint32_t get_u32(const uint8_t *at)
{
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_u32(uint8_t *at, uint32_t value)
{
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void put_u16(uint8_t *at, size_t value)
{
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

/* ---- buffers ---- */

static size_t used(const struct bytes *b)
{
  return b->end - b->start;
}

static void forget(struct bytes *b)
{
  if (b->at) explicit_bzero(b->at + b->start, used(b));
  free(b->at);
  *b = (struct bytes){0};
}

static void drop(struct bytes *b, size_t length)
{
  explicit_bzero(b->at + b->start, length);
  b->start += length;
  if (b->start == b->end) forget(b);
}

/* Makes room for `more` bytes at the end. realloc would leave copies behind. */
static void reserve(struct bytes *b, size_t more)
{
  if (b->at && b->room - b->end >= more) return;
  size_t length = used(b), room = ROOM_BEFORE + length + (more > length ? more : length);
  uint8_t *at = allocate(room);
  if (length) memcpy(at + ROOM_BEFORE, b->at + b->start, length);
  forget(b);
  *b = (struct bytes){.at = at, .start = ROOM_BEFORE, .end = ROOM_BEFORE + length, .room = room};
}

static void append(struct bytes *b, const void *data, size_t length)
{
  if (!length) return;
  reserve(b, length);
  memcpy(b->at + b->end, data, length);
  b->end += length;
}

/* Whether a failed call only has to be tried again when poll says so. */
static bool later(void)
{
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* Reads once. `want` bytes are missing to a complete frame: that is only announced, so the buffer at most doubles.
 * False: nothing will come any more. */
static bool fill(int fd, struct bytes *b, size_t want)
{
  size_t most = used(b) > CHUNK ? used(b) : CHUNK;
  if (want < CHUNK) want = CHUNK;
  reserve(b, want < most ? want : most);
  ssize_t got = recv(fd, b->at + b->end, b->room - b->end, MSG_DONTWAIT);
  if (got > 0) b->end += (size_t)got;
  bool open = got > 0 || (got < 0 && later());
  if (!used(b)) forget(b);
  return open;
}

/* How many of these bytes a socket takes now; -1: its other end is gone. */
static ssize_t push(int fd, const uint8_t *data, size_t length)
{
  size_t done = 0;
  while (done < length) {
    ssize_t sent = send(fd, data + done, length - done, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return later() ? (ssize_t)done : -1;
    done += (size_t)sent;
  }
  return (ssize_t)done;
}

static bool flush(int fd, struct bytes *out)
{
  if (!used(out)) return true;
  ssize_t sent = push(fd, out->at + out->start, used(out));
  if (sent > 0) drop(out, (size_t)sent);
  return sent >= 0;
}

/* Writes behind what waits in `out`, which keeps what the socket does not take now. False: the other end is gone. */
static bool put(int fd, struct bytes *out, const uint8_t *data, size_t length)
{
  ssize_t sent = used(out) ? 0 : push(fd, data, length);
  if (sent >= 0) append(out, data + sent, length - (size_t)sent);
  return sent >= 0;
}

/* ---- to the host ---- */

static void to_host(const uint8_t *frame, size_t length)
{
  if (host.fd >= 0 && !host.lost && !put(host.fd, &host.out, frame, length)) host.lost = true;
}

static void tell_closed(uint32_t number)
{
  uint8_t frame[HEADER];
  put_u32(frame, HEADER - 4);
  frame[4] = CLOSED;
  put_u32(frame + 5, number);
  to_host(frame, sizeof frame);
}

/* The frame in which a conn's first message is in flight. */
static uint8_t *request_frame(const struct conn *c)
{
  return c->in.at + c->in.start - ROOM_BEFORE;
}

static size_t frame_length(const uint8_t *frame)
{
  return 4 + (size_t)get_u32(frame);
}

static void greet(void)
{
  size_t name = strlen(host.name), version = strlen(host.version), clients = 0;
  for (size_t i = 1; i < conn_count; i++) clients += conns[i].fd >= 0;
  size_t blob = used(&host.blob), length = HEADER + 8 + name + version + 4 * clients + blob;
  uint8_t *frame = allocate(length), *at = frame;
  put_u32(at, (uint32_t)(length - 4));
  at[4] = HELLO;
  put_u32(at + 5, LIGHTNINGD);
  at[9] = PROTOCOL;
  at[10] = host.developer ? 1 : 0;
  put_u16(at += HEADER + 2, name);
  memcpy(at += 2, host.name, name);
  put_u16(at += name, version);
  memcpy(at += 2, host.version, version);
  put_u16(at += version, clients);
  at += 2;
  for (size_t i = 1; i < conn_count; i++) {
    if (conns[i].fd < 0) continue;
    put_u32(at, conns[i].number);
    at += 4;
  }
  if (blob) memcpy(at, host.blob.at + host.blob.start, blob);
  to_host(frame, length);
  explicit_bzero(frame, length);
  free(frame);
  for (size_t i = 0; i < conn_count; i++) {
    if (conns[i].fd < 0 || !conns[i].asked) continue;
    const uint8_t *request = request_frame(&conns[i]);
    to_host(request, frame_length(request));
  }
}

/* ---- lightningd and its daemons ---- */

static struct conn *find(uint32_t number)
{
  for (size_t i = 0; i < conn_count; i++)
    if (conns[i].number == number && conns[i].fd >= 0) return &conns[i];
  return NULL;
}

/* Moves every conn: pointers to them are void afterwards. */
static void add_conn(int fd, uint32_t number)
{
  if (conn_count == conn_room) {
    conn_room = conn_room ? conn_room * 2 : 4;
    conns = realloc(conns, conn_room * sizeof *conns); /* the messages are elsewhere */
    polls = realloc(polls, (conn_room + 3) * sizeof *polls);
    if (!conns || !polls) {
      say("out of memory for %zu sockets", conn_room);
      _exit(EXIT_FAILED);
    }
  }
  conns[conn_count++] = (struct conn){.fd = fd, .number = number, .gift = -1};
}

static void close_conn(struct conn *c)
{
  if (c->number == LIGHTNINGD) leave(EXIT_LIGHTNINGD_GONE);
  close(c->fd);
  c->fd = -1;
  if (c->gift >= 0) close(c->gift);
  c->gift = -1;
  forget(&c->in);
  forget(&c->out);
}

/* The conn's own user closed it, or broke its framing: hsmd closes then too. */
static void lose_conn(struct conn *c)
{
  uint32_t number = c->number;
  close_conn(c);
  tell_closed(number);
}

static bool writing(const struct conn *c)
{
  return used(&c->out) > 0 || c->gift >= 0;
}

/* How many bytes are missing to the conn's next message; 0: it is there. */
static size_t missing(const struct conn *c)
{
  if (used(&c->in) < 4) return 4 - used(&c->in);
  size_t whole = 4 + (size_t)get_u32(c->in.at + c->in.start);
  return used(&c->in) < whole ? whole - used(&c->in) : 0;
}

/* Puts a conn's next message in flight if it is complete and the last one is settled and answered. The header of the
 * frame is written in place: over the message's length and the ROOM_BEFORE it. */
static void next_request(struct conn *c)
{
  if (c->fd < 0 || c->asked || writing(c) || used(&c->in) < 4) return;
  uint32_t length = get_u32(c->in.at + c->in.start);
  if (length >= MESSAGE_LIMIT) {
    lose_conn(c);
    return;
  }
  if (missing(c)) return;
  c->asked = true;
  uint8_t *frame = request_frame(c);
  put_u32(frame, length + HEADER - 4);
  frame[4] = REQUEST;
  put_u32(frame + 5, c->number);
  to_host(frame, frame_length(frame));
}

/* One NUL byte with the descriptor, which is what lightningd waits for behind the reply. False: it is gone. */
static bool pass_gift(struct conn *c)
{
  union {
    char space[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control = {{0}};
  struct iovec byte = {.iov_base = "", .iov_len = 1};
  struct msghdr message = {
    .msg_iov = &byte, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
  struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(rights), &c->gift, sizeof(int));
  if (sendmsg(c->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) != 1) return later();
  close(c->gift);
  c->gift = -1;
  return true;
}

/* Goes on with what waits to be written, then with what waits to be asked. */
static void advance(struct conn *c)
{
  if (!flush(c->fd, &c->out) || (!used(&c->out) && c->gift >= 0 && !pass_gift(c)))
    lose_conn(c);
  else
    next_request(c);
}

static void serve_conn(struct conn *c, short ready)
{
  if (c->fd < 0 || !ready) return;
  if (ready & POLLOUT) {
    advance(c);
  } else if (ready & POLLIN) {
    if (fill(c->fd, &c->in, missing(c)))
      next_request(c);
    else
      lose_conn(c);
  } else {
    lose_conn(c);
  }
}

/* ---- from the host ---- */

static void report_status(const uint8_t *message, size_t length)
{
  if (status_gone || (used(&status_out) && used(&status_out) + length > STATUS_BACKLOG)) return;
  status_gone = !put(STATUS_FD, &status_out, message, length);
  if (status_gone) forget(&status_out);
}

/* The two ends of a new client's socket; without one hsmd fails too. */
static void make_pair(int ends[2])
{
  errno = EMFILE; /* HELLO counts clients in a u16 */
  if (conn_count <= UINT16_MAX && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0) return;
  say("cannot make a socket for client %zu: %s", conn_count, strerror(errno));
  leave(EXIT_FAILED);
}

/* Settles a conn's request. `reply` is NULL for none; the 4 bytes before it become its length. `client` is the number
 * of the new conn whose other end goes with the reply, or 0. */
static void settle(struct conn *c, uint8_t *reply, size_t length, uint32_t client)
{
  int ends[2] = {-1, -1};
  drop(&c->in, frame_length(request_frame(c)) - ROOM_BEFORE);
  c->asked = false;
  if (client) {
    size_t index = (size_t)(c - conns);
    make_pair(ends);
    add_conn(ends[0], client);
    c = &conns[index];
    c->gift = ends[1];
  }
  if (reply) put_u32(reply - 4, (uint32_t)length);
  if (reply && !put(c->fd, &c->out, reply - 4, length + 4))
    lose_conn(c);
  else
    advance(c);
}

/* Does what a frame that settles a request says. Returns what is wrong with it, or NULL. */
static const char *answer(enum kind kind, uint32_t number, uint8_t *message, size_t length)
{
  uint32_t client = 0;
  if (kind == REPLY_FD) {
    if (length < 4) return "a REPLY_FD without its new conn";
    client = get_u32(message);
    if (client == LIGHTNINGD || find(client)) return "a REPLY_FD whose new conn is in use";
    if (client > highest_conn) highest_conn = client;
    message += 4;
    length -= 4;
  }
  if (length >= MESSAGE_LIMIT) return "a message of 128 MiB or more";
  struct conn *c = find(number);
  if (c && !c->asked) return "an answer to a conn that has no request in flight";
  if (c)
    settle(c, kind == SILENT ? NULL : message, length, client);
  else if (client) /* nobody is there to take the new socket */
    tell_closed(client);
  return NULL;
}

/* Does what a frame says. Returns what is wrong with it, or NULL. */
static const char *obey(uint8_t *frame)
{
  enum kind kind = frame[4];
  uint32_t number = get_u32(frame + 5);
  uint8_t *message = frame + HEADER;
  size_t length = frame_length(frame) - HEADER;
  if (kind < REPLY || kind > KEEP) return "a frame of unknown kind";
  if (kind == KEEP) {
    forget(&host.blob);
    append(&host.blob, message, length);
    return NULL;
  }
  if (kind == STATUS) {
    if (length >= MESSAGE_LIMIT) return "a message of 128 MiB or more";
    put_u32(message - 4, (uint32_t)length);
    report_status(message - 4, length + 4);
    return NULL;
  }
  /* A conn of before may have been closed while this was on its way. */
  if (number > highest_conn) return "a frame for a conn that was never opened";
  if (kind != CLOSE) return answer(kind, number, message, length);
  if (number == LIGHTNINGD) leave(EXIT_FAILED);
  struct conn *c = find(number);
  if (c) close_conn(c);
  return NULL;
}

static void complain(const char *problem, const uint8_t *frame)
{
  int64_t now = now_ms();
  host.lost = true;
  if (problem == host.problem && now - host.said_at < REPEAT_MS) return;
  host.problem = problem;
  host.said_at = now;
  say("the host sent %s (length %u, kind %u, conn %u): its connection is dropped", problem, get_u32(frame), frame[4],
    get_u32(frame + 5));
}

static void serve_host(void)
{
  struct bytes *in = &host.in;
  size_t whole = used(in) < HEADER ? HEADER : frame_length(in->at + in->start);
  if (!fill(host.fd, in, whole - used(in))) host.lost = true;
  while (!host.lost && used(in) >= HEADER) {
    uint8_t *frame = in->at + in->start;
    uint32_t length = get_u32(frame);
    const char *problem = NULL;
    if (length < HEADER - 4 || length > HEADER + MESSAGE_LIMIT)
      problem = "a frame of impossible length";
    else if (used(in) < frame_length(frame))
      return;
    else
      problem = obey(frame);
    if (problem) {
      complain(problem, frame);
      return;
    }
    host.delay = RETRY_MIN_MS;
    drop(in, 4 + (size_t)length);
  }
}

/* Passes on what the inline signer prints. It has a pipe of its own, as Node makes its stderr non-blocking, which would
 * make lightningd's so, too. */
static void serve_chatter(void)
{
  char text[CHUNK];
  ssize_t got = read(chatter, text, sizeof text);
  if (got > 0) {
    print(text, (size_t)got);
  } else if (got == 0 || !later()) {
    close(chatter);
    chatter = -1;
  }
}

#ifdef KEYHOLD_INLINE

static char **arguments;

/* In the child: node runs ../dist/cli/inline.js, seen from this executable, with the socket as fd 3. */
static void become_signer(int socket, int voice)
{
  char script[PATH_MAX + 32], **argv;
  const char *node = getenv("KEYHOLD_NODE_BINARY");
  ssize_t length = readlink("/proc/self/exe", script, PATH_MAX);
  int count = 0, nowhere = open("/dev/null", O_RDONLY | O_CLOEXEC);
  while (arguments[count]) count++;
  if (length > 0) script[length] = 0;
  char *slash = length > 0 ? strrchr(script, '/') : NULL;
  bool joined = dup2(nowhere, 0) >= 0 && dup2(voice, 1) >= 0 && dup2(voice, 2) >= 0 && dup2(socket, 3) >= 0;
  if (!slash || !joined) {
    say("cannot start the signer: %s", strerror(errno));
    _exit(127);
  }
  strcpy(slash, "/../dist/cli/inline.js");
  if (!node || !*node) node = "node";
  argv = allocate(((size_t)count + 2) * sizeof *argv);
  argv[0] = (char *)node;
  argv[1] = script;
  memcpy(argv + 2, arguments + 1, (size_t)count * sizeof *argv);
  execvp(node, argv);
  say("cannot start %s: %s; set KEYHOLD_NODE_BINARY to the path of Node", node, strerror(errno));
  _exit(127);
}

static void reach_host(void)
{
  int ends[2], voice[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 || pipe2(voice, O_CLOEXEC) < 0) {
    say("cannot make a socket for the signer: %s", strerror(errno));
    leave(EXIT_FAILED);
  }
  signer = fork();
  if (signer < 0) {
    say("cannot start the signer: %s", strerror(errno));
    leave(EXIT_FAILED);
  }
  if (signer == 0) become_signer(ends[1], voice[1]);
  close(ends[1]);
  close(voice[1]);
  host.fd = ends[0];
  chatter = voice[0];
  greet();
}

static void lose_host(void)
{
  say("the signer ended: its own messages above say why");
  leave(EXIT_FAILED);
}

#else

/* Where the host listens. A path too long for an address goes by its directory's descriptor, left in `directory`. */
static bool host_address(struct sockaddr_un *address, int *directory)
{
  size_t room = sizeof address->sun_path;
  const char *slash = strrchr(host.path, '/');
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  *directory = -1;
  if (strlen(host.path) < room) {
    strcpy(address->sun_path, host.path);
    return true;
  }
  char *parent = slash ? strndup(host.path, (size_t)(slash - host.path) + 1) : NULL;
  if (parent) *directory = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
  free(parent);
  if (slash && *directory < 0) return false;
  errno = ENAMETOOLONG;
  return slash && (size_t)snprintf(address->sun_path, room, "/proc/self/fd/%d%s", *directory, slash) < room;
}

/* Connects without waiting: -1 and errno if that is impossible now. */
static int connect_host(void)
{
  struct sockaddr_un address;
  int directory, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  bool reached = host_address(&address, &directory) && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
  int problem = errno;
  if (directory >= 0) close(directory);
  if (!reached) close(fd);
  errno = problem;
  return reached ? fd : -1;
}

/* The next try is a little earlier for some than for others, so that a thousand nodes do not come back at once. */
static void retry_later(void)
{
  host.retry_at = now_ms() + host.delay - (int64_t)((uint32_t)getpid() * 2654435761u % (uint32_t)(host.delay / 4));
  host.delay = host.delay * 2 < RETRY_MAX_MS ? host.delay * 2 : RETRY_MAX_MS;
}

static void reach_host(void)
{
  host.fd = connect_host();
  if (host.fd < 0) {
    if (!host.missed) say("no host at %s (%s): lightningd waits for it", host.path, strerror(errno));
    host.missed = true;
    retry_later();
    return;
  }
  if (host.missed) say("connected to the host at %s", host.path);
  host.missed = false;
  greet();
}

static void lose_host(void)
{
  close(host.fd);
  host.fd = -1;
  host.lost = false;
  forget(&host.in);
  forget(&host.out);
  retry_later();
}

#endif

/* Ends the process, after what lightningd is still to read, and after the inline signer. */
static void leave(int status)
{
  int64_t end = now_ms() + FAREWELL_MS;
  struct bytes *reply = &conns[0].out;
  if (status == EXIT_LIGHTNINGD_GONE) end = 0;
  for (int64_t left; (used(&status_out) || used(reply)) && (left = end - now_ms()) > 0;) {
    struct pollfd rest[2] = {{.fd = used(&status_out) ? STATUS_FD : -1, .events = POLLOUT},
                             {.fd = used(reply) ? REQUEST_FD : -1, .events = POLLOUT}};
    if (poll(rest, 2, (int)left) <= 0) continue;
    if (rest[0].revents && !flush(STATUS_FD, &status_out)) forget(&status_out);
    if (rest[1].revents && !flush(REQUEST_FD, reply)) forget(reply);
  }
  if (host.fd >= 0) close(host.fd);
  end = now_ms() + SIGNER_MS;
  for (int64_t left; chatter >= 0 && (left = end - now_ms()) > 0;) {
    struct pollfd voice = {.fd = chatter, .events = POLLIN};
    if (poll(&voice, 1, (int)left) > 0) serve_chatter();
  }
  if (chatter >= 0 && kill(signer, SIGKILL) == 0) waitpid(signer, NULL, 0);
  exit(status);
}

static void sweep(void)
{
  size_t kept = 0;
  for (size_t i = 0; i < conn_count; i++)
    if (conns[i].fd >= 0) conns[kept++] = conns[i];
  conn_count = kept;
}

/* Fills `polls`: the host, the status socket, the inline signer's voice, then the conns. Returns how long to wait. */
static int prepare(void)
{
  short to_write = used(&host.out) ? POLLOUT : 0;
  polls[0] = (struct pollfd){.fd = host.fd, .events = (short)(POLLIN | to_write)};
  polls[1] = (struct pollfd){.fd = used(&status_out) ? STATUS_FD : -1, .events = POLLOUT};
  polls[2] = (struct pollfd){.fd = chatter, .events = POLLIN};
  for (size_t i = 0; i < conn_count; i++) {
    struct conn *c = &conns[i];
    /* A conn with a request in flight is only watched for its end, which poll always reports. */
    short events = writing(c) ? POLLOUT : c->asked ? 0 : POLLIN;
    polls[3 + i] = (struct pollfd){.fd = c->fd, .events = events};
  }
  if (host.fd >= 0) return -1;
  int64_t wait = host.retry_at - now_ms();
  return wait > 0 ? (int)wait : 0;
}

static void serve(void)
{
  for (;;) {
    sweep();
    if (host.lost) lose_host();
    if (host.fd < 0 && now_ms() >= host.retry_at) reach_host();
    int wait = prepare();
    size_t count = conn_count; /* more may be added below */
    if (poll(polls, (nfds_t)(3 + count), wait) <= 0) continue;
    if (polls[0].revents & POLLOUT && !flush(host.fd, &host.out)) host.lost = true;
    if (polls[0].revents & ~POLLOUT && !host.lost) serve_host();
    if (polls[1].revents && !flush(STATUS_FD, &status_out)) {
      status_gone = true;
      forget(&status_out);
    }
    if (polls[2].revents) serve_chatter();
    for (size_t i = 0; i < count; i++) serve_conn(&conns[i], polls[3 + i].revents);
  }
}

/* lightningd takes only a subdaemon that prints lightningd's own version: so lightningd itself is asked. */
static int print_version(void)
{
  char parent[32];
  snprintf(parent, sizeof parent, "/proc/%d/exe", (int)getppid());
  execl(parent, parent, "--version", (char *)NULL); /* it looks for itself by that name, even for this */
  int problem = errno;
  const char *version = getenv("KEYHOLD_LIGHTNINGD_VERSION");
  if (version && *version) return puts(version) < 0 ? EXIT_FAILED : 0;
  say("cannot run lightningd as %s (%s): set KEYHOLD_LIGHTNINGD_VERSION to what lightningd --version prints", parent,
    strerror(problem));
  return EXIT_FAILED;
}

static const char *from_environment(const char *name, const char *otherwise)
{
  const char *value = getenv(name);
  if (!value || !*value) return otherwise;
  if (strlen(value) <= UINT16_MAX) return value;
  say("%s is longer than %d bytes", name, UINT16_MAX);
  exit(EXIT_FAILED);
}

/* A descriptor of ours must not become somebody's stdin, stdout or stderr. */
static void fill_standard_descriptors(void)
{
  int fd;
  while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd < REQUEST_FD) continue;
  if (fd >= 0) close(fd);
}

int main(int argc, char **argv)
{
  int type;
  socklen_t size = sizeof type;
  struct rlimit files;
  if (argc == 2 && strcmp(argv[1], "--version") == 0) return print_version();
  if (getsockopt(REQUEST_FD, SOL_SOCKET, SO_TYPE, &type, &size) < 0) {
    say("fd 3 is not a socket (%s): lightningd starts this program, by --subdaemon=hsmd:PATH", strerror(errno));
    return EXIT_FAILED;
  }
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 65536); /* else what a large message took stays with the process */
  mallopt(M_TRIM_THRESHOLD, 65536);
#endif
  fill_standard_descriptors();
  signal(SIGPIPE, SIG_IGN);
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max; /* every client takes a descriptor */
    setrlimit(RLIMIT_NOFILE, &files);
  }
  for (int i = 1; i < argc; i++) host.developer |= strcmp(argv[i], "--developer") == 0;
  host.path = from_environment("KEYHOLD_SOCKET", "./keyhold.sock");
  host.name = from_environment("KEYHOLD_NODE", "node");
  host.version = from_environment("KEYHOLD_LIGHTNINGD_VERSION", "");
#ifdef KEYHOLD_INLINE
  arguments = argv;
#endif
  add_conn(REQUEST_FD, LIGHTNINGD);
  serve();
}
