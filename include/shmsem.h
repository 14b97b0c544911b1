/*
 * libshmsem: images, decoded elsewhere, in shared memory.
 *
 *	struct shmsem *client;
 *	struct shmsem_image image;
 *	struct shmsem_error error;
 *
 *	if (shmsem_connect(&client, NULL, &error) ||
 *		shmsem_fetch(client, &(struct shmsem_request){.name = "apple"}, &image, &error))
 *		errx(error.status, "%s", error.message);
 *	use(image.pixels, image.info.width, image.info.height, image.info.channels);
 *	shmsem_release(&image);
 *	shmsem_close(client);
 *
 * Needs a server, shmsem-serve(1), on the same host and with the same /dev/shm. shmsem(7) describes
 * the exchange.
 *
 * Every function that can fail returns SHMSEM_OK (0) or an enum shmsem_status and fills *error,
 * with an empty message where it succeeded. Outputs are written on success only. Nothing is
 * printed, and no signal handler or thread is made unless asked for. All waits are bounded.
 *
 * `error` may always be NULL; any other pointer may be only where that is said. Fields named
 * `reserved` are zero, and only the flags listed here are set: anything else is SHMSEM_USAGE, so
 * that it may have a meaning later.
 *
 * Threads: a struct shmsem, shmsem_queue or shmsem_server may be used by one thread at a time;
 * different handles are independent. shmsem_cancel, shmsem_server_stop and shmsem_release may be
 * called from any thread at any time, the first two from signal handlers, too.
 *
 * fork(): the child must connect anew; the parent's handles refuse to work there. Images held at
 * the fork can be read in the child for as long as the parent holds them. The child inherits no
 * lock, so nothing stays taken when the parent ends. (One of _Fork() or clone() does, until it
 * executes another program.)
 */
#ifndef SHMSEM_H
#define SHMSEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SHMSEM_API __attribute__((visibility("default")))
#else
#define SHMSEM_API
#endif

/* The same numbers as the exit statuses of the commands. */
enum shmsem_status {
	SHMSEM_OK = 0,
	SHMSEM_USAGE = 64,     /* an argument is wrong */
	SHMSEM_BAD_DATA = 65,  /* not a decodable image, or a corrupt segment */
	SHMSEM_NOT_FOUND = 66, /* the server has no such image */
	/* No server, or it died and no other took its place: each call tries once more at a
	 * successor that appears within 100 ms, or within wait_ns of the connection's options if
	 * that is longer, and waits until its deadline for that to be ready. */
	SHMSEM_UNAVAILABLE = 69,
	SHMSEM_INTERNAL = 70,     /* a bug, or a kernel without what is needed */
	SHMSEM_IO = 74,           /* could not write */
	SHMSEM_TRY_AGAIN = 75,    /* timed out, cancelled, busy, or out of shared memory */
	SHMSEM_NOT_PERMITTED = 77 /* the system refuses */
};

#define SHMSEM_MESSAGE_SIZE 512

/* What happened; a later version may know more. */
enum shmsem_event {
	SHMSEM_CONNECTED = 1, /* a connection was made */
	SHMSEM_LOST = 2,      /* a connection was lost: the server is gone */
	SHMSEM_QUEUED = 3,    /* all seats are taken, and the call waits for one */
	SHMSEM_AWAITING = 4   /* there is no server, and the call waits for one to appear */
};

/*
 * Called with what a handle does that its caller does not see otherwise: the event
 * (enum shmsem_event), and a message for people, which may change. Called in the thread that the
 * handle works in.
 */
typedef void shmsem_log(void *data, int event, const char *message);

/*
 * Called by a call that must wait, in its thread: with 1 once the answer was not there after some
 * microseconds, with 0 at most 100 ms later, before the next wait or when the answer is there. A
 * result other than 0 without an answer ends the call as shmsem_cancel does. It lets an interpreter
 * release its lock for that time, and look for signals after it.
 */
typedef int shmsem_wait_hook(void *data, int sleeps);

struct shmsem_error {
	int status;                        /* enum shmsem_status */
	int os_error;                      /* the errno behind it, or 0 */
	char message[SHMSEM_MESSAGE_SIZE]; /* the error message, always terminated */
};

