/* Who waited for a seat and who got one, in the order in which it happened, across processes. */
#pragma once

/* Maps the log, a file that is large enough and full of zeros; this process is `client` in it. */
int seat_log_open(const char *path, unsigned client);
