/* SPDX-License-Identifier: Apache-2.0 */
/* What comes over the control channel beside requests, and too many of them. */
#include "tests/unit/channel_harness.h"

#include <sys/mman.h>

#include "export/channel_internal.h"

/* What is not a request. */

static bool send_raw(const void *bytes, size_t length)
{
	return send(rpcprof_channel_parent(), bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       (ssize_t)length;
}

static bool send_frame(uint32_t magic, uint32_t bytes, uint32_t request, const char *text,
                       size_t text_bytes)
{
	struct rpcprof_channel_frame frame = {.magic = magic, .bytes = bytes, .request = request};

	memcpy(frame.text, text, text_bytes);
	return send_raw(&frame, RPCPROF_CHANNEL_HEAD + text_bytes);
}

static bool send_label(const char *text, size_t bytes)
{
	return send_frame(RPCPROF_CHANNEL_MAGIC, (uint32_t)(RPCPROF_CHANNEL_HEAD + bytes),
	                  RPCPROF_REQUEST_LABEL, text, bytes);
}

/* Three files along; there is room for one. */
static bool send_files(void)
{
	struct rpcprof_channel_frame frame = {RPCPROF_CHANNEL_MAGIC, RPCPROF_CHANNEL_HEAD,
	                                      RPCPROF_REQUEST_FLUSH, ""};
	union {
		struct cmsghdr first;
		char bytes[CMSG_SPACE(3 * sizeof(int))];
	} files = {.first = {.cmsg_len = CMSG_LEN(3 * sizeof(int)), .cmsg_level = SOL_SOCKET,
	                     .cmsg_type = SCM_RIGHTS}};
	struct iovec part = {&frame, frame.bytes};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &files,
	                         .msg_controllen = sizeof(files)};
	const int three[] = {0, 1, 2};

	memcpy(CMSG_DATA(&files.first), three, sizeof(three));
	return sendmsg(rpcprof_channel_parent(), &message, MSG_DONTWAIT) == (ssize_t)frame.bytes;
}

#define NONSENSE 13

static int send_nonsense(void)
{
	static const char zeros[sizeof(struct rpcprof_channel_frame) + 1];
	const uint32_t magic = RPCPROF_CHANNEL_MAGIC, head = RPCPROF_CHANNEL_HEAD;
	bool sent = send_raw("", 0) && send_raw("rpc", 3) && send_raw(zeros, head - 1) &&
	            send_raw(zeros, sizeof(zeros));

	sent = sent && send_frame(0x72706302, head, RPCPROF_REQUEST_FLUSH, "", 0) && /* version 2 */
	       send_frame(magic, head + 1, RPCPROF_REQUEST_FLUSH, "", 0) &&
	       send_frame(magic, head, RPCPROF_REQUEST_FLUSH, "x", 1) &&
	       send_frame(magic, head, 0, "", 0) && send_frame(magic, head, 77, "", 0);
	sent = sent && send_label("", 0) && send_label("region", 6) && send_label("a\0b\0c", 6);
	return sent && send_files() ? 0 : 1;
}

Test(channel_abuse, what_is_not_a_request_is_counted_and_no_more)
{
	int before;

	open_exporter();
	rpcprof_channel_labels_set(note_label);
	call("/m", 10);
	before = open_files();
	cr_assert_eq(end_of(run_child(send_nonsense)), 0);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(refused_count(), NONSENSE);
	cr_assert_eq(run_count(), 0);
	cr_assert_eq(said.windows, 0);
	cr_assert_str_eq(labels, "");
	cr_assert_eq(open_files(), before);
	pass(LOOK_NS);
	cr_assert_eq(step_until_end(run_child(flush)), 0);
	cr_assert_eq(said.all_calls, 1);
	cr_assert_eq(open_files(), before);
	rpcprof_exporter_close(&stepped);
}

static int flush_as_another(void)
{
	return setuid(65534) == 0 ? flush() : 100;
}

