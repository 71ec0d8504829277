/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dumps and profiles cut off at every byte and with flipped bits, through the subcommands: each
 * ends with exit code 0, or 2 and a message with the file and the byte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/command_internal.h"
#include "export/dump_internal.h"
#include "export/pprof_internal.h"

/* A file in memory, by a name that it can be opened by. */
static int file;
static char path[64];
static unsigned long runs, refused;
static int failures;

static const char lines[] =
	"{\"dump\":{\"format\":\"rpcprof-dump\",\"version\":1,\"at_utc_ns\":1,\"program\":\"p\","
	"\"pid\":1,\"enabled\":true,\"clock\":{\"kind\":\"raw\",\"date_error_ns\":1,"
	"\"frequency_error_ppm\":0.5,\"steps\":0},\"counters\":{\"recorded\":1}}}\n"
	"{\"call\":{\"id\":\"12\",\"state\":\"finished\",\"side\":\"server\",\"method\":\"/a.B/C\","
	"\"begin_utc_ns\":1,\"duration_ns\":100,\"status\":14,\"connection\":1,\"stream\":2,"
	"\"metadata\":\"00ff\",\"trace_id\":\"00112233445566778899aabbccddeeff\","
	"\"span_id\":\"0011223344556677\",\"labels\":{\"k\":\"v\"},"
	"\"stages\":[{\"tag\":\"/a\",\"offset_ns\":1,\"duration_ns\":50,\"thread\":1},"
	"{\"tag\":\"/b\",\"offset_ns\":2,\"duration_ns\":3,\"thread\":1,\"open\":true}],"
	"\"folded\":[{\"tag\":\"/m\",\"count\":3,\"total_ns\":30,\"longest_ns\":20}]}}\n"
	"{\"end\":{\"calls\":1,\"torn\":0,\"date_error_ns\":1}}\n";

static const char document[] =
	"{\"format\":\"rpcprof-dump\",\"version\":1,\"program\":\"p\",\"calls\":[\n"
	"{\"state\":\"in_flight\",\"side\":\"client\",\"age_ns\":5,\"open_stage\":\"/w\","
	"\"stages\":[]},\n"
	"{\"side\":\"server\",\"duration_ns\":5,\"stages\":[{\"tag\":\"/a\",\"offset_ns\":-1,"
	"\"duration_ns\":9}]}\n],\"end\":{\"calls\":2,\"torn\":1}}\n";

static void complain_about(const char *what, int code, const char *message)
{
	printf("FAILED: %s: exit code %d, message \"%s\"\n", what, code, message);
	failures++;
}

/* Runs a subcommand on the file, with stdout and stderr in memory. */
static void run(int (*command)(int, char **), const char *name, bool may_refuse)
{
	char *arguments[] = {(char *)(uintptr_t)name, path, NULL};
	FILE *real_out = stdout, *real_err = stderr;
	char *out = NULL, *err = NULL;
	size_t out_length, err_length;
	int code;

	stdout = open_memstream(&out, &out_length);
	stderr = open_memstream(&err, &err_length);
	code = command(2, arguments);
	fclose(stdout);
	fclose(stderr);
	stdout = real_out;
	stderr = real_err;
	runs++;
	refused += code == EXIT_BAD_INPUT;
	if (code != EXIT_DONE && code != EXIT_BAD_INPUT)
		complain_about(name, code, err);
	else if (code == EXIT_BAD_INPUT &&
	         (!may_refuse || strstr(err, path) == NULL || strstr(err, ": byte ") == NULL))
		complain_about(name, code, err);
	else if (code == EXIT_DONE && (err_length != 0 || out_length == 0))
		complain_about(name, code, err);
	else if (strchr(out, '\033') != NULL || strchr(err, '\033') != NULL)
		complain_about(name, code, "an escape sequence came through");
	free(out);
	free(err);
}

