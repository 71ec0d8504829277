/* SPDX-License-Identifier: Apache-2.0 */
#include "export/channel_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomic_internal.h"
#include "rpcprof/control.h"

/* A socket of ours, by what no other has while it is open. */
struct end {
	int file;
	ino_t inode; /* 0: none */
};

struct request {
	struct rpcprof_channel_frame frame;
	size_t bytes;        /* that came */
	int flags;           /* of recvmsg() */
	struct ucred sender; /* says the kernel */
	uint32_t asker;      /* askers[] */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct end ours;      /* the exporter's */
static struct end childrens; /* open here for those that will be forked */
static struct end parent;    /* in a child: what `childrens` was at the fork */
static int askers[RPCPROF_CHANNEL_BATCH]; /* of one look, until they are answered; -1: none */
static uint32_t asker_count;
static int64_t next_look_ns;
static bool forked; /* since it was opened */
static uint64_t run_count, refused_count;
static int (*set_label)(const char *name, const char *value); /* atomic: set beside looks */

static bool is_open(const struct end *end)
{
	struct stat now;

	return end->inode != 0 && fstat(end->file, &now) == 0 && S_ISSOCK(now.st_mode) &&
	       now.st_ino == end->inode;
}

static struct end end_of(int file)
{
	struct stat now;

	return fstat(file, &now) == 0 ? (struct end){file, now.st_ino} : (struct end){-1, 0};
}

static void close_end(struct end *end)
{
	if (is_open(end))
		close(end->file);
	end->inode = 0;
}

static void close_askers(void)
{
	while (asker_count > 0)
		if (askers[--asker_count] >= 0)
			close(askers[asker_count]);
}

int rpcprof_channel_open(void)
{
	int pair[2], on = 1, error = 0;

	pthread_mutex_lock(&lock);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		error = -errno;
	} else {
		ours = end_of(pair[0]);
		childrens = end_of(pair[1]);
		/* Without it who sends cannot be known, and each request would be refused. */
		(void)setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	}
	forked = false;
	next_look_ns = INT64_MIN;
	run_count = refused_count = 0;
	pthread_mutex_unlock(&lock);
	return error;
}

void rpcprof_channel_close(void)
{
	pthread_mutex_lock(&lock);
	close_end(&ours);
	close_end(&childrens);
	close_askers();
	pthread_mutex_unlock(&lock);
}

/* The first socket that came along is the asker; there should be no other. */
static int take_files(const struct cmsghdr *part)
{
	size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int file, first = -1;

	for (size_t i = 0; i < count; i++) {
		memcpy(&file, CMSG_DATA(part) + i * sizeof(file), sizeof(file));
		if (i == 0)
			first = file;
		else
			close(file);
	}
	return first;
}

/* What the kernel says beside the frame. */
static void take_ancillary(struct msghdr *message, struct request *request)
{
	struct cmsghdr *part = CMSG_FIRSTHDR(message);
	int asker = -1;

	for (; part != NULL; part = CMSG_NXTHDR(message, part)) {
		if (part->cmsg_level != SOL_SOCKET)
			continue;
		if (part->cmsg_type == SCM_CREDENTIALS)
			memcpy(&request->sender, CMSG_DATA(part), sizeof(request->sender));
		else if (part->cmsg_type == SCM_RIGHTS)
			asker = take_files(part);
	}
	request->asker = asker_count;
	askers[asker_count++] = asker;
}

