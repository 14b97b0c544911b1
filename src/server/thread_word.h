/*
 * A word in shared memory that says whether a thread lives: its number (gettid(2)) as long as it
 * does. The kernel itself takes the number out when the thread ends, however it ends, before anybody
 * can wait for the end of its process: the word is a robust futex (set_robust_list(2)) that nobody
 * waits for.
 *
 * The thread must use no other robust futex: no robust mutex of pthread_mutex_lock(3).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct thread_word;

/* Puts the calling thread's number into the word, which must stay mapped until the thread has ended.
 * NULL, and the word as it was, if that is not possible here. */
struct thread_word *thread_word_take(_Atomic uint32_t *word);

/* Takes the number out again, in the same thread: the word may be unmapped then. */
struct thread_word *thread_word_leave(struct thread_word *taken);

/* Only once the thread has ended. */
struct thread_word *thread_word_free(struct thread_word *taken);

/* Whether it works here: tried with a thread. */
bool thread_word_works(void);
