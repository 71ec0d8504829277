/* SPDX-License-Identifier: Apache-2.0 */
/* A flame graph as SVG: the root above, each frame as wide as its share; titles have the values. */
#include "cli/sources_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/rows_internal.h"

#define WIDTH 1200
#define ROW 19
#define TOP 40
#define CHARACTER 6.7 /* width of one, at 11 px in a monospaced font */
#define NARROWEST 0.25 /* what is less is not drawn */
#define TITLE_BYTES_MAX 512

struct svg {
	FILE *out;
	const struct tree *tree;
	const int64_t *totals;
	int64_t *left; /* of each node: where its next child begins, in the tree's unit */
};

/* As text that XML can hold and that acts on nobody, cut to so many characters. */
static void put_text(FILE *out, const char *name, size_t characters)
{
	char *plain = NULL;
	size_t bytes, count = 0;
	FILE *memory = open_memstream(&plain, &bytes);

	if (memory == NULL)
		return;
	rpcprof_dump_print_name(memory, name);
	fclose(memory);
	for (const char *at = plain; at != NULL && *at != '\0'; at++) {
		if (((unsigned char)*at & 0xc0) != 0x80 && count++ == characters) {
			fputs("\u2026", out);
			break;
		}
		if (strchr("&<>\"'", *at) != NULL)
			fprintf(out, "&#%d;", *at);
		else
			fputc(*at, out);
	}
	free(plain);
}

static void format_tree_value(char out[VALUE_CHARS], const struct tree *tree, int64_t value)
{
	struct rows rows = {.unit = (char *)(uintptr_t)rpcprof_pprof_text(tree->names, tree->unit)};

	format_value(out, &rows, (double)value);
}

/* A stage has one colour wherever it stands; sides and methods are grey. */
static void put_colour(const struct svg *svg, size_t node)
{
	const char *name = tree_name(svg->tree, node);
	uint32_t hash = 2166136261u; /* FNV-1a: the same in every process */

	if (node == 0 || (svg->tree->of_calls && svg->tree->nodes[node].depth < 3)) {
		fprintf(svg->out, " class=\"f g%" PRIu32 "\"", svg->tree->nodes[node].depth);
		return;
	}
	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	fprintf(svg->out, " class=\"f\" fill=\"hsl(%" PRIu32 " 62%% 66%%)\"", hash % 360);
}

static void put_frame(const struct svg *svg, size_t node, double x, double width)
{
	const struct tree_node *at = &svg->tree->nodes[node];
	char value[VALUE_CHARS], self[VALUE_CHARS];
	double y = TOP + ROW * (double)at->depth;
	size_t characters = (size_t)(fmax(width - 8, 0) / CHARACTER);

	format_tree_value(value, svg->tree, svg->totals[node]);
	format_tree_value(self, svg->tree, at->column[TREE_THIS].self);
	fputs("<g><title>", svg->out);
	put_text(svg->out, node == 0 ? "all" : tree_name(svg->tree, node), TITLE_BYTES_MAX);
	fprintf(svg->out, "\n%s, %.2f %%; itself %s", value,
	        percent_of((double)svg->totals[node], (double)svg->totals[0]), self);
	if (at->column[TREE_THIS].calls != 0)
		fprintf(svg->out, "; %" PRId64 " calls", at->column[TREE_THIS].calls);
	if (at->column[TREE_THIS].stages != 0)
		fprintf(svg->out, "; ran %" PRId64 " times", at->column[TREE_THIS].stages);
	fprintf(svg->out, "</title><rect x=\"%.2f\" y=\"%.0f\" width=\"%.2f\" height=\"%d\"", x, y,
	        fmax(width - 0.5, 0.2), ROW - 1);
	put_colour(svg, node);
	fputs("/>", svg->out);
	if (width >= 8 + 3 * CHARACTER) {
		fprintf(svg->out, "<text x=\"%.2f\" y=\"%.0f\"%s>", x + 4, y + 13,
		        node == 0 || (svg->tree->of_calls && at->depth < 3) ? " class=\"n\"" : "");
		put_text(svg->out, node == 0 ? "all" : tree_name(svg->tree, node), characters);
		fputs("</text>", svg->out);
	}
	fputs("</g>\n", svg->out);
}

