/* nouring: runs a command that may not use io_uring, or that sees an old kernel's syscalls only.
 *
 *   nouring EPERM|ENOSYS|ENOMEM|EACCES COMMAND ARGS...
 *       io_uring_setup, io_uring_enter and io_uring_register fail with that error.
 *   nouring setup:ERROR|enter:ERROR|register:ERROR COMMAND ARGS...
 *       Only that one does, as under half a seccomp profile.
 *   nouring 4.19 COMMAND ARGS...
 *       Every syscall younger than Linux 4.19 fails with ENOSYS (x86_64 only).
 *   nouring probe
 *       Says what the three calls answer here.
 *
 * A seccomp filter does it. It needs no privilege, and children inherit it. Containers answer EPERM
 * in the same way; ENOSYS is what a kernel before 5.1 says.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "nouring knows the syscall numbers of x86_64 and aarch64 only."
#endif

enum { URING_FIRST = 425, URING_LAST = 427, LAST_OF_4_19 = 334 };

static const struct {
    const char *name;
    int number;
} ERRORS[] = {{"EPERM", EPERM}, {"ENOSYS", ENOSYS}, {"ENOMEM", ENOMEM}, {"EACCES", EACCES},
              {"EBADF", EBADF}, {"EFAULT", EFAULT}, {"EINVAL", EINVAL}};
enum { OFFERED = 4 }; /* The first four may be asked for; the rest only has names for `probe`. */

static const char *name_of(long result) {
    static char number[32];
    if (result >= 0)
        return "ok";
    for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++)
        if (ERRORS[i].number == errno)
            return ERRORS[i].name;
    snprintf(number, sizeof number, "errno-%d", errno);
    return number;
}

static const char *const CALLS[] = {"setup:", "enter:", "register:"};

/* Prints e.g. `setup=ok enter=EBADF register=EBADF`; fails where no ring can be made. */
static int probe(void) {
    char params[120] = {0}; /* struct io_uring_params */
    long ring = syscall(URING_FIRST, 8, params);
    printf("setup=%s", name_of(ring));
    printf(" enter=%s", name_of(syscall(URING_FIRST + 1, -1, 0, 0, 0, NULL, 0)));
    printf(" register=%s\n", name_of(syscall(URING_LAST, -1, 0, NULL, 0)));
    return ring >= 0 ? 0 : 1;
}

/* Syscalls `first..=last` of this architecture answer `error`; everything else is allowed. */
static int forbid(unsigned first, unsigned last, int error) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, first, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, last, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        fprintf(stderr, "nouring: cannot set no_new_privs: %s.\n", strerror(errno));
        return -1;
    }
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        fprintf(stderr, "nouring: cannot install the seccomp filter: %s.\n", strerror(errno));
        return -1;
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "probe") == 0)
        return probe();
    if (argc < 2) {
        fprintf(stderr, "nouring: say what to forbid and what to run, "
                        "as in `nouring [setup:|enter:|register:]EPERM|ENOSYS|ENOMEM|EACCES "
                        "COMMAND ARGS...` or `nouring 4.19 COMMAND ARGS...`.\n");
        return 2;
    }

    unsigned first = URING_FIRST, last = URING_LAST;
    int error = 0;
    const char *name = argv[1];
    for (unsigned i = 0; i < sizeof CALLS / sizeof *CALLS; i++)
        if (strncmp(argv[1], CALLS[i], strlen(CALLS[i])) == 0)
            first = last = URING_FIRST + i, name = argv[1] + strlen(CALLS[i]);
    if (strcmp(argv[1], "4.19") == 0) {
#if defined(__x86_64__)
        first = LAST_OF_4_19 + 1, last = ~0u, error = ENOSYS;
#else
        fprintf(stderr, "nouring: 4.19 is known for x86_64 only.\n");
        return 2;
#endif
    }
    for (size_t i = 0; i < OFFERED; i++)
        if (strcmp(name, ERRORS[i].name) == 0)
            error = ERRORS[i].number;
    if (error == 0) {
        fprintf(stderr, "nouring: `%s` is none of EPERM, ENOSYS, ENOMEM, EACCES, 4.19.\n", name);
        return 2;
    }
    if (argc < 3) {
        fprintf(stderr, "nouring: a command must follow `%s`.\n", argv[1]);
        return 2;
    }

    if (forbid(first, last, error) != 0)
        return 125;
    execvp(argv[2], argv + 2);
    int why = errno;
    fprintf(stderr, "nouring: cannot run `%s`: %s.\n", argv[2], strerror(why));
    return why == ENOENT ? 127 : 126;
}
