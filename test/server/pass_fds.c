/*
 * Stands where lightningd stands, for tests in Node, which can neither make a socketpair for a child nor receive a
 * descriptor. `pass_fds PROGRAM ARG...` starts the program with a status socket as fd 0 and a request socket as fd 3,
 * and joins them to its own fds 4 and 3. Each descriptor that is passed to it on the request socket it joins to its own
 * next fd: 5, 6, ... It ends as the program ends; with 99 if a passed descriptor is not blocking.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAIRS = 400 };

/* Two sockets; what is read from one is written to the other. */
static struct pair {
  int fd[2];
  char data[2][16384];
  size_t at[2], left[2];
} *pairs;
static int count, next_fd = 5;

static void join(int ours, int theirs)
{
  struct pair *p = &pairs[count++];
  memset(p, 0, sizeof *p);
  p->fd[0] = ours;
  p->fd[1] = theirs;
}

static ssize_t receive(int fd, char *data, size_t room)
{
  union {
    char space[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec part = {.iov_base = data, .iov_len = room};
  struct msghdr message = {
    .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
  ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  struct cmsghdr *rights = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
  if (rights && rights->cmsg_type == SCM_RIGHTS) {
    int passed;
    memcpy(&passed, CMSG_DATA(rights), sizeof passed);
    if (fcntl(passed, F_GETFL) & O_NONBLOCK) exit(99);
    join(next_fd++, passed);
  }
  return got;
}

/* One step in one direction. Returns 0 when the pair has come to its end. */
static int carry(struct pair *p, int from)
{
  int to = !from;
  if (!p->left[from]) {
    ssize_t got = receive(p->fd[from], p->data[from], sizeof p->data[from]);
    if (got <= 0) return 0;
    p->at[from] = 0;
    p->left[from] = (size_t)got;
  }
  ssize_t sent = send(p->fd[to], p->data[from] + p->at[from], p->left[from], MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN;
  if (sent > 0) {
    p->at[from] += (size_t)sent;
    p->left[from] -= (size_t)sent;
  }
  return 1;
}

static void carry_on(void)
{
  static struct pollfd polls[2 * PAIRS];
  for (int open = 1; open;) {
    int known = count;
    open = 0;
    for (int i = 0; i < 2 * known; i++) polls[i] = (struct pollfd){.fd = -1};
    for (int i = 0; i < 2 * known; i++) {
      struct pair *p = &pairs[i / 2];
      if (p->fd[0] < 0) continue;
      open = 1;
      if (p->left[i % 2])
        polls[i ^ 1] = (struct pollfd){.fd = p->fd[!(i % 2)], .events = (short)(polls[i ^ 1].events | POLLOUT)};
      else
        polls[i] = (struct pollfd){.fd = p->fd[i % 2], .events = (short)(polls[i].events | POLLIN)};
    }
    if (!open || poll(polls, (nfds_t)(2 * known), -1) < 0) continue;
    for (int i = 0; i < 2 * known; i++) {
      struct pair *p = &pairs[i / 2];
      if (p->fd[0] < 0 || !polls[i].revents) continue;
      int alive = 1;
      if (p->left[!(i % 2)]) alive = carry(p, !(i % 2));
      if (alive && polls[i].revents & ~POLLOUT && !p->left[i % 2]) alive = carry(p, i % 2);
      if (alive) continue;
      close(p->fd[0]);
      close(p->fd[1]);
      p->fd[0] = p->fd[1] = -1;
    }
  }
}

int main(int argc, char **argv)
{
  int request[2], status[2], how;
  pairs = calloc(PAIRS, sizeof *pairs);
  if (argc < 2 || !pairs || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, request) < 0 ||
      socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, status) < 0)
    return 98;
  pid_t child = fork();
  if (child == 0) {
    for (int fd = 4; fd < 4 + PAIRS; fd++)
      if (fd != request[1] && fd != status[1]) close(fd);
    dup2(status[1], 0);
    dup2(request[1], 3);
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    _exit(97);
  }
  close(request[1]);
  close(status[1]);
  join(3, request[0]);
  join(4, status[0]);
  signal(SIGPIPE, SIG_IGN);
  carry_on();
  if (child < 0 || waitpid(child, &how, 0) < 0) return 96;
  return WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
}