static void put_frames(struct svg *svg)
{
	const struct tree_node *nodes = svg->tree->nodes;
	double scale = svg->totals[0] > 0 ? (WIDTH - 20) / (double)svg->totals[0] : 0;

	for (size_t i = 0; i < svg->tree->count; i++) {
		int64_t left = i == 0 ? 0 : svg->left[nodes[i].parent];
		int64_t total = svg->totals[i] > 0 ? svg->totals[i] : 0;

		svg->left[i] = left;
		if (i != 0)
			add_saturating(&svg->left[nodes[i].parent], total);
		if ((double)total * scale >= NARROWEST)
			put_frame(svg, i, 10 + (double)left * scale, (double)total * scale);
	}
}

static uint32_t depth_of(const struct svg *svg)
{
	double least = NARROWEST * (double)svg->totals[0] / (WIDTH - 20);
	uint32_t depth = 0;

	for (size_t i = 0; i < svg->tree->count; i++)
		if ((double)svg->totals[i] >= least && svg->tree->nodes[i].depth > depth)
			depth = svg->tree->nodes[i].depth;
	return depth;
}

static void put_head(const struct svg *svg)
{
	uint32_t height = TOP + ROW * (depth_of(svg) + 1) + 12;
	char value[VALUE_CHARS];
	int64_t calls = 0;

	for (size_t i = 0; i < svg->tree->count; i++)
		add_saturating(&calls, svg->tree->nodes[i].column[TREE_THIS].calls);
	fprintf(svg->out,
	        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %" PRIu32 "\" "
	        "width=\"%d\" height=\"%" PRIu32 "\">\n<style>"
	        "text{font:11px ui-monospace,'DejaVu Sans Mono',Menlo,monospace;fill:#1b1f24}"
	        ".h{font:600 13px system-ui,sans-serif}.b{fill:#fff}.f:hover{stroke:#000}"
	        ".g0{fill:#d9dee4}.g1{fill:#c9d1da}.g2{fill:#b7c2cf}"
	        "@media(prefers-color-scheme:dark){.b{fill:#16191d}.n,.h{fill:#e6e9ec}"
	        ".f:hover{stroke:#fff}.g0{fill:#2b3138}.g1{fill:#353d46}.g2{fill:#434d58}}"
	        "</style>\n<rect class=\"b\" width=\"100%%\" height=\"100%%\"/>\n"
	        "<text class=\"h\" x=\"10\" y=\"24\">",
	        WIDTH, height, WIDTH, height);
	format_tree_value(value, svg->tree, svg->totals[0]);
	if (svg->totals[0] <= 0)
		fputs(svg->tree->in_flight != 0 ? "No calls that had ended" : "No calls", svg->out);
	else if (svg->tree->of_calls)
		fprintf(svg->out, "%" PRId64 " calls, %s in all", calls, value);
	else
		fprintf(svg->out, "%s in all", value);
	fputs("</text>\n", svg->out);
}

int svg_write(FILE *out, const struct loaded *loaded)
{
	struct svg svg = {.out = out, .tree = &loaded->tree};
	int64_t *totals = report_tree_totals(&loaded->tree, TREE_THIS);
	int status = EXIT_DONE;

	svg.totals = totals;
	svg.left = calloc(loaded->tree.count, sizeof(*svg.left));
	if (totals != NULL && svg.left != NULL) {
		put_head(&svg);
		put_frames(&svg);
		fputs("</svg>\n", out);
	} else {
		status = complain(EXIT_SYSTEM,
		                  "more memory is needed than there is, or than 1 GiB");
	}
	free(totals);
	free(svg.left);
	return status;
}
