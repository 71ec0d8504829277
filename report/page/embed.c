/* SPDX-License-Identifier: Apache-2.0 */
/* The files of this folder in the library, byte for byte. */
#include "report/page_internal.h"

/* The assembler reads them; PAGE_FOLDER is where they are. */
#define EMBED(symbol, file)                                                                        \
	__asm__(".pushsection .rodata\n.globl " #symbol "_begin, " #symbol "_end\n"                \
	        ".hidden " #symbol "_begin, " #symbol "_end\n" #symbol "_begin:\n"                 \
	        ".incbin \"" PAGE_FOLDER "/" file "\"\n" #symbol "_end:\n.byte 0\n.popsection\n");  \
	extern const char symbol##_begin[], symbol##_end[]

EMBED(report_page_html, "page.html");
EMBED(report_page_style, "style.css");
EMBED(report_page_data, "data.js");
EMBED(report_page_flame, "flame.js");
EMBED(report_page_latency, "latency.js");
EMBED(report_page_waterfall, "waterfall.js");
EMBED(report_page_script, "main.js");
EMBED(report_page_d3, "vendor/d3.js");
EMBED(report_page_licences, "vendor/LICENSES");

const char *const report_page_html = report_page_html_begin;

const struct page_part report_page_parts[] = {
	{"style.css", report_page_style_begin, report_page_style_end},
	{"data.js", report_page_data_begin, report_page_data_end},
	{"flame.js", report_page_flame_begin, report_page_flame_end},
	{"latency.js", report_page_latency_begin, report_page_latency_end},
	{"waterfall.js", report_page_waterfall_begin, report_page_waterfall_end},
	{"main.js", report_page_script_begin, report_page_script_end},
	{"d3.js", report_page_d3_begin, report_page_d3_end},
	{"LICENSES", report_page_licences_begin, report_page_licences_end},
	{0},
};