/* Fills *error, which may be NULL, and returns `status`; for the callbacks of shmsem_serve. */
SHMSEM_API int shmsem_fail(struct shmsem_error *error, int status, const char *format, ...)
#if defined(__GNUC__)
	__attribute__((format(printf, 3, 4)))
#endif
	;

/* A client: a connection that is made when needed, and again after a server was restarted. */
struct shmsem;

enum shmsem_connect_flags {
	/*
	 * Handle SIGBUS for the mappings of this library: where a segment was truncated,
	 * reads give zeros, and the call returns SHMSEM_BAD_DATA instead of the process dying. The
	 * handler is process-wide, installed once, never removed, and passes on every other
	 * SIGBUS. Pixels read by the program itself between two calls give zeros in that case,
	 * which only shmsem_check tells.
	 */
	SHMSEM_GUARD_SIGBUS = 1 << 0,
	SHMSEM_SERVER_USER = 1 << 1, /* the server must run as server_user */
	SHMSEM_ANY_SERVER = 1 << 2   /* the server may run as any user */
};

/* All zero is a good choice. */
struct shmsem_connect_options {
	const char *name_space; /* NULL: $SHMSEM_NAMESPACE, else "shmsem" */
	uint64_t wait_ns;       /* wait so long for a server, or its successor, to appear; 0: not */
	uint64_t timeout_ns;    /* for each call, waiting for a seat included; 0: 30 s */
	unsigned flags;         /* enum shmsem_connect_flags */
	shmsem_log *log;        /* NULL: none */
	void *log_data;
	shmsem_wait_hook *wait_hook; /* NULL: none */
	void *wait_data;
	uint64_t server_user; /* a uid, with SHMSEM_SERVER_USER; else 0 */
	uint64_t reserved[1]; /* zero */
};

/*
 * Says in *options whose server is accepted: the name of a user, a uid in decimal, or "any".
 * SHMSEM_USAGE if there is no such user.
 */
SHMSEM_API int shmsem_server_user(
	struct shmsem_connect_options *options, const char *user, struct shmsem_error *error);

/*
 * Connects to the server of a namespace and takes a seat. SHMSEM_UNAVAILABLE if there is no server,
 * SHMSEM_TRY_AGAIN if all seats are taken, SHMSEM_USAGE if the namespace is none. Free *ret with
 * shmsem_close. `options` may be NULL.
 *
 * Any user may have a server under any name: the pixels are what its owner says. Where neither flag
 * says otherwise the server must run as the user of this process, as root, or as the user of
 * $SHMSEM_SERVER_USER (a text as for shmsem_server_user); otherwise SHMSEM_NOT_PERMITTED, with a
 * message that names its owner.
 */
SHMSEM_API int shmsem_connect(struct shmsem **ret, const struct shmsem_connect_options *options,
	struct shmsem_error *error);

/*
 * Ends the connection; NULL is ignored. Images that have not been released stay valid, and keep the
 * seat, until they are.
 */
SHMSEM_API void shmsem_close(struct shmsem *client);

/* Asks the server for nothing: the cost of a hand-off. */
SHMSEM_API int shmsem_ping(struct shmsem *client, struct shmsem_error *error);

enum shmsem_request_flags {
	SHMSEM_NATIVE_DEPTH = 1 << 0,     /* 16-bit samples stay 16-bit, in native byte order */
	SHMSEM_KEEP_ORIENTATION = 1 << 1, /* do not turn the image as its EXIF data say */
	SHMSEM_PREMULTIPLY = 1 << 2,      /* colours multiplied by alpha */
	SHMSEM_STRICT = 1 << 3,           /* a damaged end is an error for JPEG, too */
	SHMSEM_LENIENT = 1 << 4,          /* a damaged end is a warning for PNG, too */
	SHMSEM_DRAFT = 1 << 5,            /* a JPEG that is resized is first reduced by its codec:
					     faster, and not the same pixels */
	SHMSEM_CROP_CENTRED = 1 << 6,     /* the crop lies in the middle */
	SHMSEM_KEEP_CMYK = 1 << 7         /* CMYK that has a colour profile for it stays CMYK, where
					     neither grey nor alpha is asked for */
};

/* The filters of Pillow's Image.resize(). */
enum shmsem_resample {
	SHMSEM_BICUBIC,
	SHMSEM_BOX,
	SHMSEM_BILINEAR,
	SHMSEM_LANCZOS
};

