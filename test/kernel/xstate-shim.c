/*
 * Lets User-Mode Linux 6.12 start on CPUs whose extended register state is larger than it has room for.
 *
 * It keeps 2,696 bytes of each process's registers, which is all up to AVX-512 and PKRU. A CPU with AMX has 11,008, and
 * the host takes a set back only whole: "ptrace set fp regs failed, errno = 14", and init is dead. This library, loaded
 * before libc, makes the set whole: what User-Mode Linux did not keep goes back in its initial state. Nothing is lost,
 * since no process has AMX's registers before it asks its kernel for them, and this guest's does not know the question.
 *
 * It also leaves out what changes nothing: after each system call the kernel reads a process's set, and mostly gives the same
 * one back before it lets the process run on. That was one of five calls of the host's.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* Where the header lies that says which parts of the set hold something, and the bits of AMX's two. */
enum { header_at = 512, room = 1 << 16 };
static const uint64_t amx = (UINT64_C(1) << 17) | (UINT64_C(1) << 18);

/* User-Mode Linux asks from one thread only. */
static _Alignas(64) char whole[room];
static size_t whole_size;

/* The set of a process that has not run since it was read; of none when pid is 0. */
static struct {
	pid_t pid;
	size_t size;
	char set[room];
} known;

static long forward(int request, pid_t pid, void *address, void *data)
{
	return syscall(SYS_ptrace, request, pid, address, data);
}

static long get_registers(pid_t pid, void *kind, struct iovec *wanted)
{
	known.pid = 0;
	long result = forward(PTRACE_GETREGSET, pid, kind, wanted);
	if (result == 0 && wanted->iov_len <= room) {
		memcpy(known.set, wanted->iov_base, wanted->iov_len);
		known.size = wanted->iov_len;
		known.pid = pid;
	}
	return result;
}

static int is_known(pid_t pid, const struct iovec *given)
{
	return known.pid == pid && given->iov_len >= known.size && memcmp(known.set, given->iov_base, known.size) == 0;
}

static long set_registers(pid_t pid, void *kind, const struct iovec *given)
{
	if (is_known(pid, given))
		return 0;
	known.pid = 0;
	if (whole_size == 0) {
		struct iovec all = { whole, room };
		if (forward(PTRACE_GETREGSET, pid, kind, &all) < 0)
			return -1;
		whole_size = all.iov_len;
	}
	if (given->iov_len >= whole_size || given->iov_len < header_at + sizeof(uint64_t))
		return forward(PTRACE_SETREGSET, pid, kind, (void *)given);

	memset(whole, 0, whole_size);
	memcpy(whole, given->iov_base, given->iov_len);
	uint64_t held;
	memcpy(&held, whole + header_at, sizeof held);
	held &= ~amx;
	memcpy(whole + header_at, &held, sizeof held);
	struct iovec all = { whole, whole_size };
	return forward(PTRACE_SETREGSET, pid, kind, &all);
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list arguments;
	va_start(arguments, request);
	pid_t pid = va_arg(arguments, pid_t);
	void *address = va_arg(arguments, void *);
	void *data = va_arg(arguments, void *);
	va_end(arguments);

	if (request == PTRACE_SETREGSET && (intptr_t)address == NT_X86_XSTATE)
		return set_registers(pid, address, data);
	if (request == PTRACE_GETREGSET && (intptr_t)address == NT_X86_XSTATE)
		return get_registers(pid, address, data);
	/* Whatever lets it run, and all but the general registers, which are read and set on their own. */
	if (pid == known.pid && request != PTRACE_GETREGS && request != PTRACE_SETREGS)
		known.pid = 0;
	if (request != PTRACE_PEEKTEXT && request != PTRACE_PEEKDATA && request != PTRACE_PEEKUSER)
		return forward(request, pid, address, data);

	/* As libc does it: the word is the result. */
	long word;
	if (forward(request, pid, address, &word) < 0)
		return -1;
	errno = 0;
	return word;
}
