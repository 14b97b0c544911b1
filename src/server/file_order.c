#include "server/file_order.h"

#include "base/hash.h"
#include "server/internal.h"
#include "server/shard_name.h"
#include "server/shards.h"

/* What the store has of that name: if the file is that one still, it need not be read. */
static void tell_known(struct server *server, struct file_task *task)
{
	const struct alias *alias = NULL;

	task->order.has_known = false;
	if (task->order.kind != HELPER_READ || task->again || !task->request)
		return;
	alias = store_alias(&server->store, task->order.name, LINK_DECODE, &task->request->options);
	if (!alias && task->kind == LINK_PROBE)
		alias = store_alias(
			&server->store, task->order.name, LINK_PROBE, &task->request->options);
	if (!alias || alias->image->recent)
		return;
	task->order.has_known = true;
	task->order.known = alias->image->key.file;
}

/* Where the file is, if it is in a shard of which the server has an index. */
static void tell_shard(struct server *server, struct file_task *task)
{
	struct helper_order *order = &task->order;
	struct resolved part;

	order->has_shard = order->kind != HELPER_LIST && shard_name_part(order->name, 0) &&
			   shards_guess(server->shards, order->name, order->indexed, &part);
	if (!order->has_shard)
		return;
	order->shard = part.key;
	order->offset = part.offset;
	order->size = part.size;
}

uint64_t file_order_shard(const struct file_task *task)
{
	size_t length = task->order.kind == HELPER_LIST ? 0 : shard_name_part(task->order.name, 0);

	return length ? hash_keyed(task->order.name, length) | 1 : 0;
}

void file_order_complete(struct server *server, struct file_task *task)
{
	tell_known(server, task);
	tell_shard(server, task);
}