enum shmsem_layout {
	SHMSEM_RGB, /* R, G, B(, A) in memory order */
	SHMSEM_BGR  /* B, G, R(, A) */
};

/* What is asked for. All zero but the name: 8 bits a sample, channels as the file has them, turned
 * upright. */
struct shmsem_request {
	const char *name; /* relative to the server's folder; without extension .jpg, .jpeg and .png
			     are tried, too */
	uint64_t timeout_ns; /* 0: that of the connection */
	uint8_t scale;       /* 1, 2, 4 or 8: one pixel for that many squared; 0 means 1 */
	uint8_t channels;    /* 0 as the file has them, 1 grey, 3 RGB, 4 RGBA */
	uint8_t layout;      /* enum shmsem_layout */
	uint8_t flags;       /* enum shmsem_request_flags */
	uint32_t fit_width,
		fit_height; /* not 0: the largest scale that leaves at least this size */
	/*
	 * An exact size, in pixels of the upright image: width and height, or one of them, from
	 * which the other follows, or how long the shorter or the longer side is to be. 8-bit pixels
	 * are byte for byte those that Pillow's Image.resize() makes.
	 */
	uint32_t width, height, shorter, longer;
	/* Not 0: only this part, before it is resized. A size and a crop go with no scale. */
	uint32_t crop_x, crop_y, crop_width, crop_height;
	uint8_t resample; /* enum shmsem_resample */
	uint8_t reserved_bytes[3];
	uint64_t reserved[4]; /* zero */
};

enum shmsem_format {
	SHMSEM_FORMAT_UNKNOWN,
	SHMSEM_PNG,
	SHMSEM_JPEG
};

/* What is known of an image. In C++ its name alone is the function's: write `struct shmsem_info`, or
 * shmsem_image_info. */
typedef struct shmsem_info shmsem_image_info;
struct shmsem_info {
	uint64_t bytes;         /* of pixels: height x stride */
	uint32_t width, height; /* as delivered */
	uint32_t stride;     /* bytes from row to row: width x channels x bits / 8, never padded */
	uint8_t channels;    /* 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA, or CMYK as cmyk says */
	uint8_t bits;        /* a sample: 8 or 16 (native byte order) */
	uint8_t format;      /* enum shmsem_format */
	uint8_t orientation; /* as the file says: EXIF 1 to 8, 0 if it says nothing */
	uint8_t scale;       /* applied by the codec: 1, 2, 4 or 8 */
	uint8_t file_bits;   /* a sample in the file */
	uint8_t file_channels; /* in the file; 4 in a JPEG are CMYK, delivered as RGB unless cmyk */
	uint8_t from_store;    /* 1: it had been decoded before this request */
	uint32_t file_width, file_height;
	uint32_t icc_bytes; /* of its colour profile; 0 for none */
	uint32_t gamma;     /* PNG gAMA x 100000; 0 if it says nothing */
	uint32_t comments;  /* text chunks of a PNG, COM markers of a JPEG */
	uint32_t holders;   /* seats that hold it now */
	uint32_t segment;   /* where it lies: data segment */
	uint8_t animated;   /* 1: an animated PNG, of which the default image is delivered */
	uint8_t srgb;       /* PNG sRGB: 1 + rendering intent; 0 if it says nothing */
	uint8_t cmyk;       /* 1: the channels are C, M, Y and K, of which 255 is no ink */
	uint8_t reserved;   /* 0 */
	uint64_t offset;    /* and byte in it */
	uint64_t age_ns;    /* since it was decoded; 0 if it is not in the store */
	uint64_t file_bytes;
	/* PNG cHRM x 100000: x and y of white, red, green and blue; zeros if it says nothing */
	int32_t chromaticities[8];
	char warning[200]; /* what the codec complained about; empty if it did not */
};

/*
 * An image that is held: its pixels stay where they are, unchanged, until shmsem_release, whatever
 * becomes of the client, the server or other images meanwhile. Each SHMSEM_HELD_MAX of them keep a
 * seat: a client that holds more connects once more by itself.
 */