static void try(const void *bytes, size_t length, bool may_refuse)
{
	if (ftruncate(file, 0) != 0 || pwrite(file, bytes, length, 0) != (ssize_t)length) {
		perror(path);
		exit(1);
	}
	run(command_top, "rpcprof top", may_refuse);
	run(command_dump, "rpcprof dump", may_refuse);
	run(command_report, "rpcprof report", may_refuse);
}

static void mutate(const char *what, const uint8_t *bytes, size_t length, int flips)
{
	uint8_t *copy = malloc(length);

	runs = refused = 0;
	try(bytes, length, false);
	for (size_t cut = 0; cut < length; cut++)
		try(bytes, cut, true);
	for (int i = 0; i < flips; i++) {
		memcpy(copy, bytes, length);
		for (int n = 1 + rand() % 3; n > 0; n--)
			copy[(size_t)rand() % length] ^= (uint8_t)(1 << rand() % 8);
		try(copy, length, true);
	}
	free(copy);
	printf("%-10s %lu runs, %lu refused\n", what, runs, refused);
}

static uint8_t *make_profile(size_t *length)
{
	static const struct rpcprof_pprof_type types[] = {
		{"calls", "count"}, {"stages", "count"}, {"wall", "nanoseconds"}};
	struct rpcprof_pprof_info info = {.types = types,
	                                  .type_count = 3,
	                                  .period = 1,
	                                  .period_type = types[2],
	                                  .mapping_file = "/bin/x"};
	struct rpcprof_pprof *pprof = rpcprof_pprof_open(&info);
	uint64_t stack[] = {(uint64_t)rpcprof_pprof_location(pprof, "/decode", "f"),
	                    (uint64_t)rpcprof_pprof_location(pprof, "/a.B/C", "f"),
	                    (uint64_t)rpcprof_pprof_location(pprof, "server", "")};
	struct rpcprof_pprof_label label = {.key = rpcprof_pprof_string(pprof, "k"),
	                                    .str = rpcprof_pprof_string(pprof, "v")};
	uint8_t *bytes;

	rpcprof_pprof_add(pprof, stack, 3, (int64_t[]){0, 1, 30}, &label, 1);
	rpcprof_pprof_add(pprof, stack + 1, 2, (int64_t[]){1, 0, 70}, NULL, 0);
	if (rpcprof_pprof_encode(pprof, &bytes, length) != 0)
		abort();
	rpcprof_pprof_close(pprof);
	return bytes;
}

/* The same call as in `lines`. */
static uint8_t *make_snapshot(size_t *length)
{
	struct dump_stage stage = {"/a", 1, 50, 1, 0, false};
	struct dump_header header = {.program = "p", .clock = "raw", .pid = 1, .enabled = true};
	struct dump_call call = {.side = "server", .method = "/a.B/C", .duration_ns = 100,
	                         .has_status = true, .has_trace = true, .stages = &stage,
	                         .stage_count = 1, .fold_count = 1, .folded = 3,
	                         .folds = {{"/m", 3, 30, 20}}, .metadata_bytes = 12};
	char *bytes = NULL;
	struct dump_writer writer = {.out = open_memstream(&bytes, length),
	                             .format = RPCPROF_DUMP_PROTO};

	if (rpcprof_dump_write_begin(&writer, &header) != 0 ||
	    rpcprof_dump_write_call(&writer, &call) != 0 || rpcprof_dump_write_end(&writer, 0) != 0)
		abort();
	fclose(writer.out);
	return (uint8_t *)bytes;
}

int main(void)
{
	size_t snapshot_length;
	uint8_t *snapshot = make_snapshot(&snapshot_length);
	size_t length;
	uint8_t *profile = make_profile(&length);

	file = memfd_create("hostile", MFD_CLOEXEC);
	if (file < 0)
		return 1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	srand(1);
	mutate("profile", profile, length, 1000);
	mutate("JSON lines", (const uint8_t *)lines, sizeof(lines) - 1, 2000);
	mutate("JSON", (const uint8_t *)document, sizeof(document) - 1, 2000);
	mutate("snapshot", snapshot, snapshot_length, 2000);
	free(snapshot);
	free(profile);
	return failures != 0;
}
