/*
 * The completion thread: waits for what decoders say, for their ends and for their deadlines, and
 * answers who waits for their images.
 */
#pragma once

void *completion_main(void *server);
