/* SPDX-License-Identifier: Apache-2.0 */
#include "push/queue_internal.h"

#include <stdlib.h>
#include <string.h>

struct rpcprof_waiting *rpcprof_waiting_make(const struct rpcprof_labels *labels, int64_t begin_ns,
                                             int64_t end_ns, const uint8_t *bytes, size_t length)
{
	struct rpcprof_waiting *waiting;
	size_t label_bytes = 0;
	char *text;

	for (size_t i = 0; i < labels->count; i++)
		label_bytes += strlen(labels->list[i].name) + strlen(labels->list[i].value) + 2;
	waiting = malloc(sizeof(*waiting) + label_bytes + length);
	if (waiting == NULL)
		return NULL;
	*waiting = (struct rpcprof_waiting){.begin_ns = begin_ns, .end_ns = end_ns,
	                                    .label_count = labels->count,
	                                    .label_bytes = label_bytes, .length = length};
	text = (char *)waiting->data;
	for (size_t i = 0; i < labels->count; i++) {
		text = stpcpy(text, labels->list[i].name) + 1;
		text = stpcpy(text, labels->list[i].value) + 1;
	}
	if (bytes != NULL)
		memcpy(rpcprof_waiting_profile(waiting), bytes, length);
	return waiting;
}

void rpcprof_waiting_free_all(struct rpcprof_waiting *list)
{
	while (list != NULL) {
		struct rpcprof_waiting *next = list->next;

		free(list);
		list = next;
	}
}

size_t rpcprof_waiting_bytes(const struct rpcprof_waiting *waiting)
{
	return sizeof(*waiting) + waiting->label_bytes + waiting->length;
}

bool rpcprof_waiting_labels(const struct rpcprof_waiting *waiting, struct rpcprof_labels *labels)
{
	const char *text = (const char *)waiting->data, *end = text + waiting->label_bytes;

	labels->count = 0;
	if (waiting->label_count > RPCPROF_LABEL_SET_MAX ||
	    (waiting->label_bytes > 0 && end[-1] != '\0'))
		return false;
	for (size_t i = 0; i < 2 * waiting->label_count; i++) {
		if (text == end)
			return false;
		if (i % 2 == 0)
			labels->list[labels->count].name = text;
		else
			labels->list[labels->count++].value = text;
		text += strlen(text) + 1;
	}
	return text == end;
}

bool rpcprof_queue_is_full(const struct rpcprof_queue *queue, size_t count, size_t bytes)
{
	return queue->count + count >= queue->count_max || queue->bytes + bytes > queue->bytes_max;
}

static void account(struct rpcprof_queue *queue, const struct rpcprof_waiting *waiting)
{
	queue->count++;
	queue->bytes += rpcprof_waiting_bytes(waiting);
}

void rpcprof_queue_append(struct rpcprof_queue *queue, struct rpcprof_waiting *waiting)
{
	waiting->next = NULL;
	if (queue->last != NULL)
		queue->last->next = waiting;
	else
		queue->first = waiting;
	queue->last = waiting;
	account(queue, waiting);
}

void rpcprof_queue_prepend(struct rpcprof_queue *queue, struct rpcprof_waiting *waiting)
{
	waiting->next = queue->first;
	queue->first = waiting;
	if (queue->last == NULL)
		queue->last = waiting;
	account(queue, waiting);
}

struct rpcprof_waiting *rpcprof_queue_take(struct rpcprof_queue *queue)
{
	struct rpcprof_waiting *waiting = queue->first;

	if (waiting == NULL)
		return NULL;
	queue->first = waiting->next;
	if (queue->first == NULL)
		queue->last = NULL;
	queue->count--;
	queue->bytes -= rpcprof_waiting_bytes(waiting);
	return waiting;
}
