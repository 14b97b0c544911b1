/* The timing engine: order, batches, runs and statistics, on a clock that the test moves. */
#include "bench/engine.h"
#include "bench/watchdog.h"

#include "test.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Subjects take as long as they say on this clock, and write their letter here. */
static uint64_t fake_time;
static char order[4096];
static uint64_t clock_step;

static uint64_t fake_now(void)
{
	fake_time += clock_step;
	return fake_time;
}

struct fake {
	char letter;
	uint64_t takes_ns;
	uint64_t prepared, readied, done, max_at_once;
	int fail_after;   /* operations; 0: never */
	int slower_after; /* operations, then a hundred times; 0: never */
};

static int fake_prepare(void *context, uint64_t operations, struct error *err)
{
	struct fake *fake = context;
	size_t length = strlen(order);

	(void)err;
	assert_int_equal(fake->prepared, fake->done);
	fake->prepared += operations;
	assert_true(length + 1 < sizeof order);
	if (!length || order[length - 1] != fake->letter)
		order[length] = fake->letter;
	return STATUS_OK;
}

static int fake_run(void *context, uint64_t operations, struct error *err)
{
	struct fake *fake = context;

	fake_time += fake->takes_ns * operations;
	if (fake->slower_after && fake->done > (uint64_t)fake->slower_after)
		fake_time += 99 * fake->takes_ns * operations;
	fake->done += operations;
	if (operations > fake->max_at_once)
		fake->max_at_once = operations;
	if (fake->fail_after && fake->done > (uint64_t)fake->fail_after)
		return error_set(err, STATUS_IO, "broken");
	return STATUS_OK;
}

static struct bench_subject subject_of(struct fake *fake)
{
	return (struct bench_subject){
		.name = "fake", .context = fake, .prepare = fake_prepare, .run = fake_run};
}

static int start_afresh(void **state)
{
	(void)state;
	fake_time = 1000;
	clock_step = 10;
	memset(order, 0, sizeof order);
	return 0;
}

static void subjects_take_turns(void **state)
{
	struct fake a = {.letter = 'A', .takes_ns = 50000}, b = {.letter = 'B', .takes_ns = 90000};
	struct bench_subject subjects[] = {subject_of(&a), subject_of(&b)};
	struct bench_plan plan = {.time_ns = 4000000, .runs = 3, .warmup = 1, .now = fake_now};
	struct bench_series series[2];

	(void)state;
	assert_int_equal(bench_measure(subjects, 2, &plan, series, NULL), STATUS_OK);
	/* Once each to find out how long they take, then warm-up and three runs, in turn. */
	assert_string_equal(order, "ABABABABAB");
	assert_int_equal(a.prepared, a.done);
	assert_int_equal(b.prepared, b.done);
	assert_int_equal(series[0].runs, 3);
	assert_int_equal(series[1].runs, 3);
	bench_series_release(&series[0]);
	bench_series_release(&series[1]);
}

static void ratio_is_that_of_the_pairs(void **state)
{
	struct fake a = {.letter = 'A', .takes_ns = 50000}, b = {.letter = 'B', .takes_ns = 150000};
	struct bench_subject subjects[] = {subject_of(&a), subject_of(&b)};
	struct bench_plan plan = {.time_ns = 4000000, .runs = 3, .now = fake_now};
	struct bench_series series[2];

	(void)state;
	assert_int_equal(bench_measure(subjects, 2, &plan, series, NULL), STATUS_OK);
	assert_true(bench_ratio(&series[1], &series[0]) > 2.99);
	assert_true(bench_ratio(&series[1], &series[0]) < 3.01);
	bench_series_release(&series[0]);
	bench_series_release(&series[1]);
}

static void ratio_holds_while_the_machine_slows_down(void **state)
{
	double slow[] = {10, 10, 30, 30, 50, 50}, twice[] = {20, 20, 60, 60, 100, 100};
	size_t sizes[] = {2, 2, 2};
	struct bench_series a = {slow, sizes, 6, 3, 1}, b = {twice, sizes, 6, 3, 1};
	struct bench_series none = {0};

	(void)state;
	assert_true(bench_ratio(&b, &a) == 2);
	assert_true(bench_ratio(&a, &none) == 0);
}

static void short_operations_are_timed_in_batches(void **state)
{
	struct fake fast = {.letter = 'F', .takes_ns = 5}, slow = {.letter = 'S', .takes_ns = 5000};
	struct bench_subject subjects[] = {subject_of(&fast), subject_of(&slow)};
	struct bench_plan plan = {.time_ns = 1000000, .runs = 2, .now = fake_now};
	struct bench_series series[2];

	(void)state;
	assert_int_equal(bench_measure(subjects, 2, &plan, series, NULL), STATUS_OK);
	/* The clock costs 10 ns: it may be one hundredth of a sample. */
	assert_true(series[0].batch >= 190 && series[0].batch <= 200);
	assert_int_equal(series[1].batch, 1);
	assert_true(series[0].samples[0] >= 5 && series[0].samples[0] < 5.1);
	assert_true(series[1].samples[0] >= 5000 && series[1].samples[0] <= 5010);
	bench_series_release(&series[0]);
	bench_series_release(&series[1]);
}

