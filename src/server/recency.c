#include "server/recency.h"

#include "server/window.h"

/* Of what a seat says nothing is believed but the order: an image that is not there is passed over. */
static void take_note(struct store *store, uint64_t note)
{
	struct alias *alias = index_writer_at(&store->index, note >> 32);

	if (alias && wire_note(note >> 32, alias->image->number) == note)
		window_use(store, alias->image);
}

void recency_take_in(struct store *store)
{
	const struct head *head = store->head;

	for (unsigned seat = 0; store->index.index && seat < head->seats; seat++) {
		/* Acquire: the notes were written before. */
		uint64_t notes = atomic_load_explicit(
			&head_seat_counters(head, seat)->notes, memory_order_acquire);
		uint64_t at = store->index.notes[seat];

		if (notes - at > WIRE_NOTES)
			at = notes - WIRE_NOTES;
		for (; at != notes; at++)
			take_note(store, atomic_load_explicit(
						 head_note(head, seat, at), memory_order_relaxed));
		store->index.notes[seat] = notes;
	}
}
