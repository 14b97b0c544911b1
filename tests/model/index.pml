/*
 * The index and its change flag, for spin. Requesters look a stored image up, a writer changes the
 * file that it was decoded from, and the server takes changes in, publishes, evicts, lets the table
 * grow, answers a request that was given up, and ends or is killed anywhere.
 *
 * Proven for every order of their steps:
 *   fresh: what a look-up returns is no older than the newest write that had returned when it began;
 *   whole: while an image is held, its pixels stay those that the entry promised.
 *
 * Every access to memory that is shared is one step. Stores to INDEX and to the holds wait in a
 * buffer until the memory takes them, in any order, or a fence does: so a fence that is missing is
 * found. Loads happen in the order they stand in, as acquire loads do.
 *
 * A step or check that is left out or put elsewhere is a mutation: -DM_NAME. Each must break a
 * promise; tests/model/run tries them all, on the smallest of the cases below that can show it.
 */

/* What the case has. */
#ifndef WRITES
#define WRITES 0
#endif
#ifndef STEPS
#define STEPS 2 /* of the server */
#endif
#ifndef REQUESTERS
#define REQUESTERS 1
#endif
#ifndef NAMES
#define NAMES 1 /* of the one image */
#endif
#ifdef GROW
#define TABLES 2
#else
#define TABLES 1
#endif
#define ENTRIES	  (TABLES * NAMES)
#define EXTENTS	  2
#define ROUNDS_MAX 2 /* of one take-in */
#define TRIES_MAX 2
#define OTHER	  99 /* pixels of another image */
/* In a hold, beside the extent: found by the requester itself. */
#if defined(LATE) && !defined(M_NO_FOUND_MARK)
#define FOUND 4
#else
#define FOUND 0
#endif

/* ---- the file ---- */

byte file = 1;	   /* its version */
byte returned = 1; /* the newest version whose write has returned */

/* ---- the kernel: inotify's queue, the poll of it, the page of the ring ---- */

mtype = { UNARMED, ARMED, WOKEN };

bool queued; /* inotify has something to read */
mtype poll_state = UNARMED;
bool taskrun; /* the flag in the ring's page: a poll has fired */
bool lives = true; /* in INDEX: the thread that has the ring lives */
byte completions;

/* ---- INDEX: an entry is the number of an extent, 0 if there is none, and the version in it ---- */

byte word = 2;
byte extent_of[ENTRIES], version_of[ENTRIES];
#ifdef GROW
byte current; /* the table in use */
#else
#define current 0
#define used	0
#endif

/* ---- data and HEAD ---- */

byte pixels[EXTENTS + 1];
byte hold[REQUESTERS];
byte mark; /* the seats below it may hold something */

/* ---- stores on their way; with what they are no more 0, for fewer states ---- */

bool word_late;
byte word_value;
bool entry_late[ENTRIES];
byte entry_extent[ENTRIES], entry_version[ENTRIES];
bool hold_late[REQUESTERS];
byte hold_value[REQUESTERS];
#ifdef GROW
bool current_late;
byte current_value;
#endif

inline take_word()
{
	if
	:: word_late -> word = word_value; word_late = false; word_value = 0
	:: else
	fi
}

inline take_current()
{
#ifdef GROW
	if
	:: current_late -> current = current_value; current_late = false; current_value = 0
	:: else
	fi
#else
	skip
#endif
}

inline take_entry(i)
{
	if
	:: entry_late[i] ->
		extent_of[i] = entry_extent[i];
		version_of[i] = entry_version[i];
		entry_late[i] = false;
		entry_extent[i] = 0;
		entry_version[i] = 0
	:: else
	fi
}

inline take_entries()
{
	take_entry(0);
#if ENTRIES > 1
	take_entry(1);
#endif
#if ENTRIES > 2
	take_entry(2);
	take_entry(3);
#endif
	take_current()
}

inline take_hold(i)
{
	if
	:: hold_late[i] -> hold[i] = hold_value[i]; hold_late[i] = false; hold_value[i] = 0
	:: else
	fi
}

/* The memory takes any store that is on its way, whenever it likes. */
active proctype memory()
{
end:
	do
	:: d_step { word_late -> take_word() }
	:: d_step { entry_late[0] -> take_entry(0) }
#if ENTRIES > 1
	:: d_step { entry_late[1] -> take_entry(1) }
#endif
#if ENTRIES > 2
	:: d_step { entry_late[2] -> take_entry(2) }
	:: d_step { entry_late[3] -> take_entry(3) }
#endif
#ifdef GROW
	:: d_step { current_late -> take_current() }
#endif
	:: d_step { hold_late[0] -> take_hold(0) }
#if REQUESTERS > 1
	:: d_step { hold_late[1] -> take_hold(1) }
#endif
	od
}

/* ---- the writer ---- */