static void an_operation_after_a_pause_is_timed_alone(void **state)
{
	struct fake fast = {.letter = 'F', .takes_ns = 5};
	struct bench_subject subject = subject_of(&fast);
	struct bench_plan plan = {.time_ns = 10000, .runs = 2, .now = fake_now};
	struct bench_series series;

	(void)state;
	subject.pause_ns = 1000;
	assert_int_equal(bench_measure(&subject, 1, &plan, &series, NULL), STATUS_OK);
	assert_int_equal(series.batch, 1);
	assert_true(series.count >= 2 && series.count <= 10);
	bench_series_release(&series);
}

static int make_ready(void *context, struct error *err)
{
	struct fake *fake = context;

	(void)err;
	assert_int_equal(fake->readied, fake->done);
	fake->readied++;
	fake_time += 1000000;
	return STATUS_OK;
}

static void what_makes_ready_is_called_for_each_operation_and_not_timed(void **state)
{
	struct fake fast = {.letter = 'F', .takes_ns = 5};
	struct bench_subject subject = subject_of(&fast);
	struct bench_plan plan = {.time_ns = 100000000, .runs = 2, .now = fake_now};
	struct bench_series series;

	(void)state;
	subject.before = make_ready;
	assert_int_equal(bench_measure(&subject, 1, &plan, &series, NULL), STATUS_OK);
	assert_int_equal(series.batch, 1);
	assert_int_equal(fast.readied, fast.done);
	assert_true(series.samples[0] < 100);
	bench_series_release(&series);
}

static void time_and_samples_are_bounded(void **state)
{
	struct fake fast = {.letter = 'F', .takes_ns = 5},
		    slow = {.letter = 'S', .takes_ns = 3000000000};
	struct bench_subject subjects[] = {subject_of(&fast), subject_of(&slow)};
	struct bench_plan plan = {.time_ns = 100000000, .runs = 2, .now = fake_now};
	struct bench_series series[2];

	(void)state;
	assert_int_equal(bench_measure(subjects, 2, &plan, series, NULL), STATUS_OK);
	assert_int_equal(series[0].run_sizes[0], BENCH_SAMPLES_MAX);
	assert_int_equal(series[1].count, 2);
	assert_int_equal(slow.done, 3);
	bench_series_release(&series[0]);
	bench_series_release(&series[1]);
}

static void a_run_ends_in_time_though_operations_grow_longer(void **state)
{
	struct fake a = {.letter = 'A', .takes_ns = 100000, .slower_after = 1};
	struct bench_subject subject = subject_of(&a);
	struct bench_plan plan = {.time_ns = 80000000, .runs = 1, .now = fake_now};
	struct bench_series series;

	(void)state;
	assert_int_equal(bench_measure(&subject, 1, &plan, &series, NULL), STATUS_OK);
	/* 800 would have fitted; each took a hundred times as long, and a portion is a hundred. */
	assert_int_equal(series.count, 100);
	assert_int_equal(a.prepared, a.done);
	bench_series_release(&series);
}

static void warm_up_is_not_counted(void **state)
{
	struct fake a = {.letter = 'A', .takes_ns = 1000000};
	struct bench_subject subject = subject_of(&a);
	struct bench_plan plan = {.time_ns = 10000000, .runs = 2, .warmup = 3, .now = fake_now};
	struct bench_series series;

	(void)state;
	assert_int_equal(bench_measure(&subject, 1, &plan, &series, NULL), STATUS_OK);
	assert_int_equal(series.runs, 2);
	assert_int_equal(series.count, series.run_sizes[0] + series.run_sizes[1]);
	assert_true(a.done >= 5 * series.run_sizes[0]);
	bench_series_release(&series);
}

static void an_error_ends_the_measurement(void **state)
{
	struct fake a = {.letter = 'A', .takes_ns = 1000000, .fail_after = 5};
	struct bench_subject subject = subject_of(&a);
	struct bench_plan plan = {.time_ns = 100000000, .runs = 2, .now = fake_now};
	struct bench_series series;
	struct error err = {0};

	(void)state;
	assert_int_equal(bench_measure(&subject, 1, &plan, &series, &err), STATUS_IO);
	assert_string_equal(err.text, "broken");
	assert_int_equal(a.done, 6);
	bench_series_release(&series);
}

static bool stop_at_once(void)
{
	return true;
}

static void it_stops_when_told(void **state)
{
	struct fake a = {.letter = 'A', .takes_ns = 1000000};
	struct bench_subject subject = subject_of(&a);
	struct bench_plan plan = {
		.time_ns = 100000000, .runs = 2, .now = fake_now, .stopped = stop_at_once};
	struct bench_series series;
	struct error err = {0};

	(void)state;
	assert_int_equal(bench_measure(&subject, 1, &plan, &series, &err), STATUS_UNAVAILABLE);
	assert_string_equal(err.text, "interrupted");
	bench_series_release(&series);
}

static unsigned progress_last, progress_total;

