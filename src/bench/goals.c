#include "bench/goals.h"

const struct goal_text goal_texts[GOALS] = {
	[GOAL_EMPTY_HOT] = {"empty request, hot", "3 x cache-line round trip", "x", 3, false},
	[GOAL_EMPTY_ASLEEP] = {"empty request, asleep", "1.2 x two bare semaphores", "x", 1.2,
		false},
	[GOAL_ONE_CPU] = {"empty request, both sides on one CPU", "0.8 x rate without spinning",
		"x", 0.8, true},
	[GOAL_STORED] = {"image already decoded", "0.5 x cache-line round trip", "x", 0.5, false},
	[GOAL_STORED_SAME] = {"the same, largest to smallest image", "1.1 x", "x", 1.1, false},
	[GOAL_LOOKUP] = {"one of 1000 stored images", "2.2 x a private look-up", "x", 2.2, false},
	[GOAL_LOOKUP_ASLEEP] = {"one of 1000 stored, 1 ms apart", "1.5 x a private look-up", "x",
		1.5, false},
	[GOAL_LOOKUP_MANY] = {"one of 100000 stored images", "2.2 x a private look-up", "x", 2.2,
		false},
	[GOAL_BESIDE] = {"stored image, a file beside grows", "95 % without the server", "%", 95,
		true},
	[GOAL_BESIDE_ASLEEP] = {"file beside grows, 1 ms apart", "80 % without the server", "%", 80,
		true},
	[GOAL_SWITCHES] = {"server during 1 s of stored images", "5 voluntary switches over idle",
		"switches", 5, false},
	[GOAL_STORED_CROWD] = {"N clients, stored image", "0.95 x N x one client", "x", 0.95, true},
	[GOAL_FRESH] = {"JPEG fresh, 0.5 megapixels and up", "1.05 x libjpeg in process", "x", 1.05,
		false},
	[GOAL_PNG] = {"PNG fresh, photo, 0.5 megapixels and up", "0.55 x libpng in process", "x",
		0.55, false},
	[GOAL_PNG_NOISE] = {"PNG fresh, noise", "0.65 x libpng in process", "x", 0.65, false},
	[GOAL_PNG_DEEP] = {"PNG fresh, 16 bits", "0.65 x libpng in process", "x", 0.65, false},
	[GOAL_FRESH_ICON] = {"decoded fresh, 64x64 icon", "decode in process + 60 us", "us", 60,
		false},
	[GOAL_FRESH_CPU] = {"JPEG fresh, CPU time of all sides", "decode in process + 0.25 ms",
		"ms", 0.25, false},
	[GOAL_CROWD] = {"N clients, N decoders, fresh", "0.95 x N that only decode", "x", 0.95,
		true},
	[GOAL_FAIR] = {"64 clients on 8 seats, longest wait", "10 x median", "x", 10, false},
	[GOAL_HELD] = {"8 clients hold one image, memory", "1 x the image (within 5 %)", "x", 1.05,
		false},
	[GOAL_PROCESS] = {"shmsem fetch, whole process", "2 x /bin/true", "x", 2, false},
	[GOAL_IDLE] = {"idle server", "0.05 % of a core", "%", 0.05, false},
	[GOAL_SEATS] = {"1024 seats, empty request and miss", "1.2 x with 16 seats", "x", 1.2,
		false},
	[GOAL_FOLDERS] = {"miss, images of 1000 folders stored", "1.2 x with one folder", "x", 1.2,
		false},
	[GOAL_NAMES] = {"10000 names, made anew", "3 x find(1)", "x", 3, false},
	[GOAL_PYTHON_FETCH] = {"Python, fetch + release", "3 x memoryview of an mmap", "x", 3,
		false},
	[GOAL_PYTHON_ARRAY] = {"Python, fetch + numpy.asarray + release",
		"6 x memoryview of an mmap", "x", 6, false},
	[GOAL_PYTHON_IMPORT] = {"Python, import shmsem", "5 ms", "ms", 5, false},
	[GOAL_REDUCED] = {"PNG at 1/2, 1/4, 1/8", "1 x at full size (within 5 %)", "x", 1.05,
		false},
	[GOAL_RESIZE] = {"exact size", "1.5 x Pillow's resize", "x", 1.5, false},
};

void goal_note(struct goal_values *goals, enum goal goal, double value)
{
	bool worse = goal_texts[goal].at_least ? value < goals->values[goal]
					       : value > goals->values[goal];

	if (!goals->known[goal] || worse)
		goals->values[goal] = value;
	goals->known[goal] = true;
}

bool goal_reached(const struct goal_values *goals, enum goal goal)
{
	const struct goal_text *text = &goal_texts[goal];

	return goals->known[goal] && (text->at_least ? goals->values[goal] >= text->bound
						     : goals->values[goal] <= text->bound);
}

bool goals_known(const struct goal_values *goals)
{
	for (int goal = 0; goal < GOALS; goal++)
		if (goals->known[goal])
			return true;
	return false;
}
