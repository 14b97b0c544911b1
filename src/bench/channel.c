/* What every mechanism uses: payloads, and calls that end when the other side does. */
#include "bench/transport.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void payload_fill(uint8_t *payload, size_t size, uint64_t seed)
{
	for (size_t i = 0; i < size; i += 8) {
		uint64_t word = (seed << 40) + i + 1;

		word = (word ^ word >> 31) * 0x9e3779b97f4a7c15ULL;
		word ^= word >> 29;
		memcpy(payload + i, &word, size - i < 8 ? size - i : 8);
	}
}

/* Reads each byte once, as fast as a plain loop does; the sum is the same however it is cut. */
uint64_t payload_sum(const uint8_t *data, size_t size)
{
	uint64_t sums[4] = {0}, words[4], last = 0;
	size_t i;

	for (i = 0; i + sizeof words <= size; i += sizeof words) {
		memcpy(words, data + i, sizeof words);
		for (int k = 0; k < 4; k++)
			sums[k] += words[k];
	}
	for (; i + 8 <= size; i += 8) {
		memcpy(words, data + i, 8);
		sums[0] += words[0];
	}
	memcpy(&last, data + i, size - i);
	return sums[0] + sums[1] + sums[2] + sums[3] + last;
}

void channel_consume(struct channel *channel, const void *data, size_t size)
{
	if (channel->consumed + size > channel->size)
		channel->wrong = true;
	else if (channel->expected)
		channel->wrong |= memcmp(data, channel->expected + channel->consumed, size) != 0;
	else
		channel->sum += payload_sum(data, size);
	channel->consumed += size;
}

int channel_expect(struct channel *channel, uint64_t word, struct error *err)
{
	if (word != ++channel->word)
		return error_set(err, STATUS_BAD_DATA, "request %llu came as %llu",
			(unsigned long long)channel->word, (unsigned long long)word);
	return STATUS_OK;
}

int channel_again(struct channel *channel, const char *what, struct error *err)
{
	return errno == EINTR ? watchdog_check(&channel->watchdog, err)
			      : error_os(err, errno, "%s", what);
}

int channel_read(struct channel *channel, int fd, void *buffer, size_t size, struct error *err)
{
	for (size_t done = 0; done < size;) {
		ssize_t count = read(fd, (uint8_t *)buffer + done, size - done);
		int status = count < 0 ? channel_again(channel, "read", err) : STATUS_OK;

		if (!count)
			status = error_set(err, STATUS_UNAVAILABLE, "the other side closed");
		if (status)
			return status;
		if (count > 0)
			done += (size_t)count;
	}
	return STATUS_OK;
}

int channel_write(
	struct channel *channel, int fd, const void *buffer, size_t size, struct error *err)
{
	for (size_t done = 0; done < size;) {
		ssize_t count = write(fd, (const uint8_t *)buffer + done, size - done);
		int status = count < 0 ? channel_again(channel, "write", err) : STATUS_OK;

		if (status)
			return status;
		if (count > 0)
			done += (size_t)count;
	}
	return STATUS_OK;
}