/* The next request, its asker among the others. false: there is none. */
static bool receive(struct request *request)
{
	union {
		struct cmsghdr first; /* for its alignment */
		char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
	} ancillary;
	struct iovec part = {&request->frame, sizeof(request->frame)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &ancillary,
	                         .msg_controllen = sizeof(ancillary)};
	ssize_t bytes = -1;

	memset(request, 0, sizeof(*request));
	request->sender.uid = (uid_t)-1;
	pthread_mutex_lock(&lock);
	if (asker_count < RPCPROF_CHANNEL_BATCH && is_open(&ours))
		bytes = recvmsg(ours.file, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (bytes == 0 && message.msg_controllen == 0)
		bytes = -1; /* not an empty frame, which has a sender: all other ends are closed */
	if (bytes >= 0) {
		request->bytes = (size_t)bytes;
		request->flags = message.msg_flags;
		take_ancillary(&message, request);
	}
	pthread_mutex_unlock(&lock);
	return bytes >= 0;
}

/* Who no longer waits has closed the other end, or has left no room: not ours to wait for. */
static void answer(uint32_t asker, int result)
{
	rpcprof_channel_answer_t word = result;

	pthread_mutex_lock(&lock);
	if (askers[asker] >= 0) {
		(void)send(askers[asker], &word, sizeof(word), MSG_DONTWAIT | MSG_NOSIGNAL);
		close(askers[asker]);
		askers[asker] = -1;
	}
	pthread_mutex_unlock(&lock);
}

/* That it is whole and ours. Its process is not looked at: a descendant whose parent has died is
 * init's child, and the socket is only to be had by fork(), or from who has it so. */
static int check(const struct request *request)
{
	if (request->flags & (MSG_TRUNC | MSG_CTRUNC) || request->bytes < RPCPROF_CHANNEL_HEAD ||
	    request->bytes != request->frame.bytes || request->frame.magic != RPCPROF_CHANNEL_MAGIC)
		return -EBADMSG;
	return request->sender.uid == getuid() ? 0 : -EPERM;
}

static void count(uint64_t *counter)
{
	pthread_mutex_lock(&lock);
	++*counter;
	pthread_mutex_unlock(&lock);
}

static void refuse(const struct request *request, int error)
{
	char reason[64];

	count(&refused_count);
	rpcprof_log(RPCPROF_LOG_WARNING,
	            "request %u, %zu bytes, of forked process %d of user %u refused: %s",
	            request->frame.request, request->bytes, (int)request->sender.pid,
	            (unsigned)request->sender.uid, strerror_r(-error, reason, sizeof(reason)));
	answer(request->asker, error);
}

/* Name and value of a label; -EBADMSG: the text is something else. */
static int read_label(const struct rpcprof_channel_frame *frame, const char **name,
                      const char **value)
{
	const char *text = frame->text, *end = text + (frame->bytes - RPCPROF_CHANNEL_HEAD);

	if (text == end || end[-1] != '\0')
		return -EBADMSG;
	*name = text;
	text += strlen(text) + 1;
	*value = text < end ? text : NULL;
	if (text < end)
		text += strlen(text) + 1;
	return text == end ? 0 : -EBADMSG;
}

static void change_label(const struct request *request)
{
	/* acquire, pairs with the release in rpcprof_channel_labels_set(): what it reads was made
	 * before. */
	int (*set)(const char *, const char *) = rpcprof_load_acquire(&set_label);
	const char *name, *value;
	int error = read_label(&request->frame, &name, &value);

	if (error != 0) {
		refuse(request, error);
		return;
	}
	count(&run_count);
	answer(request->asker, set != NULL ? set(name, value) : -ENOENT);
}

/* Whether it is answered later, when the window is closed. */
static bool run(const struct request *request)
{
	int error = check(request);

	if (error != 0) {
		refuse(request, error);
	} else if (request->frame.request == RPCPROF_REQUEST_LABEL) {
		change_label(request);
	} else if (request->frame.request == RPCPROF_REQUEST_FLUSH) {
		count(&run_count);
		return true;
	} else {
		refuse(request, -ENOSYS);
	}
	return false;
}

static bool is_due(int64_t now_ns)
{
	bool due;

	pthread_mutex_lock(&lock);
	due = forked && now_ns >= next_look_ns;
	if (due)
		next_look_ns = now_ns + RPCPROF_CHANNEL_REST_NS;
	pthread_mutex_unlock(&lock);
	return due;
}

bool rpcprof_channel_look(int64_t now_ns)
{
	struct request request;
	bool flush = false;

	if (!is_due(now_ns))
		return false;
	while (receive(&request))
		flush |= run(&request);
	if (!flush)
		rpcprof_channel_answer(0); /* nobody is left to be answered */
	return flush;
}

/* The others have been answered. */
void rpcprof_channel_answer(int result)
{
	for (uint32_t i = 0; i < asker_count; i++)
		answer(i, result);
	pthread_mutex_lock(&lock);
	asker_count = 0;
	pthread_mutex_unlock(&lock);
}

int64_t rpcprof_channel_wait(int64_t now_ns)
{
	int64_t wait = INT64_MAX;

	pthread_mutex_lock(&lock);
	if (forked)
		wait = next_look_ns > now_ns ? next_look_ns - now_ns : 0;
	pthread_mutex_unlock(&lock);
	return wait;
}

void rpcprof_channel_counts(uint64_t *requests, uint64_t *refused)
{
	pthread_mutex_lock(&lock);
	*requests = run_count;
	*refused = refused_count;
	pthread_mutex_unlock(&lock);
}

void rpcprof_channel_labels_set(int (*set)(const char *name, const char *value))
{
	/* release, pairs with the acquire in change_label(). */
	rpcprof_store_release(&set_label, set);
}

int rpcprof_channel_parent(void)
{
	return is_open(&parent) ? parent.file : -1;
}

void rpcprof_channel_before_fork(void)
{
	pthread_mutex_lock(&lock);
}

void rpcprof_channel_after_fork(void)
{
	forked = true;
	pthread_mutex_unlock(&lock);
}

/* Who runs no exporter hands on the channel that it has: its children ask the grandparent's. */
void rpcprof_channel_inherit(void)
{
	pthread_mutex_init(&lock, NULL);
	if (childrens.inode != 0) {
		close_end(&parent);
		parent = childrens;
		childrens.inode = 0;
	}
	rpcprof_channel_close();
	forked = false;
	run_count = refused_count = 0;
}