#if WRITES
active proctype writer()
{
	do
	:: file <= WRITES ->
		file++;
		queued = true;
		/* The wake-up, still inside the system call: the poll has fired, then its flag is set. */
		if
		:: atomic { poll_state == ARMED -> poll_state = WOKEN }; taskrun = true
		:: atomic { poll_state != ARMED }
		fi;
		returned = file
	:: else -> break
	od
}
#endif

/* ---- requesters ---- */

inline store_hold(value)
{
	d_step {
		take_hold(me);
		hold_late[me] = true;
		hold_value[me] = value
	}
}

inline raise_mark()
{
	d_step {
		if
		:: mark <= me -> mark = me + 1
		:: else
		fi
	}
}

proctype requester(byte me)
{
	byte w, at, extent, version, oldest, tries;

#ifndef M_MARK_RAISED_LATE
	raise_mark();
#endif
	oldest = returned; /* the look-up begins */
again:
	w = word;
#ifndef M_NO_ODD_CHECK
	if
	:: w % 2 -> goto ask
	:: else
	fi;
#endif
#if WRITES
#ifndef M_NO_OWNER_CHECK
	if
	:: !lives -> goto ask
	:: else
	fi;
#endif
#ifndef M_NO_FLAG_CHECK
	if
	:: taskrun -> goto ask
	:: else
	fi;
#endif
	/* Completions are there only while the word is odd: that it looks at them, too, is not needed. */
#endif
	at = current * NAMES;
#if NAMES > 1
	if
	:: true
	:: at = at + 1
	fi;
#endif
	extent = extent_of[at];
	version = version_of[at];
	if
	:: extent == 0 -> goto ask
	:: else
	fi;
#ifndef M_NO_HOLD
	store_hold(extent + FOUND);
#endif
#ifndef M_NO_HOLD_FENCE
	d_step { take_hold(me) };
#endif
#ifndef M_NO_WORD_AGAIN
	if
	:: word != w ->
		store_hold(0);
		tries++;
		if
		:: tries < TRIES_MAX -> goto again
		:: else -> goto ask
		fi
	:: else
	fi;
#endif
#ifdef M_MARK_RAISED_LATE
	raise_mark();
#endif
	assert(version >= oldest);	   /* fresh */
	assert(pixels[extent] == version); /* whole */
	assert(pixels[extent] == version); /* and stays so */
	store_hold(0);
ask:
	skip;
	d_step { w = 0; at = 0; extent = 0; version = 0; oldest = 0; tries = 0 }
}

/* ---- the server ---- */

inline store_word(value)
{
	d_step {
		take_word();
		last = value;
		word_late = true;
		word_value = last
	}
}

inline store_entry(i, e, v)
{
	d_step {
		take_entry(i);
		entry_late[i] = true;
		entry_extent[i] = e;
		entry_version[i] = v
	}
}

inline server_fence()
{
	d_step { take_entries(); take_word() }
}

/* Odd, and a full fence: what follows is not seen before the odd word. */
inline begin()
{
	store_word(last | 1);
#ifndef M_NO_ODD_FENCE
	server_fence()
#endif
}

/* Even: a release store. */
inline finish()
{
	d_step { take_entries() };
	store_word(last + 1)
}

inline take_out()
{
	store_entry(used * NAMES, 0, 0);
#if NAMES > 1 && !defined(M_ONE_NAME_LEFT)
	store_entry(used * NAMES + 1, 0, 0);
#endif
	owner = 0
}

inline read_inotify()
{
	d_step { got = queued; queued = false };
	if
	:: got -> generation++; take_out()
	:: else
	fi;
	got = false
}

/* The kernel clears the flag, then does what the poll left to do. */
inline enter()
{
	taskrun = false;
	d_step {
		if
		:: poll_state == WOKEN && queued -> completions++; poll_state = UNARMED
		:: poll_state == WOKEN && !queued -> poll_state = ARMED
		:: else
		fi
	}
}

/* A poll that is ready at once completes, and sets no flag. Arming it may fail. */
inline arm()
{
	if
	:: d_step { queued -> completions++; armed = true }
	:: d_step { !queued -> poll_state = ARMED; armed = true }
	:: armed = false
	fi
}

inline consume()
{
	d_step { completions--; armed = false }
}

inline take_changes_in()
{
#if WRITES
	rounds = 0;
#ifndef M_TAKE_IN_NOT_ODD
	begin();
#endif
	do
	:: rounds < ROUNDS_MAX ->
		rounds++;
		enter();
		read_inotify();
		if
		:: completions -> consume()
		:: else
		fi;
		if
		:: !armed -> arm()
		:: else
		fi;
		if
		:: completions
		:: else -> break
		fi
	:: else -> break
	od;
	rounds = 0;
#ifndef M_TAKE_IN_NOT_ODD
	/* Without a poll it stays odd until the next time. */
	if
#ifdef M_EVEN_UNARMED
	:: true -> finish()
#else
	:: armed && !completions -> finish()
	:: else
#endif
	fi
#endif
#else
	skip
#endif
}

