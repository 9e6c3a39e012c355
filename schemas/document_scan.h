/* The first look at a document: what can be refused before a tree is built. For schemas/document.c only.
 *
 * Checks the bytes (UTF-8, no control or bidirectional characters), then libyaml's events: one document, no
 * directives, anchors, aliases or tags, bounded depth and number of values, no escape that hides a control
 * character in a quoted text. libyaml's tree no longer tells these. */
#pragma once

#include "schemas/error.h"

MUST_USE struct error *document_scan(const char *text, size_t bytes, const char *where);
