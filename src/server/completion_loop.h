/*
 * The completion thread: waits for what decoders say, for their ends and for their deadlines, and
 * answers the requests that wait for their images.
 */
#pragma once

void *completion_main(void *server);