inline scan_holds(e)
{
	d_step { held = false; at = 0 };
	do
	:: at < mark ->
		d_step { held = held || hold[at] % 4 == e; at++ }
	:: else -> break
	od;
	at = 0
}

/* Takes out all entries that lead to the extent, and sees whether somebody holds it. The fence after
 * the odd word is enough to order the scan: the model holds without another one before it. */
inline claim(e)
{
#ifdef M_SCAN_FIRST
	scan_holds(e);
#endif
	if
	:: owner == e ->
#ifndef M_EVICT_NOT_ODD
		begin();
#endif
		take_out();
#ifndef M_EVICT_NOT_ODD
		finish()
#endif
	:: else
	fi;
#ifdef M_NO_SCAN
	held = false
#else
#ifndef M_SCAN_FIRST
	scan_holds(e)
#endif
#endif
}

inline publish(e)
{
	take_changes_in();
	if
	:: last % 2 == 0 ->
		claim(e);
		if
		:: !held ->
			before = generation;
			version = file; /* watched, opened, and decoded */
			pixels[e] = version;
			/* For others, meanwhile. One that comes after this leaves the flag set. */
			take_changes_in();
			if
#ifdef M_NO_GENERATION
			:: last % 2 == 0 ->
#else
			:: last % 2 == 0 && before == generation ->
#endif
#ifndef M_PUBLISH_NOT_ODD
				begin();
#endif
				take_out();
				store_entry(used * NAMES, e, version);
#if NAMES > 1
				store_entry(used * NAMES + 1, e, version);
#endif
#ifndef M_PUBLISH_NOT_ODD
				finish();
#endif
				owner = e
			:: else
			fi
		:: else
		fi;
		d_step { held = false; before = 0; version = 0 }
	:: else
	fi
}

inline evict(e)
{
	claim(e);
	if
	:: !held -> pixels[e] = OTHER
	:: else
	fi;
	held = false
}

/*
 * The answer, at last, to a request that the first requester has given up: it looks for something else
 * now, by the same hold. The server stores there only where 0 is, sees that the answer is not wanted,
 * and clears what it has stored, if that is still there. Both are atomic.
 */
inline answer_late(e)
{
	d_step {
#ifndef M_LATE_STORES_OVER
		if
		:: hold[0] == 0 -> hold[0] = e
		:: else
		fi
#else
		hold[0] = e
#endif
	};
	d_step {
#ifndef M_LATE_CLEARS_ALL
		if
		:: hold[0] == e -> hold[0] = 0
		:: else
		fi
#else
		hold[0] = 0
#endif
	}
}

/* The other table gets what this one has; the memory of this one gets other contents. */
inline grow()
{
#ifdef GROW
#ifndef M_GROW_NOT_ODD
	begin();
#endif
	if
	:: owner ->
		store_entry(1 - used, owner, pixels[owner])
	:: else ->
		store_entry(1 - used, 0, 0)
	fi;
	d_step {
		take_current();
		current_late = true;
		current_value = 1 - used
	};
	store_entry(used, 1, OTHER);
#ifndef M_GROW_NOT_ODD
	finish();
#endif
	used = 1 - used
#else
	skip
#endif
}

bool alive = true;

active proctype server()
{
	byte last = 2; /* the word that it wrote last */
	byte steps, owner, before, version, at, rounds, generation;
	bool got, held, armed;
#ifdef GROW
	byte used; /* the table in use */
#endif

	{
		do
		:: steps < STEPS ->
			steps++;
			if
			:: true -> take_changes_in()
			:: true -> publish(1)
			:: true -> publish(2)
#ifdef EVICT
			:: last % 2 == 0 -> evict(1)
			:: last % 2 == 0 -> evict(2)
#endif
#ifdef GROW
			:: last % 2 == 0 -> grow()
#endif
#ifdef LATE
			:: owner -> answer_late(owner)
#endif
			fi
		:: true -> break
		od;
		/* An orderly end: what the kernel's way out does would be enough here, but not every
		 * server has a ring. */
		store_word(last | 1);
		server_fence()
	} unless { !alive };
	/* The kernel's way out: first the thread's number goes, then at any time the poll does, of
	 * which nobody is told in time. */
#ifdef M_POLL_GOES_FIRST
	poll_state = UNARMED;
#endif
	lives = false;
	d_step {
		poll_state = UNARMED;
		steps = 0; owner = 0; before = 0; version = 0; at = 0; rounds = 0; generation = 0; last = 0;
		got = false; held = false; armed = false
	}
}

#ifdef KILL
active proctype killer()
{
	alive = false
}
#endif

init
{
	atomic {
		run requester(0);
#if REQUESTERS > 1
		run requester(1)
#endif
	}
}
