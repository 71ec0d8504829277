/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program's CPU profiles, pushed to a sink and written to a directory, window by window: together
 * they have every sample that the profiler counted, once, and the two are the same.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "rpcprof/backend.h"
#include "rpcprof/push.h"
#include "rpcprof/rpcprof.h"
#include "tests/gperftools/burn.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct cpu pushed;
static int sessions;

static enum rpcprof_delivery send_session(void *arg, const struct rpcprof_session *session,
                                          struct rpcprof_reply *reply)
{
	(void)arg;
	(void)reply;
	must(strcmp(session->labels[0].name, "__name__") == 0);
	if (strcmp(session->labels[0].value, "process_cpu") != 0)
		return RPCPROF_DELIVERED;
	pthread_mutex_lock(&lock);
	add_cpu(&pushed, session->bytes, session->length);
	sessions++;
	pthread_mutex_unlock(&lock);
	return RPCPROF_DELIVERED;
}

static void add_file(struct cpu *cpu, const char *directory, const char *name)
{
	static uint8_t bytes[1 << 20];
	char path[512];
	size_t length;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "r");
	must(file != NULL);
	length = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	unlink(path);
	if (strncmp(name, "process_cpu-", 12) == 0)
		add_cpu(cpu, bytes, length);
}

static struct cpu read_directory(const char *path)
{
	DIR *directory = opendir(path);
	struct cpu cpu = {0};
	struct dirent *entry;

	must(directory != NULL);
	while ((entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.')
			add_file(&cpu, path, entry->d_name);
	closedir(directory);
	return cpu;
}

/* From here on this thread, the only one that the profiler could interrupt, has no more samples. */
static void no_more_samples(void)
{
	sigset_t profiling;

	sigemptyset(&profiling);
	sigaddset(&profiling, SIGPROF);
	pthread_sigmask(SIG_BLOCK, &profiling, NULL);
}

int main(void)
{
	static const struct rpcprof_sink sink = {.size = sizeof(sink), .send = send_session};
	char directory[] = "/tmp/rpcprof-gperftools-XXXXXX";
	struct rpcprof_push_config to = {.size = sizeof(to), .sink = &sink, .jitter_ms = 1};
	struct rpcprof_exporter_config config = {.size = sizeof(config)};
	struct rpcprof_push *push;
	struct cpu written;
	int gathered;

	must(mkdtemp(directory) != NULL);
	must(rpcprof_init(NULL) == 0);
	must(rpcprof_push_open(&push, &to) == 0);
	must(rpcprof_backend_add(rpcprof_backend_gperftools()) == 0);
	config.directory = directory;
	config.on_window = rpcprof_push_window;
	config.on_window_arg = push;
	must(rpcprof_exporter_start(&config) == 0);
	must(rpcprof_exporter_start(&config) == -EALREADY);
	for (int i = 0; i < 3; i++) {
		burn(30);
		must(rpcprof_exporter_flush(10000) == 0);
	}
	no_more_samples();
	gathered = samples_gathered();
	must(gathered >= 90);
	must(rpcprof_exporter_stop() == 0);
	must(samples_gathered() == 0); /* it was stopped */
	must(rpcprof_push_close(push, 10000) == 0);
	written = read_directory(directory);
	rmdir(directory);
	printf("%d samples in %d sessions, %ld of them in burn_left\n", gathered, sessions,
	       pushed.left);
	must(sessions >= 3);
	must(pushed.samples == gathered);
	must(pushed.ns == pushed.samples * pushed.period_ns);
	must(pushed.left > 0 && pushed.left < pushed.samples);
	must(memcmp(&pushed, &written, sizeof(pushed)) == 0);
	return 0;
}