struct shmsem_image {
	const void *pixels; /* interleaved samples, rows top-down; read-only: writing ends the
			       process */
	const void *icc;    /* info.icc_bytes bytes of colour profile, or NULL */
	struct shmsem_info info;
	void *connection; /* private */
	uint32_t hold;    /* private */
	uint32_t use;     /* private */
};

#define SHMSEM_HELD_MAX 1024

/*
 * Gets an image, decoded now or stored before, without a copy. SHMSEM_NOT_FOUND, SHMSEM_BAD_DATA
 * (not decodable), SHMSEM_TRY_AGAIN (time is up, or the store is full of images that are held) and
 * SHMSEM_UNAVAILABLE (the server died without a successor). Pass *ret to
 * shmsem_release.
 */
SHMSEM_API int shmsem_fetch(struct shmsem *client, const struct shmsem_request *request,
	struct shmsem_image *ret, struct shmsem_error *error);

/*
 * Gets several, one after the other: images[i] and statuses[i] (which may be NULL) belong to
 * requests[i]. All are tried, but after SHMSEM_UNAVAILABLE or a cancel the rest get the same
 * status. Returns the first status that is not SHMSEM_OK, with its error; images[i] is zeroed where
 * there is none, so all of them may be passed to shmsem_release. A shmsem_queue has them decoded at
 * the same time.
 */
SHMSEM_API int shmsem_fetch_many(struct shmsem *client, const struct shmsem_request *requests,
	size_t count, struct shmsem_image *images, int *statuses, struct shmsem_error *error);

/*
 * Gives an image back; its pointers are then dangling. Any thread. NULL and a zeroed image are
 * ignored, and one that was released, also where another copy of the structure was.
 */
SHMSEM_API void shmsem_release(struct shmsem_image *image);

/*
 * SHMSEM_OK if the segment under a held image is still whole; SHMSEM_BAD_DATA if it was truncated.
 * For users of SHMSEM_GUARD_SIGBUS, after reading the pixels. SHMSEM_USAGE for an image that was
 * released, and in a child of fork().
 */
SHMSEM_API int shmsem_check(const struct shmsem_image *image, struct shmsem_error *error);

/* Whether a request is one at all, which each call that has one looks at: SHMSEM_USAGE if it has no name,
 * one of more than 1024 bytes, or options that no image can have. Asks no server. */
SHMSEM_API int shmsem_check_request(
	const struct shmsem_request *request, struct shmsem_error *error);

/* What a fetch would give, without decoding. Errors as shmsem_fetch. */
SHMSEM_API int shmsem_info(struct shmsem *client, const struct shmsem_request *request,
	struct shmsem_info *ret, struct shmsem_error *error);

/* What became of the images that a client asked to be decoded ahead. */
struct shmsem_prefetched {
	uint64_t listed;  /* not decoded yet; at most SHMSEM_PREFETCH_MAX */
	uint64_t decoded; /* so far, with those that were stored already */
	uint64_t failed;  /* so far */
	uint64_t unused;  /* of those decoded, that nobody has fetched since, as far as is known */
	uint64_t full;    /* 1: the rest waits until images that were decoded ahead are used */
	uint64_t reserved[2]; /* 0 */
	/* Not SHMSEM_OK: an image failed, as `name` and `message` say. Each is told once. */
	int status;
	char name[1028];                   /* as it was asked for */
	char message[SHMSEM_MESSAGE_SIZE]; /* always terminated */
};

#define SHMSEM_PREFETCH_MAX 256

/*
 * Has an image decoded that somebody will fetch with the same options: puts it at the end of this
 * client's list, which the server decodes in order as decoders have nothing to do that somebody waits
 * for. What is fetched before that moves to where it is waited for, and is not decoded twice; what is
 * stored already counts as decoded when its turn comes, at once if nothing is listed before it.
 *
 * What was decoded so, or was stored already, is not evicted, until it is fetched by anybody or this client ends, while
 * anything else can be, and then for an image that somebody waits for only, the last of the list first.
 * Once three quarters of the store are full of such images, decoding ahead waits until some are used.
 *
 * Waits while SHMSEM_PREFETCH_MAX images are listed, or have failed and were not told: then
 * SHMSEM_TRY_AGAIN after request->timeout_ns, with the image not listed. *ret, which may be NULL, says
 * how far the list is, and of one image that failed, if one did. SHMSEM_USAGE from servers that cannot
 * prefetch (shmsem_serve, and older ones), with a message that says so.
 *
 * The list ends with the client's connection: at shmsem_close, and with its server, which the next
 * call says by SHMSEM_UNAVAILABLE; what is asked for after that is a new list at its successor. So use
 * a client of its own for this, and keep it until the images are used.
 */
