/* SPDX-License-Identifier: Apache-2.0 */
/* The files of this folder in the program, byte for byte. */
#include "cli/page_internal.h"

/* The assembler reads them; PAGE_FOLDER is where they are. */
#define EMBED(symbol, file)                                                                        \
	__asm__(".pushsection .rodata\n.globl " #symbol "_begin, " #symbol "_end\n"              \
	        ".hidden " #symbol "_begin, " #symbol "_end\n" #symbol "_begin:\n"                 \
	        ".incbin \"" PAGE_FOLDER "/" file "\"\n" #symbol "_end:\n.byte 0\n.popsection\n");  \
	extern const char symbol##_begin[], symbol##_end[]

EMBED(html, "page.html");
EMBED(style, "style.css");
EMBED(data, "data.js");
EMBED(flame, "flame.js");
EMBED(latency, "latency.js");
EMBED(waterfall, "waterfall.js");
EMBED(script, "main.js");
EMBED(d3, "vendor/d3.js");
EMBED(licences, "vendor/LICENSES");

const char *const page_html = html_begin;

const struct page_part page_parts[] = {
	{"style.css", style_begin, style_end},
	{"data.js", data_begin, data_end},
	{"flame.js", flame_begin, flame_end},
	{"latency.js", latency_begin, latency_end},
	{"waterfall.js", waterfall_begin, waterfall_end},
	{"main.js", script_begin, script_end},
	{"d3.js", d3_begin, d3_end},
	{"LICENSES", licences_begin, licences_end},
	{0},
};
