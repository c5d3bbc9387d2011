/* ownnet: runs a command in a network of its own.
 *
 *   ownnet COMMAND ARGS...
 *       It sees a loopback device and nothing else, may use every unprivileged port, and shares no
 *       address, and no connection that still waits out its end, with what ran before or runs beside it.
 *       Where this process may not make a network, or not furnish it, the command runs in the one that
 *       there is.
 *   ownnet --needed COMMAND ARGS...
 *       Where it may not, that is an error.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int complain(const char *what) {
    fprintf(stderr, "ownnet: %s: %s.\n", what, strerror(errno));
    return 1;
}

/* Why the new network is not as it should be, if it is not. */
static const char *furnish(void) {
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int socket_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket_ < 0 || ioctl(socket_, SIOCSIFFLAGS, &loopback) != 0)
        return "cannot bring up the loopback device";
    close(socket_);
    /* A suite makes some 30,000 connections within a minute, which is how long each keeps a port. */
    FILE *range = fopen("/proc/sys/net/ipv4/ip_local_port_range", "we");
    if (range == NULL || fputs("1024 65535", range) < 0 || fclose(range) != 0)
        return "cannot widen the range of ports";
    return NULL;
}

int main(int argc, char **argv) {
    int needed = argc > 1 && strcmp(argv[1], "--needed") == 0;
    char **command = argv + 1 + needed;
    if (*command == NULL) {
        fprintf(stderr, "ownnet: say what to run, as in `ownnet COMMAND ARGS...`.\n");
        return 2;
    }
    int before = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int made = before >= 0 && unshare(CLONE_NEWNET) == 0;
    const char *failed = made ? furnish() : "cannot make a network";
    if (failed != NULL && needed)
        return complain(failed);
    if (failed != NULL && made && setns(before, CLONE_NEWNET) != 0)
        return complain("cannot go back to the network that there was");
    execvp(*command, command);
    return complain(*command);
}