SHMSEM_API int shmsem_prefetch(struct shmsem *client, const struct shmsem_request *request,
	struct shmsem_prefetched *ret, struct shmsem_error *error);

/*
 * Waits until other images are decoded or failed than *ret says, as the last call filled it (zeros at
 * first), or nothing is listed; then fills *ret. SHMSEM_TRY_AGAIN after `timeout_ns` (0: that of the
 * connection). Errors as above.
 */
SHMSEM_API int shmsem_prefetch_wait(struct shmsem *client, uint64_t timeout_ns,
	struct shmsem_prefetched *ret, struct shmsem_error *error);

/*
 * Calls `each` with the name of every image file the server has, in byte order, as the name to ask
 * for; a result other than 0 ends the listing, which then still is SHMSEM_OK. The client must not
 * be used inside `each`.
 */
SHMSEM_API int shmsem_names(struct shmsem *client, int (*each)(void *data, const char *name),
	void *data, struct shmsem_error *error);

/*
 * Ends the wait of a call that another thread is in; it returns SHMSEM_TRY_AGAIN, with
 * os_error ECANCELED. Async-signal-safe. A cancel while no call is under way ends the next one.
 */
SHMSEM_API void shmsem_cancel(struct shmsem *client);

/*
 * A queue: threads that fetch while the program does something else, each with a connection, and so
 * a seat, of its own, made when first needed. What they got waits for shmsem_collect, and a file
 * descriptor says so, for poll() and its like.
 */
struct shmsem_queue;

struct shmsem_result {
	void *tag; /* as given to shmsem_submit */
	int status;
	struct shmsem_image image; /* SHMSEM_OK: pass it to shmsem_release */
	struct shmsem_error error; /* otherwise */
};

/*
 * Starts `threads` (1 to 64) threads, which block all signals but SIGBUS. `options` are those of
 * each connection; may be NULL, and the name is copied. Free *ret with shmsem_queue_close.
 */
SHMSEM_API int shmsem_queue_open(struct shmsem_queue **ret,
	const struct shmsem_connect_options *options, unsigned threads, struct shmsem_error *error);

/* Asks; never waits. The request and its name are copied. */
SHMSEM_API int shmsem_submit(struct shmsem_queue *queue, const struct shmsem_request *request,
	void *tag, struct shmsem_error *error);

/* Readable (POLLIN) while there is something to collect. Never read or close it. */
SHMSEM_API int shmsem_fd(const struct shmsem_queue *queue);

/*
 * Takes a result, in the order in which they came; never waits. SHMSEM_OK if there was one,
 * whatever became of it (ret->status), else SHMSEM_TRY_AGAIN.
 */
SHMSEM_API int shmsem_collect(struct shmsem_queue *queue, struct shmsem_result *ret);

/* Cancels what is under way, releases what was not collected, ends the threads. NULL is ignored. */
SHMSEM_API void shmsem_queue_close(struct shmsem_queue *queue);

/*
 * The other side: a program that hands out images, or any other bytes, that it makes itself. To its
 * clients it is a server like shmsem-serve(1).
 */
struct shmsem_server;

/* A request being answered; valid inside the callback only. */
struct shmsem_answer;

struct shmsem_serve_options {
	const char *name_space; /* as in shmsem_connect_options */
	/* Bytes for images; 0: 512 MiB, or if less a quarter of what is free in /dev/shm and of what
	 * the control group may have. */
	uint64_t memory;
	unsigned seats; /* clients at a time; 0: 128, or 4 a CPU where that is more */
	/* Permissions of the objects; 0: 0600. Users need read and write, so read alone is nothing;
	 * pixels get the read bits only. */
	unsigned mode;
	unsigned flags; /* enum shmsem_connect_flags */
	/*
	 * Makes the image that is asked for: calls shmsem_place, writes the pixels, returns
	 * SHMSEM_OK; or a status with an error message (shmsem_fail), which the client gets.
	 * Called for every request, from shmsem_server_run, but for names that are kept. Options
	 * that it ignores are ignored. May be NULL if names are kept: there are no others then.
	 */
	int (*make)(void *data, const struct shmsem_request *request, struct shmsem_answer *answer,
		struct shmsem_error *error);
	/* Names what there is, by shmsem_add_name, in any order; NULL: nothing. */
	int (*names)(void *data, struct shmsem_answer *answer, struct shmsem_error *error);
	void *data;
	uint32_t kept;        /* names that shmsem_publish may keep at a time; 0: none */
	uint32_t reserved2;   /* zero, and so */
	uint64_t reserved[3]; /* these */
};