Test(channel_abuse, another_users_process_is_refused)
{
	if (getuid() != 0)
		return; /* only root may become another */
	open_exporter();
	call("/m", 10);
	cr_assert_eq(step_until_end(run_child(flush_as_another)), EPERM);
	cr_assert_eq(said.windows, 0);
	cr_assert_eq(refused_count(), 1);
	rpcprof_exporter_close(&stepped);
}

/* Many. */

static uint64_t *flooded; /* of frames that the socket took; shared */

static int flood(void)
{
	const uint32_t head = RPCPROF_CHANNEL_HEAD;

	while (send_frame(RPCPROF_CHANNEL_MAGIC, head, RPCPROF_REQUEST_FLUSH, "", 0))
		++*flooded;
	return flush_in_vain(); /* which does not find room */
}

Test(channel_abuse, a_flood_costs_a_window_and_some_requests_each_look)
{
	const uint64_t batch = RPCPROF_CHANNEL_BATCH;
	uint64_t looks = 1;

	flooded = mmap(NULL, sizeof(*flooded), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	               -1, 0);
	open_exporter();
	cr_assert_eq(end_of(run_child(flood)), 0);
	cr_assert(*flooded > 2 * batch && *flooded < 10000, "%zu", (size_t)*flooded);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(run_count(), batch);
	cr_assert_eq(stepped.stats.windows, 1);
	pass(LOOK_NS - 1);
	cr_assert_eq(rpcprof_exporter_step(&stepped, false), 1, "until the next look");
	cr_assert_eq(run_count(), batch, "not yet");
	for (pass(1); run_count() < *flooded && looks < 1000; pass(LOOK_NS), looks++)
		rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(looks, (*flooded + batch - 1) / batch);
	cr_assert_eq(stepped.stats.windows, looks);
	munmap(flooded, sizeof(*flooded));
	rpcprof_exporter_close(&stepped);
}

/* Numbers that are others' by now. */

#define TEXT "not yours"

/* At each of the numbers from 3 on a socket that has TEXT to read, to be closed again. */
static void take_all_numbers(int ends[2])
{
	int pair[2], last = 3;

	while (last < 64)
		close(last++);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	ends[0] = fcntl(pair[0], F_DUPFD, 64);
	ends[1] = fcntl(pair[1], F_DUPFD, 64);
	for (int i = 3; i < 64; i++)
		dup2(ends[0], i);
	cr_assert_eq(send(ends[1], TEXT, sizeof(TEXT), 0), sizeof(TEXT));
}

static bool is_untouched(const int ends[2])
{
	char text[64];

	for (int i = 3; i < 64; i++)
		if (fcntl(i, F_GETFD) < 0)
			return false;
	return recv(ends[1], text, sizeof(text), MSG_DONTWAIT) < 0 &&
	       recv(ends[0], text, sizeof(text), MSG_DONTWAIT) == sizeof(TEXT);
}

static int flush_with_other_numbers(void)
{
	int ends[2];

	take_all_numbers(ends);
	return rpcprof_parent_flush(LONG_MS) == -ESRCH && is_untouched(ends) ? 0 : 1;
}

Test(channel_abuse, a_childs_numbers_may_have_become_others)
{
	open_exporter();
	cr_assert_eq(end_of(run_child(flush_with_other_numbers)), 0);
	rpcprof_exporter_close(&stepped);
}

static int look_with_other_numbers(void)
{
	int ends[2];

	open_exporter();
	cr_assert_eq(end_of(run_child(open_files)) > 0, 1);
	take_all_numbers(ends);
	rpcprof_exporter_step(&stepped, true);
	rpcprof_exporter_close(&stepped);
	return refused_count() == 0 && is_untouched(ends) ? 0 : 1;
}

Test(channel_abuse, the_exporters_numbers_may_have_become_others)
{
	cr_assert_eq(end_of(run_child(look_with_other_numbers)), 0);
}