static void note_progress(void *context, unsigned done, unsigned total)
{
	(void)context;
	assert_int_equal(done, progress_last + 1);
	progress_last = done;
	progress_total = total;
}

static void progress_is_told_run_by_run(void **state)
{
	struct fake a = {.letter = 'A', .takes_ns = 1000000};
	struct bench_subject subject = subject_of(&a);
	struct bench_plan plan = {.time_ns = 10000000,
		.runs = 4,
		.warmup = 1,
		.now = fake_now,
		.progress = note_progress};
	struct bench_series series;

	(void)state;
	progress_last = 0;
	assert_int_equal(bench_measure(&subject, 1, &plan, &series, NULL), STATUS_OK);
	assert_int_equal(progress_last, 5);
	assert_int_equal(progress_total, 5);
	bench_series_release(&series);
}

static void percentiles_are_values_that_occurred(void **state)
{
	const double ten[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

	(void)state;
	assert_true(bench_percentile(ten, 10, 0) == 1);
	assert_true(bench_percentile(ten, 10, 50) == 5);
	assert_true(bench_percentile(ten, 10, 51) == 6);
	assert_true(bench_percentile(ten, 10, 90) == 9);
	assert_true(bench_percentile(ten, 10, 99) == 10);
	assert_true(bench_percentile(ten, 10, 100) == 10);
	assert_true(bench_percentile(ten, 1, 50) == 1);
	assert_true(bench_percentile(ten, 3, 50) == 2);
}

static void statistics_of_known_samples_are_known(void **state)
{
	double samples[100];
	size_t sizes[] = {25, 25, 25, 25};
	struct bench_series series = {samples, sizes, 100, 4, 1};
	struct bench_statistics statistics;

	(void)state;
	/* 1 to 100; the runs are 4 n + 1, 4 n + 2 and so on, so that their medians are 49 to 52. */
	for (size_t run = 0; run < 4; run++)
		for (size_t i = 0; i < 25; i++)
			samples[run * 25 + i] = (double)(4 * (24 - i) + run + 1);
	assert_int_equal(bench_statistics(&series, &statistics, NULL), STATUS_OK);
	assert_true(statistics.least == 1);
	assert_true(statistics.p50 == 50);
	assert_true(statistics.p90 == 90);
	assert_true(statistics.p99 == 99);
	assert_true(statistics.most == 100);
	assert_true(statistics.mean > 50.499 && statistics.mean < 50.501);
	/* Medians 49, 50, 51, 52: their quarters are 49 and 51, their median is 50. */
	assert_true(statistics.spread > 0.0399 && statistics.spread < 0.0401);
	assert_true(samples[0] == 97);
}

static void statistics_of_nothing_are_zero(void **state)
{
	struct bench_series series = {0};
	struct bench_statistics statistics;

	(void)state;
	assert_int_equal(bench_statistics(&series, &statistics, NULL), STATUS_OK);
	assert_true(statistics.p50 == 0 && statistics.most == 0 && statistics.spread == 0);
}

/* For longer than the process that measures waits for an answer: it may be busy elsewhere. */
static void who_is_asked_waits_for_as_long_as_the_other_lives(void **state)
{
	struct watchdog responder = {.peer = getppid()};
	struct watchdog requester = {.peer = fork(), .peer_is_child = true};
	struct error err;
	int ticks = 0;

	(void)state;
	if (requester.peer == 0)
		for (;;)
			pause();
	assert_true(requester.peer > 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(watchdog_check(&responder, &err), STATUS_OK);
	while (watchdog_check(&requester, &err) == STATUS_OK)
		ticks++;
	assert_int_equal(err.status, STATUS_TRY_AGAIN);
	assert_int_equal(ticks, 10 * 4);
	kill(requester.peer, SIGKILL);
	waitpid(requester.peer, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(subjects_take_turns, start_afresh),
		cmocka_unit_test_setup(ratio_is_that_of_the_pairs, start_afresh),
		cmocka_unit_test(ratio_holds_while_the_machine_slows_down),
		cmocka_unit_test_setup(short_operations_are_timed_in_batches, start_afresh),
		cmocka_unit_test_setup(an_operation_after_a_pause_is_timed_alone, start_afresh),
		cmocka_unit_test_setup(
			what_makes_ready_is_called_for_each_operation_and_not_timed, start_afresh),
		cmocka_unit_test_setup(time_and_samples_are_bounded, start_afresh),
		cmocka_unit_test_setup(
			a_run_ends_in_time_though_operations_grow_longer, start_afresh),
		cmocka_unit_test_setup(warm_up_is_not_counted, start_afresh),
		cmocka_unit_test_setup(an_error_ends_the_measurement, start_afresh),
		cmocka_unit_test_setup(it_stops_when_told, start_afresh),
		cmocka_unit_test_setup(progress_is_told_run_by_run, start_afresh),
		cmocka_unit_test(who_is_asked_waits_for_as_long_as_the_other_lives),
		cmocka_unit_test(percentiles_are_values_that_occurred),
		cmocka_unit_test(statistics_of_known_samples_are_known),
		cmocka_unit_test(statistics_of_nothing_are_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