/*
 * Makes a namespace's objects; what a dead server left of it is removed first. SHMSEM_TRY_AGAIN if
 * a server lives there. Requests are answered by shmsem_server_run. Free *ret with
 * shmsem_server_close.
 */
SHMSEM_API int shmsem_serve(struct shmsem_server **ret, const struct shmsem_serve_options *options,
	struct shmsem_error *error);

/*
 * Room for the pixels of the answer, and for info->icc_bytes of colour profile (ret_icc may be
 * NULL). Of *info width, height, channels and bits (0: 8) count, bytes and stride follow from them,
 * the rest is passed on. Bytes that are no image: width is their number, height, channels 1.
 * *ret_pixels is NULL where only the geometry was asked for (shmsem_info): return SHMSEM_OK then.
 * SHMSEM_TRY_AGAIN if images that clients hold leave no room.
 */
SHMSEM_API int shmsem_place(struct shmsem_answer *answer, const struct shmsem_info *info,
	void **ret_pixels, void **ret_icc, struct shmsem_error *error);

/*
 * Images that clients get without asking the program: a camera's latest frame, say. Between
 * shmsem_prepare and shmsem_publish the program writes the pixels. From the moment in which
 * shmsem_publish returns, a fetch of `name`, with all options zero but for the channels that the
 * image has, gets this image; clients that hold the one before keep that as it was. Any thread may
 * call these three, but one at a time from shmsem_prepare to shmsem_publish.
 *
 * shmsem_prepare never waits: SHMSEM_TRY_AGAIN if images that are held leave no room. Its arguments
 * are those of shmsem_place. What was prepared before and not published is dropped.
 *
 * shmsem_publish keeps the name, or replaces the image that it has; SHMSEM_TRY_AGAIN if
 * options.kept names are kept already, SHMSEM_USAGE if nothing is prepared. Names of more than 240
 * bytes are answered by shmsem_server_run. shmsem_withdraw ends that; a name that is not kept is
 * ignored.
 */
SHMSEM_API int shmsem_prepare(struct shmsem_server *server, const struct shmsem_info *info,
	void **ret_pixels, void **ret_icc, struct shmsem_error *error);
SHMSEM_API int shmsem_publish(
	struct shmsem_server *server, const char *name, struct shmsem_error *error);
SHMSEM_API void shmsem_withdraw(struct shmsem_server *server, const char *name);

/* One name of the list; SHMSEM_USAGE for an empty one or one over 1024 bytes. */
SHMSEM_API int shmsem_add_name(
	struct shmsem_answer *answer, const char *name, struct shmsem_error *error);

/*
 * Answers requests, in this thread, for `timeout_ns` (0: only those that are there, UINT64_MAX:
 * until shmsem_server_stop), then returns SHMSEM_OK. SHMSEM_UNAVAILABLE if an object was
 * removed or truncated.
 */
SHMSEM_API int shmsem_server_run(
	struct shmsem_server *server, uint64_t timeout_ns, struct shmsem_error *error);

/* Makes shmsem_server_run return SHMSEM_OK, now or at its next call. Async-signal-safe. */
SHMSEM_API void shmsem_server_stop(struct shmsem_server *server);

/* Refuses what has not been answered and removes every object; NULL is ignored. Images that clients
 * hold stay theirs. In a child of fork() only the memory is freed. */
SHMSEM_API void shmsem_server_close(struct shmsem_server *server);

/* The namespace that the client uses; lives as long as the client. */
SHMSEM_API const char *shmsem_namespace(const struct shmsem *client);

/* "0.2.0" */
SHMSEM_API const char *shmsem_version(void);

#ifdef __cplusplus
}
#endif

#endif
